"""Photographs on disk -> aligned crops in memory, in order, with the errors as results.

The crops are those of `urfr prepare` before they are encoded: the largest centred square, or the face
that MTCNN finds, warped to the template.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from urfr_tf.data.ordered_map import grouped, in_order
from urfr_tf.data.preparation.crops import CropSettings, centre_square, decode, load
from urfr_tf.data.sources.item import Item
from urfr_tf.errors import UrfrError
from urfr_tf.system.cores import count_cores

if TYPE_CHECKING:
    from urfr_tf.faces.detect import Detector

ALIGNMENTS = ("mtcnn", "none")
NO_FACE = "no face"
_GROUP = 32
_GROUP_PIXELS = 64e6  # decoded photographs held at once: 3 bytes a pixel


@dataclass(frozen=True)
class Photograph:
    """What became of a file: a crop uint8 [size, size, 3], RGB; or None and the reason."""

    path: str
    crop: np.ndarray | None
    refused: str = ""


def crops(paths: Iterable[str], align: str, size: int) -> Iterator[Photograph]:
    """One result for every path, in order; memory does not grow with their number.

    Args:
        paths: image files, untrusted.
        align: `mtcnn` (the largest face, aligned) or `none` (the largest centred square).
        size: side of the crops in pixels.
    """
    detector = None
    if align == "mtcnn":
        from urfr_tf.faces.detect import Detector

        detector = Detector(batch=_GROUP)
    settings = CropSettings(size=size, align=align)
    with ThreadPoolExecutor(count_cores()) as pool:
        items = (Item("", path, file=path) for path in paths)
        loaded = in_order(pool, lambda item: load(item, settings), items, 2 * _GROUP)
        for group in grouped(loaded, _GROUP, _GROUP_PIXELS, lambda one: one.pixels):
            images = list(pool.map(lambda one: decode(one, settings), group))
            found = _squares(images, size) if detector is None else _faces(images, size, detector)
            for one, result in zip(group, found, strict=True):
                if isinstance(result, str):
                    yield Photograph(one.item.key, None, result)
                else:
                    yield Photograph(one.item.key, result)


def _squares(images: list[np.ndarray | str], size: int) -> list[np.ndarray | str]:
    return [image if isinstance(image, str) else centre_square(image, size)[0] for image in images]


def _faces(images: list[np.ndarray | str], size: int, detector: "Detector") -> list[np.ndarray | str]:
    from urfr_tf.faces.align import align
    from urfr_tf.faces.detect import choose

    faces = iter(detector.detect([image for image in images if not isinstance(image, str)]))
    results: list[np.ndarray | str] = []
    for image in images:
        if isinstance(image, str):
            results.append(image)
            continue
        face = choose(next(faces), image.shape)
        try:
            results.append(NO_FACE if face is None else align(image, face.points, size))
        except UrfrError as error:  # points that fit no face
            results.append(f"{NO_FACE}: {error}")
    return results
