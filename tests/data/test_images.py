"""Untrusted bytes -> RGB of 8 bit, whatever the file's kind."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from made_up import encoded, picture, png_chunk
from PIL import Image

from urfr_tf.data.headers import ImageError
from urfr_tf.data.images import decode_image, encode_image

PICTURE = picture(3, 30, 50)


def saved(image: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize("ending", [".png", ".bmp", ".ppm"])
def test_lossless_files_come_back_as_rgb(ending):
    np.testing.assert_array_equal(decode_image(encoded(PICTURE, ending)), PICTURE)


@pytest.mark.parametrize("ending", [".jpg", ".webp"])
def test_lossy_files_come_back_as_rgb_not_bgr(ending):
    image = decode_image(encoded(PICTURE, ending)).astype(int)
    right, swapped = np.abs(image - PICTURE).mean(), np.abs(image[..., ::-1] - PICTURE).mean()
    assert right < 6 < swapped


def test_one_channel_is_repeated():
    grey = PICTURE[:, :, 0]
    for data in (encoded(grey, ".png"), encoded(grey, ".pgm")):
        np.testing.assert_array_equal(decode_image(data), np.dstack([grey] * 3))
    assert decode_image(encoded(grey, ".jpg")).shape == (30, 50, 3)


def test_sixteen_bit_becomes_the_nearest_of_256_levels():
    """v of 65535 is v * 255 / 65535 = v / 257.

    65535 -> 255, 257 -> 1, 385 -> 1.498 -> 1, 386 -> 1.502 -> 2.
    """
    wide = np.full([20, 20], 0, np.uint16)
    wide[0, :5] = [65535, 257, 385, 386, 32768]
    for ending in (".png", ".pgm"):
        image = decode_image(encoded(wide, ending))
        assert image.dtype == np.uint8
        np.testing.assert_array_equal(image[0, :5, 1], [255, 1, 1, 2, 128])
    colours = np.dstack([wide] * 3) + np.array([0, 100, 200], np.uint16)
    assert decode_image(encoded(colours, ".png")).dtype == np.uint8


def test_a_pgm_of_ten_bit_is_scaled_by_its_own_white():
    """White is 1023: 1023 -> 255, 512 -> 512 * 255 / 1023 = 127.6 -> 128."""
    samples = np.array([0, 512, 1023], ">u2")
    image = decode_image(b"P5\n# a comment\n3 1\n1023\n" + samples.tobytes())
    np.testing.assert_array_equal(image[0, :, 0], [0, 128, 255])
    beyond = decode_image(b"P5 1 1 100\n" + bytes([200]))
    assert beyond[0, 0, 0] == 255


def test_alpha_is_laid_over_black():
    """A quarter-opaque pixel keeps a quarter of its light: (c * 64 + 127) // 255."""
    alpha = np.full([30, 50], 255, np.uint8)
    alpha[0, 0], alpha[0, 1] = 0, 64
    rgba = np.dstack([PICTURE, alpha])
    image = decode_image(saved(Image.fromarray(rgba, "RGBA"), "PNG"))
    np.testing.assert_array_equal(image[0, 0], [0, 0, 0])
    np.testing.assert_array_equal(image[0, 1], (PICTURE[0, 1].astype(int) * 64 + 127) // 255)
    np.testing.assert_array_equal(image[1:], PICTURE[1:])
    webp = decode_image(saved(Image.fromarray(rgba, "RGBA"), "WebP", lossless=True))
    np.testing.assert_array_equal(webp[0, 0], [0, 0, 0])
    np.testing.assert_array_equal(webp[1:], PICTURE[1:])
    grey = decode_image(saved(Image.fromarray(rgba, "RGBA").convert("LA"), "PNG"))
    np.testing.assert_array_equal(grey[0, 0], [0, 0, 0])
    np.testing.assert_array_equal(grey[5, 5], np.array(Image.fromarray(PICTURE).convert("L"))[5, 5])
    palette = saved(Image.fromarray(PICTURE).quantize(16), "PNG", transparency=0)
    assert decode_image(palette).shape == (30, 50, 3)


def test_cmyk_becomes_rgb():
    """Pillow's CMYK of an RGB picture has no black ink, so the way back is c -> 255 - c, up to JPEG's
    loss.
    """
    image = decode_image(saved(Image.fromarray(PICTURE).convert("CMYK"), "JPEG", quality=95))
    assert np.abs(image.astype(int) - PICTURE).mean() < 4


def _exif(orientation, order):
    """A TIFF header and a directory of two entries in either byte order."""
    entries = struct.pack(f"{order}HHIHH", 0x010F, 2, 1, 0, 0) + struct.pack(
        f"{order}HHIHH", 0x0112, 3, 1, orientation, 0
    )
    mark = b"II" if order == "<" else b"MM"
    return mark + struct.pack(f"{order}HIH", 42, 8, 2) + entries + bytes(4)


UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, 1),
}
"""The EXIF values 1 to 8, written out: what has to be done to the stored picture to see it upright."""


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize(
    ("kind", "alpha"), [("JPEG", False), ("PNG", False), ("PNG", True), ("WebP", False), ("WebP", True)]
)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied(orientation, kind, alpha, order):
    stored = Image.fromarray(PICTURE)
    if alpha:
        stored.putalpha(255)
    options = {"JPEG": {"quality": 95}, "PNG": {}, "WebP": {"lossless": True, "exact": True}}[kind]
    exif = _exif(orientation, order)
    exif = exif if kind == "PNG" else b"Exif\0\0" + exif  # Pillow puts the mark where it belongs
    image = decode_image(saved(stored, kind, exif=exif, **options))
    expected = UPRIGHT[orientation](PICTURE)
    assert image.shape == expected.shape
    assert np.abs(image.astype(int) - expected).max() <= (40 if kind == "JPEG" else 0)
    assert np.abs(image.astype(int) - expected).mean() < 4


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WebP"])
@pytest.mark.parametrize(
    "exif",
    [
        b"",
        b"II",
        b"MM\0*\0\0",
        _exif(0, "<"),
        _exif(9, ">"),
        _exif(65535, "<"),
        _exif(6, "<")[:30],  # the entry is cut off
        b"II*\0\xff\xff\xff\xff" + bytes(40),  # the directory lies behind the end
        b"II*\0\x08\0\0\0\xff\xff" + bytes(40),  # more entries than there are
        b"XX" + _exif(6, "<")[2:],
        _exif(6, "<").replace(b"\x12\x01\x03\0", b"\x12\x01\x04\0"),  # not of the type that the tag has
    ],
)
def test_exif_that_says_nothing_changes_nothing(kind, exif):
    plain = saved(Image.fromarray(PICTURE), kind, quality=95)
    strange = saved(Image.fromarray(PICTURE), kind, quality=95, exif=b"Exif\0\0" + exif)
    np.testing.assert_array_equal(decode_image(plain), decode_image(strange))


