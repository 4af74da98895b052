"""What an image file declares about itself, read before any decoder sees it.

A decoder allocates what the header asks for, and OpenCV's JPEG decoder fills the missing end of a
truncated file with gray: so size, completeness and format are checked here, on the bytes alone.
Formats read: JPEG, PNG, WebP, BMP and binary PNM (P5, P6). The name of the file does not matter.
"""

import re
import struct
from dataclasses import dataclass

from urfr_tf.errors import UrfrError

MAX_PIXELS = 50_000_000
"""Photographs with more pixels are refused, unless said otherwise."""
HEAD = 32
"""Bytes at the beginning of a file that tell its format."""
# Photographs have a handful of scans (progressive: about 10) and segments; files made to keep a
# decoder busy have thousands of scans of a few bytes each.
_MOST_SCANS = 100
_MOST_SEGMENTS = 4096
_MOST_ENTRIES = 512  # of a directory of EXIF; cameras write a few dozen
_EXIF_MARK = b"Exif\0\0"
_AFTER_SCAN = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_PNM = re.compile(
    rb"(P[56])((?:\s+(?:#[^\n]*\n\s*)*)(\d{1,9}))((?:\s+(?:#[^\n]*\n\s*)*)(\d{1,9}))"
    rb"((?:\s+(?:#[^\n]*\n\s*)*)(\d{1,5}))\s"
)


class ImageError(UrfrError):
    """A file that is not taken as an image; `reason` is the kind that is counted."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason


@dataclass(frozen=True)
class Header:
    """Format and declared size in pixels.

    `alpha`: the file may hold transparency. `orientation`: EXIF's, 1 to 8, how the stored picture is turned.
    `begin`, `channels` and `peak` are where the samples of a PNM start, how many there are for a pixel, and
    the value of white.
    """

    format: str
    width: int
    height: int
    alpha: bool = False
    orientation: int = 1
    begin: int = 0
    channels: int = 3
    peak: int = 255


def read_header(data: bytes) -> Header:
    """Reads the declared format and size, and checks that the file is there to its end.

    Raises:
        ImageError: empty, not an image, a format that is not read, unreadable or truncated.
    """
    try:
        return _READERS[tell_format(data)](data)
    except (struct.error, IndexError):
        raise ImageError("truncated", "the file ends inside its header") from None


def tell_format(data: bytes) -> str:
    """Tells the format of a file by how it begins.

    Args:
        data: the file, or its first `HEAD` bytes.

    Returns:
        JPEG, PNG, WebP, BMP or PNM.

    Raises:
        ImageError: empty, not an image, or a format that is not read.
    """
    if not data:
        raise ImageError("empty file")
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WebP"
    if data.startswith(b"BM") and len(data) > 14 and data[14] in (12, 40, 52, 56, 64, 108, 124):
        return "BMP"
    if re.match(rb"P[56]\s", data):
        return "PNM"
    for start, name in ((b"GIF8", "GIF"), (b"II*\0", "TIFF"), (b"MM\0*", "TIFF"), (b"%PDF", "PDF")):
        if data.startswith(start):
            raise ImageError("format not read", f"{name}; JPEG, PNG, WebP, BMP, PGM and PPM are read")
    if data[4:8] == b"ftyp":
        raise ImageError("format not read", "HEIC, AVIF or a video; convert it to JPEG or PNG")
    raise ImageError("not an image", "the content is not that of a JPEG, PNG, WebP, BMP, PGM or PPM")


def _jpeg(data: bytes) -> Header:
    """Walks from segment to segment to the end-of-image marker (ITU-T T.81, annex B)."""
    width = height = components = scans = 0
    adobe = False
    exif = b""
    at = 2
    for _ in range(_MOST_SEGMENTS):
        marker, at = _find_marker(data, at)
        if marker == 0xD9:
            break
        if _stands_alone(marker):
            continue
        (length,) = struct.unpack_from(">H", data, at)
        if _begins_frame(marker) and not width:
            _, height, width, components = struct.unpack_from(">BHHB", data, at + 2)
        elif marker == 0xEE and data[at + 2 : at + 7] == b"Adobe":
            adobe = True
        elif marker == 0xE1 and data[at + 2 : at + 8] == _EXIF_MARK:
            exif = exif or data[at + 8 : at + length]
        at += max(length, 2)
        if marker == 0xDA:
            scans += 1
            if scans > _MOST_SCANS:
                raise ImageError("image bomb", f"a JPEG of more than {_MOST_SCANS} scans")
            match = _AFTER_SCAN.search(data, at)
            if match is None:
                raise ImageError("truncated", "a JPEG without its end")
            at = match.start()
    else:
        raise ImageError("image bomb", f"a JPEG of more than {_MOST_SEGMENTS} segments")
    if not (width and height and scans):
        raise ImageError("unreadable", "a JPEG without a picture")
    if components == 4 and not adobe:
        raise ImageError("unreadable", "a CMYK JPEG without the Adobe marker that says how ink is counted")
    return Header("JPEG", width, height, orientation=read_orientation(exif))


def _find_marker(data: bytes, at: int) -> tuple[int, int]:
    """Finds the next marker of a JPEG from a position on: the marker, and where its segment begins."""
    at = data.find(b"\xff", at)
    while at >= 0 and data[at + 1 : at + 2] == b"\xff":
        at += 1
    if at < 0 or at + 1 >= len(data):
        raise ImageError("truncated", "a JPEG without its end")
    return data[at + 1], at + 2


def _stands_alone(marker: int) -> bool:
    """Whether no length and no content follow a marker."""
    return marker in (0x00, 0x01) or 0xD0 <= marker <= 0xD8


def _begins_frame(marker: int) -> bool:
    """Whether a marker's segment declares the size of the picture."""
    return 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)


