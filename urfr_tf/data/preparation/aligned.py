"""Photographs -> crops, aligned to five points that MTCNN or the source gives.

Photographs are detected in groups, because the networks are several times as fast on a batch. Their
numbers depend on what else is in the batch, in the last bit; so groups are formed from the order of the
source alone and handed on whole, and an interrupted run continues where a group begins.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import Executor
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from urfr_tf.data.ordered_map import grouped, in_order
from urfr_tf.data.preparation.crops import (
    Crop,
    CropSettings,
    Loaded,
    centre_square,
    centred_crop,
    decode,
    finished_crop,
    load,
    refused_crop,
)
from urfr_tf.data.sources.item import Item
from urfr_tf.errors import UrfrError
from urfr_tf.faces.align import align, crop_matrix, transform_points

if TYPE_CHECKING:
    from urfr_tf.faces.detect import Detector, Face

GROUP = 32
_GROUP_PIXELS = 64e6  # decoded photographs held at once: 3 bytes a pixel


def crop_groups(
    items: Iterable[Item], settings: CropSettings, pool: Executor, ahead: int
) -> Iterator[list[Crop]]:
    """The crops of `items` in order, in groups that depend on that order alone.

    Raises:
        UrfrError: a setting of the detector is outside of its range.
    """
    if settings.align == "none":
        crops = in_order(pool, lambda item: centred_crop(item, settings), items, ahead)
        yield from grouped(crops, GROUP, np.inf, lambda crop: 0)
        return
    detector = None
    if settings.align == "mtcnn":
        # TensorFlow takes seconds to import, and only detection needs it here.
        from urfr_tf.faces.detect import Detector

        detector = Detector(batch=GROUP, min_size=settings.min_face)
    loaded = in_order(pool, lambda item: load(item, settings), items, ahead)
    for group in grouped(loaded, GROUP, _GROUP_PIXELS, lambda one: one.pixels):
        yield _aligned(group, settings, pool, detector)


def _aligned(
    group: list[Loaded], settings: CropSettings, pool: Executor, detector: "Detector | None"
) -> list[Crop]:
    images = list(pool.map(lambda one: decode(one, settings), group))
    found: Iterator[list[Face]] = iter([])
    if detector is not None:
        found = iter(detector.detect([image for image in images if isinstance(image, np.ndarray)]))
    tasks = []
    for one, image in zip(group, images, strict=True):
        points: np.ndarray | None = None
        notes: tuple[str, ...] = ()
        if detector is None:
            points = None if one.item.points is None else np.reshape(one.item.points, (5, 2))
        elif not isinstance(image, str):
            points, notes = _chosen(next(found), image, settings)
        tasks.append(_Task(one.item, image, points, notes))
    return list(pool.map(lambda task: _crop(task, settings), tasks))


class _Task(NamedTuple):
    """A photograph (or why there is none), the five points [5, 2] of its face, and notes about it."""

    item: Item
    image: np.ndarray | str
    points: np.ndarray | None
    notes: tuple[str, ...]


def _chosen(
    faces: "list[Face]", image: np.ndarray, settings: CropSettings
) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Points of the face that counts, and what is to be said about it."""
    from urfr_tf.faces.detect import choose

    face = choose(faces, image.shape, "central" if settings.faces == "central" else "largest")
    if face is None:
        return None, ()
    notes = []
    if len(faces) > 1:
        notes.append(f"several faces: {len(faces)}, the {settings.faces} was taken")
    if face.at_border:
        left, top, right, bottom = (round(float(side)) for side in face.box)
        height, width = image.shape[:2]
        notes.append(f"face at the border: x {left} to {right} of {width}, y {top} to {bottom} of {height}")
    return face.points, tuple(notes)


def _crop(task: _Task, settings: CropSettings) -> Crop:
    item, image, points, notes = task
    if isinstance(image, str):
        return refused_crop(item, image)
    missing = "no face: MTCNN found none" if settings.align == "mtcnn" else "no points: the source has none"
    if points is not None:
        try:
            crop = align(image, points, settings.size)
            moved = transform_points(points, crop_matrix(points, settings.size))
            numbers = tuple(float(value) for value in moved.ravel())
            return finished_crop(item, image, crop, numbers, settings, notes)
        except UrfrError as error:
            missing = f"no face: {error}"
    if settings.on_missing == "skip":
        return refused_crop(item, missing)
    crop, _ = centre_square(image, settings.size)
    return finished_crop(item, image, crop, None, settings, (f"{missing}, so the centre was taken",))
