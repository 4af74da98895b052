"""One file -> one square crop, encoded: the work that `urfr prepare` spreads over cores or machines."""

import hashlib
from dataclasses import dataclass

import cv2
import numpy as np

from urfr_tf.data import images
from urfr_tf.data.headers import ImageError
from urfr_tf.data.sources.item import Item, read_item


@dataclass(frozen=True)
class CropSettings:
    """How a photograph becomes a crop: side in pixels, PNG instead of JPEG, and what is refused."""

    size: int = 112
    lossless: bool = False
    min_side: int = 16
    max_pixels: int = images.MAX_PIXELS
    max_bytes: int = images.MAX_BYTES


@dataclass(frozen=True)
class Crop:
    """What became of an item: `encoded`, or a `refused` sentence that begins with its kind.

    Attributes:
        order: 16 bytes, a hash of identity and key: the place in the shuffled order.
        digest: 16 bytes, a hash of the photograph's pixels before cropping.
        points: x0, y0, ... x4, y4 in pixels of the crop, or None.
        note: something to be listed about a crop that was taken, or "".
    """

    order: bytes
    identity: str
    key: str
    encoded: bytes = b""
    digest: bytes = b""
    points: tuple[float, ...] | None = None
    refused: str = ""
    note: str = ""


def order_of(identity: str, key: str) -> bytes:
    """The shuffled place of an image, from its names alone: the same on every machine, in every run."""
    name = f"{identity}\0{key}".encode("utf-8", "surrogateescape")
    return hashlib.blake2b(name, digest_size=16).digest()


def pixel_digest(image: np.ndarray) -> bytes:
    """Hash of shape and pixels: the same picture in another file has the same."""
    digest = hashlib.blake2b(str(image.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(image).data)
    return digest.digest()


def centre_square(
    image: np.ndarray, size: int, points: tuple[float, ...] | None = None
) -> tuple[np.ndarray, tuple[float, ...] | None]:
    """The largest centred square of uint8 [H, W, 3], scaled to [size, size, 3]; proportions are kept.

    Points are moved along; pixel centres are at whole numbers, as in OpenCV.
    """
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = image[top : top + side, left : left + side]
    if side != size:
        square = cv2.resize(
            square, (size, size), interpolation=cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
        )
    if points is not None:
        xy = np.asarray(points, np.float64).reshape(-1, 2)
        moved = (xy - (left, top) + 0.5) * (size / side) - 0.5
        points = tuple(float(value) for value in moved.ravel())
    return square, points


def read_photograph(item: Item, settings: CropSettings) -> np.ndarray:
    """Reads and decodes an item, uint8 [H, W, 3] RGB.

    Raises:
        ImageError: it cannot be taken.
    """
    data = read_item(item, settings.max_bytes)
    return images.decode_image(data, max_pixels=settings.max_pixels, min_side=settings.min_side)


def make_crop(item: Item, settings: CropSettings) -> Crop:
    """Reads, decodes, crops without alignment and encodes an item; a refusal is a result, not an error."""
    order = order_of(item.identity, item.key)
    try:
        photograph = read_photograph(item, settings)
    except ImageError as refusal:
        return Crop(order, item.identity, item.key, refused=str(refusal))
    square, points = centre_square(photograph, settings.size, item.points)
    return Crop(
        order,
        item.identity,
        item.key,
        encoded=images.encode_image(square, lossless=settings.lossless),
        digest=pixel_digest(photograph),
        points=points,
    )
