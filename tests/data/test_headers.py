"""Declared sizes, completeness and formats of untrusted files."""

import struct

import numpy as np
import pytest
from made_up import encoded, picture, png_chunk

from urfr_tf.data.headers import ImageError, read_header

PICTURE = picture(0, 30, 50)
WHOLE = {
    "JPEG": encoded(PICTURE, ".jpg"),
    "PNG": encoded(PICTURE, ".png"),
    "WebP": encoded(PICTURE, ".webp"),
    "BMP": encoded(PICTURE, ".bmp"),
    "PNM": encoded(PICTURE, ".ppm"),
}


@pytest.mark.parametrize("name", WHOLE)
def test_format_and_size_are_read_from_the_bytes(name):
    header = read_header(WHOLE[name])
    assert (header.format, header.width, header.height) == (name, 50, 30)


@pytest.mark.parametrize("name", WHOLE)
def test_every_shorter_file_is_refused(name):
    """OpenCV decodes a JPEG without its second half to a half-grey picture; none may pass."""
    data = WHOLE[name]
    for length in range(len(data)):
        with pytest.raises(ImageError):
            read_header(data[:length])


def test_truncated_is_the_reason():
    for data in WHOLE.values():
        with pytest.raises(ImageError) as caught:
            read_header(data[: len(data) * 3 // 4])
        assert caught.value.reason == "truncated"


def test_the_end_of_a_thumbnail_is_not_the_end_of_the_picture():
    """An EXIF segment holds a whole small JPEG, with an end-of-image marker of its own."""
    thumbnail = encoded(picture(1, 16, 16), ".jpg")
    segment = b"Exif\0\0" + thumbnail
    data = WHOLE["JPEG"]
    data = data[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + data[2:]
    assert read_header(data).width == 50
    with pytest.raises(ImageError, match="truncated"):
        read_header(data[: len(thumbnail) + 40])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty file"),
        (b"This is a text file named .jpg\n", "not an image"),
        (b"PK\3\4" + bytes(60), "not an image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not an image"),
        (b"BM, a letter that begins like a bitmap", "not an image"),
        (b"GIF89a" + bytes(60), "format not read"),
        (b"II*\0" + bytes(60), "format not read"),
        (b"%PDF-1.7" + WHOLE["JPEG"], "format not read"),
        (b"\0\0\0\x18ftypheic" + bytes(60), "format not read"),
        (b"\xff\xd8\xff\xd9" + bytes(60), "unreadable"),
        (b"P5 10 x 255\n" + bytes(100), "unreadable"),
        (b"P5 10 10 0\n" + bytes(100), "unreadable"),
    ],
)
def test_what_is_no_image_is_named(content, reason):
    with pytest.raises(ImageError) as caught:
        read_header(content)
    assert caught.value.reason == reason


def test_a_jpeg_with_an_archive_behind_it_ends_where_the_picture_ends():
    assert read_header(WHOLE["JPEG"] + b"PK\3\4" + bytes(1000)).height == 30


def test_a_jpeg_of_a_thousand_scans_is_a_bomb():
    """Each scan of a progressive JPEG makes the decoder go over the whole picture."""
    data = WHOLE["JPEG"]
    scan = data[data.index(b"\xff\xda") : -2]
    with pytest.raises(ImageError) as caught:
        read_header(data[:-2] + scan * 1000 + data[-2:])
    assert caught.value.reason == "image bomb"
    segments = b"\xff\xfe\x00\x02" * 10_000
    with pytest.raises(ImageError, match="segments"):
        read_header(data[:2] + segments + data[2:])


def test_alpha_is_seen():
    rgba = np.dstack([PICTURE, np.full([30, 50], 100, np.uint8)])
    assert read_header(encoded(rgba, ".png")).alpha
    assert read_header(encoded(rgba, ".webp")).alpha
    assert not read_header(WHOLE["PNG"]).alpha
    # A palette with a transparent entry: colour type 3 and a chunk tRNS.
    body = png_chunk(b"PLTE", bytes(6)) + png_chunk(b"tRNS", b"\0")
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 3, 0, 0, 0))
    data = b"\x89PNG\r\n\x1a\n" + header + body + png_chunk(b"IEND", b"")
    assert read_header(data).alpha


def test_a_cmyk_jpeg_needs_the_marker_that_says_how_ink_is_counted():
    import io

    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(PICTURE).convert("CMYK").save(file, "JPEG")
    data = file.getvalue()
    assert read_header(data).width == 50
    at = data.index(b"\xff\xee")
    (length,) = struct.unpack_from(">H", data, at + 2)
    with pytest.raises(ImageError, match="CMYK"):
        read_header(data[:at] + data[at + 2 + length :])
