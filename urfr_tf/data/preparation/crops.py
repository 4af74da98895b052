"""Crops as `urfr prepare` stores them: encoded, with their place in the shuffled order and a digest."""

import hashlib
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from urfr_tf.data.cropper import Cropped, Cropper, CropSettings
from urfr_tf.data.images import encode_image
from urfr_tf.data.sources.item import Item


@dataclass(frozen=True)
class Crop:
    """What became of an item: `encoded`, or a `refused` sentence that begins with its kind.

    Attributes:
        order: 16 bytes, a hash of identity and key: the place in the shuffled order.
        identity: the person's name.
        key: the image's name in its source.
        encoded: the crop as JPEG or PNG.
        digest: 16 bytes, a hash of the photograph's pixels before cropping.
        points: x0, y0, ... x4, y4 in pixels of the crop, or None.
        refused: why there is no crop; empty where there is one.
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


def crop_groups(
    items: Iterable[Item], settings: CropSettings, pool: Executor, ahead: int
) -> Iterator[list[Crop]]:
    """The encoded crops of `items` in order, in groups that depend on that order alone; see `Cropper.crop`.

    Raises:
        UrfrError: a setting of the detector is out of its range.
    """
    yield from Cropper(settings).crop(items, pool, ahead, lambda cropped: encode_crop(cropped, settings))


def encode_crop(cropped: Cropped, settings: CropSettings) -> Crop:
    """A crop as it is stored."""
    item = cropped.item
    order = order_of(item.identity, item.key)
    if cropped.refused:
        return Crop(order, item.identity, item.key, refused=cropped.refused)
    return Crop(
        order,
        item.identity,
        item.key,
        encoded=encode_image(cropped.crop, lossless=settings.lossless),
        digest=pixel_digest(cropped.photograph),
        points=cropped.points,
        notes=cropped.notes,
    )


def order_of(identity: str, key: str) -> bytes:
    """The shuffled place of an image, from its names alone: the same on every machine, in every run."""
    name = f"{identity}\0{key}".encode("utf-8", "surrogateescape")
    return hashlib.blake2b(name, digest_size=16).digest()


def shard_of(order: bytes, shards: int) -> int:
    """The shard of an image: the shuffled order is cut into `shards` equal ranges of hashes."""
    return int.from_bytes(order[:8], "big") * shards >> 64


def pixel_digest(image: NDArray[np.uint8]) -> bytes:
    """Hash of shape and pixels: the same picture in another file has the same."""
    digest = hashlib.blake2b(str(image.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(image).data)
    return digest.digest()