def _png(data: bytes) -> Header:
    """Walks the chunks to IEND (PNG specification, section 5)."""
    length, kind, width, height, _, color = struct.unpack_from(">I4sIIBB", data, 8)
    if kind != b"IHDR" or length != 13:
        raise ImageError("unreadable", "a PNG without its header chunk")
    alpha = color in (4, 6)
    exif = b""
    at = 8
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", data, at)
        alpha = alpha or kind == b"tRNS"
        if kind == b"eXIf":
            exif = exif or data[at + 8 : at + 8 + length]
        at += 12 + length
        if at > len(data):
            raise ImageError("truncated", "a PNG without its end")
    return Header("PNG", width, height, alpha=alpha, orientation=read_orientation(exif))


def _webp(data: bytes) -> Header:
    """Takes the largest size that any chunk declares (WebP container specification)."""
    (size,) = struct.unpack_from("<I", data, 4)
    if size + 8 > len(data):
        raise ImageError("truncated", "a WebP without its end")
    width = height = 0
    alpha = False
    exif = b""
    at = 12
    for _ in range(_MOST_SEGMENTS):
        if at + 8 > size + 8:
            break
        kind, length = struct.unpack_from("<4sI", data, at)
        body = at + 8
        if kind == b"VP8X":
            if data[body] & 0x02:
                raise ImageError("format not read", "an animated WebP")
            alpha = alpha or bool(data[body] & 0x10)
            w = 1 + int.from_bytes(data[body + 4 : body + 7], "little")
            h = 1 + int.from_bytes(data[body + 7 : body + 10], "little")
        elif kind == b"VP8 ":
            w, h = (side & 0x3FFF for side in struct.unpack_from("<HH", data, body + 6))
        elif kind == b"VP8L":
            (bits,) = struct.unpack_from("<I", data, body + 1)
            w, h = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
            alpha = alpha or bool(bits >> 28 & 1)
        else:
            w = h = 0
            if kind == b"EXIF":
                exif = exif or data[body : body + length]
        width, height = max(width, w), max(height, h)
        at = body + length + (length & 1)
    if not (width and height):
        raise ImageError("unreadable", "a WebP without a picture")
    return Header("WebP", width, height, alpha=alpha, orientation=read_orientation(exif))


def read_orientation(exif: bytes) -> int:
    """The orientation that EXIF states (CIPA DC-008, tag 0x0112 of the first directory), or 1 without one.

    Args:
        exif: TIFF header and directories, or what claims to be; some writers put a JPEG's mark before them.
    """
    exif = exif.removeprefix(_EXIF_MARK)
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    try:
        if order is None or struct.unpack_from(order + "H", exif, 2) != (42,):
            return 1
        (directory,) = struct.unpack_from(order + "I", exif, 4)
        (entries,) = struct.unpack_from(order + "H", exif, directory)
        for entry in range(min(entries, _MOST_ENTRIES)):
            tag, kind, count, value = struct.unpack_from(order + "HHIH", exif, directory + 2 + 12 * entry)
            if tag == 0x0112:
                return value if (kind, count) == (3, 1) and 1 <= value <= 8 else 1
    except struct.error:  # it ends early, or points behind its end
        pass
    return 1


def _bmp(data: bytes) -> Header:
    begin, kind = struct.unpack_from("<II", data, 10)
    if kind == 12:
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
        compression = 0
    else:
        width, height, _, bits, compression = struct.unpack_from("<iiHHI", data, 18)
    width, height = abs(width), abs(height)
    if not (width and height):
        raise ImageError("unreadable", "a BMP without a picture")
    if compression in (0, 3) and begin + (width * bits + 31) // 32 * 4 * height > len(data):
        raise ImageError("truncated", "a BMP without its end")
    return Header("BMP", width, height)


def _pnm(data: bytes) -> Header:
    match = _PNM.match(data[:4096])
    if match is None:
        raise ImageError("unreadable", "a PGM or PPM whose header does not parse")
    width, height, peak = int(match[3]), int(match[5]), int(match[7])
    channels = 1 if match[1] == b"P5" else 3
    if not (width and height and 0 < peak < 65536):
        raise ImageError("unreadable", f"a PGM or PPM of {width} x {height} with white at {peak}")
    if match.end() + width * height * channels * (1 + (peak > 255)) > len(data):
        raise ImageError("truncated", "a PGM or PPM without its end")
    return Header("PNM", width, height, begin=match.end(), channels=channels, peak=peak)


_READERS = {"JPEG": _jpeg, "PNG": _png, "WebP": _webp, "BMP": _bmp, "PNM": _pnm}
