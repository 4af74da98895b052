"""One file -> one square crop, encoded: the work that `urfr prepare` spreads over cores or machines."""

import hashlib
from dataclasses import dataclass

import cv2
import numpy as np

from urfr_tf.data import images
from urfr_tf.data.headers import ImageError
from urfr_tf.data.sources.item import Item, read_item


def usual_face(kind: str) -> str:
    """Which of several detected faces is the one named, in a source or protocol of this kind.

    In LFW it is the one in the middle; a bystander's may be larger (3,000 pairs of its folds 6 to 10, imported
    MobileFaceNet: accuracy .9870 with the largest and .9907 with the central one).
    """
    return "central" if kind == "lfw" else "largest"


@dataclass(frozen=True)
class CropSettings:
    """How a photograph becomes a crop.

    Attributes:
        size: side of the crop in pixels.
        align: "none" (the largest centred square), "mtcnn" (a detected face) or "points" (the source's).
        faces: which of several detected faces: "largest" or "central".
        on_missing: a photograph without a face or points: "skip" refuses it, "centre" takes its centre.
        min_face: smallest face that is looked for, in pixels.
        lossless: PNG instead of JPEG of quality 95.
        min_side, max_pixels, max_bytes: photographs and files beyond them are refused.
    """

    size: int = 112
    align: str = "none"
    faces: str = "largest"
    on_missing: str = "skip"
    min_face: int = 40
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
        notes: what is to be listed about a crop that was taken; each begins with its kind.
    """

    order: bytes
    identity: str
    key: str
    encoded: bytes = b""
    digest: bytes = b""
    points: tuple[float, ...] | None = None
    refused: str = ""
    notes: tuple[str, ...] = ()


def order_of(identity: str, key: str) -> bytes:
    """The shuffled place of an image, from its names alone: the same on every machine, in every run."""
    name = f"{identity}\0{key}".encode("utf-8", "surrogateescape")
    return hashlib.blake2b(name, digest_size=16).digest()


def shard_of(order: bytes, shards: int) -> int:
    """The shard of an image: the shuffled order is cut into `shards` equal ranges of hashes."""
    return int.from_bytes(order[:8], "big") * shards >> 64


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


@dataclass(frozen=True)
class Loaded:
    """The bytes of an item and the pixels that their header declares; or why it is refused."""

    item: Item
    data: bytes = b""
    pixels: int = 0
    refused: str = ""


def load(item: Item, settings: CropSettings) -> Loaded:
    """Reads an item and checks its header; a refusal is a result, not an error."""
    try:
        data = read_item(item, settings.max_bytes)
        header = images.check_header(data, settings.max_pixels, settings.min_side)
    except ImageError as refusal:
        return Loaded(item, refused=str(refusal))
    return Loaded(item, data, header.width * header.height)


def decode(loaded: Loaded, settings: CropSettings) -> np.ndarray | str:
    """The photograph, uint8 [H, W, 3] RGB, or why it is refused."""
    if loaded.refused:
        return loaded.refused
    try:
        return images.decode_image(loaded.data, max_pixels=settings.max_pixels, min_side=settings.min_side)
    except ImageError as refusal:
        return str(refusal)


def refused_crop(item: Item, reason: str) -> Crop:
    """The result for an item that cannot be taken."""
    return Crop(order_of(item.identity, item.key), item.identity, item.key, refused=reason)


def finished_crop(
    item: Item,
    photograph: np.ndarray,
    crop: np.ndarray,
    points: tuple[float, ...] | None,
    settings: CropSettings,
    notes: tuple[str, ...] = (),
) -> Crop:
    """The result for an item whose crop uint8 [size, size, 3] is made."""
    return Crop(
        order_of(item.identity, item.key),
        item.identity,
        item.key,
        encoded=images.encode_image(crop, lossless=settings.lossless),
        digest=pixel_digest(photograph),
        points=points,
        notes=notes,
    )


def centred_crop(item: Item, settings: CropSettings) -> Crop:
    """Reads, decodes, crops without alignment and encodes an item."""
    photograph = decode(load(item, settings), settings)
    if isinstance(photograph, str):
        return refused_crop(item, photograph)
    crop, points = centre_square(photograph, settings.size, item.points)
    return finished_crop(item, photograph, crop, points, settings)
