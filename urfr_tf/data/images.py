"""Bytes of an image file from anywhere -> RGB, 8 bit; and back to JPEG or PNG.

| file | becomes |
| --- | --- |
| 1 channel | the same value in R, G and B |
| 16 bit | the nearest of 256 levels, white stays white |
| alpha | laid over black, the border of an aligned crop |
| CMYK | RGB by OpenCV, for JPEGs with Adobe's marker; others are refused |
| EXIF rotation | applied (JPEG, PNG, WebP) |
| bytes behind the end of the image | ignored, and gone once encoded again |
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from urfr_tf.data.headers import MAX_PIXELS, Header, ImageError, read_header

MAX_BYTES = 64 * 1024 * 1024


def decode_image(data: bytes, *, max_pixels: int = MAX_PIXELS, min_side: int = 1) -> NDArray[np.uint8]:
    """Decodes an untrusted file.

    Args:
        data: the whole file: JPEG, PNG, WebP, BMP, PGM or PPM, told by its content.
        max_pixels: limit on width x height, checked on the header before anything is allocated.
        min_side: limit on the shorter side in pixels.

    Returns:
        uint8 [H, W, 3], RGB, upright.

    Raises:
        ImageError: empty, not an image, truncated, unreadable, too small, or an image bomb.
    """
    header = check_header(data, max_pixels, min_side)
    image = _pnm_pixels(data, header) if header.format == "PNM" else _opencv_pixels(data, header)
    image = _turn_upright(image, header.orientation)
    if sorted(image.shape[:2]) != sorted((header.width, header.height)):
        decoded = f"{image.shape[1]} x {image.shape[0]}"
        raise ImageError("unreadable", f"{header.width} x {header.height} pixels declared, {decoded} decoded")
    return image


def check_header(data: bytes, max_pixels: int, min_side: int) -> Header:
    """Reads the header and refuses what is too large or too small; arguments and errors as `decode_image`."""
    header = read_header(data)
    size = f"{header.width} x {header.height} pixels declared"
    if header.width * header.height > max_pixels:
        raise ImageError("image bomb", f"{size}, over the limit of {max_pixels}")
    if min(header.width, header.height) < min_side:
        raise ImageError("too small", f"{size}, the shorter side must have {min_side}")
    return header


def encode_image(image: NDArray[np.uint8], *, lossless: bool = False) -> bytes:
    """uint8 [H, W, 3] RGB -> JPEG of quality 95, or PNG when `lossless`."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    if lossless:
        _, encoded = cv2.imencode(".png", bgr)
    else:
        _, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 95])
    return encoded.tobytes()


def _opencv_pixels(data: bytes, header: Header) -> NDArray[np.uint8]:
    # IMREAD_UNCHANGED keeps alpha. Neither turns the picture: OpenCV would do so for some of the formats.
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
    flags = cv2.IMREAD_UNCHANGED if header.alpha else flags
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise ImageError("unreadable", f"OpenCV: {' '.join(str(error.err).split())}") from None
    if image is None:
        raise ImageError("unreadable", f"a {header.format} that does not decode")
    if image.dtype == np.uint16:
        image = _to_8_bit(image, 65535)
    if image.dtype != np.uint8:
        raise ImageError("unreadable", f"a {header.format} with pixels of type {image.dtype}")
    if image.ndim == 2:
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2RGB), np.uint8)
    if image.shape[2] == 4:
        alpha = image[:, :, 3:].astype(np.uint16)
        image = ((image[:, :, :3] * alpha + 127) // 255).astype(np.uint8)
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def _turn_upright(image: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Undoes EXIF's orientation: from 5 on rows are columns; the value also says which sides are swapped."""
    if orientation >= 5:
        image = image.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    return np.ascontiguousarray(image)


def _pnm_pixels(data: bytes, header: Header) -> NDArray[np.uint8]:
    # OpenCV does not scale by the white that the file declares: a PGM of 10 bit comes out black.
    samples = np.frombuffer(
        data,
        np.uint8 if header.peak < 256 else np.dtype(">u2"),
        header.width * header.height * header.channels,
        header.begin,
    )
    image = _to_8_bit(samples, header.peak).reshape(header.height, header.width, header.channels)
    return np.repeat(image, 3, axis=2) if header.channels == 1 else image


def _to_8_bit(samples: NDArray[np.generic], peak: int) -> NDArray[np.uint8]:
    if peak == 255:
        return samples.astype(np.uint8)
    levels = np.arange(np.iinfo(samples.dtype.name).max + 1, dtype=np.float64) * (255 / peak)
    bytes_of_levels: NDArray[np.uint8] = np.minimum(np.rint(levels), 255).astype(np.uint8)[samples]
    return bytes_of_levels
