"""Photographs on disk -> crops in memory, in order, with the errors as results.

The crops are those of `urfr prepare` before they are encoded.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from urfr_tf.data.cropper import GROUP, Cropped, Cropper, CropSettings, EveryFace
from urfr_tf.data.sources.item import Item
from urfr_tf.system.cores import count_cores


@dataclass(frozen=True)
class Photograph:
    """What became of a file: a crop uint8 [size, size, 3], RGB; or None and the reason."""

    path: str
    crop: NDArray[np.uint8] | None
    refused: str = ""


def crop_photographs(paths: Iterable[str], settings: CropSettings) -> Iterator[Photograph]:
    """Gives one result for every path, in order; memory does not grow with their number.

    Args:
        paths: image files, untrusted.
        settings: how a photograph becomes a crop.

    Raises:
        UrfrError: a setting of the detector is out of its range.
    """
    cropper = Cropper(settings)
    with ThreadPoolExecutor(count_cores()) as pool:
        items = (Item("", path, file=path) for path in paths)
        for group in cropper.crop(items, pool, 2 * GROUP, _to_photograph):
            yield from group


def crop_every_face(paths: list[str], settings: CropSettings, faces: str) -> list[EveryFace]:
    """Gives the crops of all faces of a few files.

    Args:
        paths: image files, untrusted.
        settings: how a photograph becomes crops.
        faces: `all`, or which one of several: `largest` or `central`.

    Raises:
        UrfrError: a setting of the detector is out of its range.
    """
    with ThreadPoolExecutor(count_cores()) as pool:
        return Cropper(settings).crop_every_face([Item("", path, file=path) for path in paths], faces, pool)


def _to_photograph(cropped: Cropped) -> Photograph:
    return Photograph(cropped.item.key, None if cropped.refused else cropped.crop, cropped.refused)