def test_jpegs_are_turned_as_opencv_turns_them():
    for orientation in range(1, 9):
        for order in "<>":
            exif = b"Exif\0\0" + _exif(orientation, order)
            data = saved(Image.fromarray(PICTURE), "JPEG", quality=95, exif=exif)
            turned = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
            np.testing.assert_array_equal(decode_image(data), turned)


def bombs():
    """Small files that declare 60,000 x 60,000 pixels (10.8 GB once decoded), or the most their format
    can.
    """
    idat = zlib.compress(bytes(1000))
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
    yield b"\x89PNG\r\n\x1a\n" + header + png_chunk(b"IDAT", idat) + png_chunk(b"IEND", b"")
    jpeg = bytearray(encoded(PICTURE, ".jpg"))
    at = jpeg.index(b"\xff\xc0")
    struct.pack_into(">HH", jpeg, at + 5, 60_000, 60_000)
    yield bytes(jpeg)
    bmp = bytearray(encoded(PICTURE, ".bmp"))
    struct.pack_into("<ii", bmp, 18, 60_000, -60_000)
    struct.pack_into("<I", bmp, 30, 1)  # run lengths: the file need not be long
    yield bytes(bmp)
    webp = bytearray(encoded(PICTURE, ".webp", 64, 101))
    assert webp[12:16] == b"VP8L"
    struct.pack_into("<I", webp, 21, 0x3FFF | 0x3FFF << 14)
    yield bytes(webp)


@pytest.mark.parametrize("data", bombs(), ids=["PNG", "JPEG", "BMP", "WebP"])
def test_an_image_bomb_is_refused_before_it_is_decoded(data, monkeypatch):
    monkeypatch.setattr("cv2.imdecode", lambda *_: pytest.fail("the decoder was called"))
    with pytest.raises(ImageError) as caught:
        decode_image(data)
    assert caught.value.reason == "image bomb"


def test_limits_are_settings():
    data = encoded(PICTURE, ".png")
    assert decode_image(data, max_pixels=1500, min_side=30).shape == (30, 50, 3)
    with pytest.raises(ImageError, match="image bomb"):
        decode_image(data, max_pixels=1499)
    with pytest.raises(ImageError, match="too small"):
        decode_image(data, min_side=31)


def test_damaged_bytes_never_raise_anything_else():
    """2,000 files with a few random bytes changed: an image or a refusal, never another exception."""
    random = np.random.default_rng(5)
    refused = 0
    for data in (encoded(PICTURE, ending) for ending in (".png", ".jpg", ".webp", ".bmp", ".ppm")):
        for _ in range(400):
            damaged = bytearray(data)
            for at in random.integers(0, len(damaged), 3):
                damaged[at] = random.integers(256)
            try:
                image = decode_image(bytes(damaged), max_pixels=100_000)
            except ImageError:
                refused += 1
            else:
                assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3
    assert 400 < refused < 2000


def test_a_polyglot_leaves_only_its_picture_behind():
    hidden = b"PK\3\4 an archive behind the picture"
    image = decode_image(encoded(PICTURE, ".jpg") + hidden)
    assert hidden not in encode_image(image) and hidden not in encode_image(image, lossless=True)


def test_encoding():
    np.testing.assert_array_equal(decode_image(encode_image(PICTURE, lossless=True)), PICTURE)
    jpeg = encode_image(PICTURE)
    assert jpeg.startswith(b"\xff\xd8")
    assert np.abs(decode_image(jpeg).astype(int) - PICTURE).mean() < 3
    assert jpeg == encode_image(PICTURE.copy())
