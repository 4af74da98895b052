"""Photographs -> square crops: the largest centered square, or the face aligned to five points.

The points come from MTCNN or from the source. Photographs are detected in groups, because the networks are
several times as fast on a batch. Their numbers depend on what else is in the batch, in the last bit. So
groups are formed from the order of the items alone and handed on whole, and an interrupted run continues
where a group begins.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from urfr_tf.data import images
from urfr_tf.data.detector_options import LEAST_FACE
from urfr_tf.data.headers import MAX_PIXELS, ImageError
from urfr_tf.data.ordered_map import map_in_order, split_by_cost
from urfr_tf.data.sources.item import Item, read_item
from urfr_tf.errors import UrfrError
from urfr_tf.faces.align import Points, align_face, crop_matrix, transform_points
from urfr_tf.faces.landmark_checks import describe_turn, find_fault

if TYPE_CHECKING:
    from urfr_tf.faces.detect import Detector, Face

GROUP = 32
CROP_FACTS = ("align", "faces", "min_face", "max_pixels")
"""Keys of `describe_crops`."""
_GROUP_PIXELS = 64e6  # decoded photographs in memory at once: 3 bytes a pixel
_NO_FACE = "no face: MTCNN found none"
T = TypeVar("T")


@dataclass(frozen=True)
class CropSettings:
    """How a photograph becomes a crop.

    Attributes:
        size: side of the crop in pixels.
        align: "none" (the largest centered square), "mtcnn" (a detected face) or "points" (the source's,
            which are refused where they cannot be those of a face: `faces.landmark_checks`).
        faces: which of several detected faces: "largest" or "central".
        on_missing: a photograph without a face or points: "skip" refuses it, "centre" takes its center.
        min_face: smallest face that is looked for, in pixels.
        lossless: PNG instead of JPEG of quality 95, where crops are encoded.
        min_side: photographs with a shorter side below it, in pixels, are refused.
        max_pixels: photographs with more pixels are refused.
        max_bytes: larger files are refused.
    """

    size: int = 112
    align: str = "none"
    faces: str = "largest"
    on_missing: str = "skip"
    min_face: int = LEAST_FACE
    lossless: bool = False
    min_side: int = 16
    max_pixels: int = MAX_PIXELS
    max_bytes: int = images.MAX_BYTES


def describe_crops(settings: CropSettings, aligned: bool = False) -> dict[str, object]:
    """What a result or a threshold says about the crops that it was measured on.

    Args:
        settings: how photographs became crops.
        aligned: whether the images were crops already, so that no face was looked for.
    """
    align = "none" if aligned else settings.align
    detector = {"faces": settings.faces, "min_face": settings.min_face} if align == "mtcnn" else {}
    return {"align": align, **detector, "max_pixels": settings.max_pixels}


def usual_face(kind: str) -> str:
    """Which of several detected faces belongs to the named person, in a source or protocol of this kind.

    In LFW it is the central face; a larger one may be a bystander's.
    """
    return "central" if kind == "lfw" else "largest"


@dataclass(frozen=True)
class Cropped:
    """What became of an item: a crop, or the reason why it is refused.

    Attributes:
        item: the item.
        photograph: uint8 [H, W, 3], RGB; empty [0, 0, 3] where the item is refused.
        crop: uint8 [size, size, 3], RGB; empty [0, 0, 3] where the item is refused.
        points: x0, y0, ... x4, y4 in pixels of the crop, or None where they are unknown.
        refused: why there is no crop, a sentence that begins with its kind; empty where there is one.
        notes: what is to be listed about a crop that was taken; each begins with its kind.
    """

    item: Item
    photograph: NDArray[np.uint8]
    crop: NDArray[np.uint8]
    points: tuple[float, ...] | None = None
    refused: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class EveryFace:
    """The crops of several faces of one photograph.

    Attributes:
        path: key of the item.
        crops: uint8 [N, size, size, 3], RGB; N is 0 where the photograph is refused.
        boxes: left, top, right, bottom of each in pixels of the photograph; empty where none was looked for.
        found: how many faces the photograph has; None where none was looked for.
        refused: why there is no crop, a sentence that begins with its kind; empty where there is one.
    """

    path: str
    crops: NDArray[np.uint8]
    boxes: list[list[float]]
    found: int | None
    refused: str = ""


class Cropper:
    """Makes the crops of many items, over the threads of a pool, in order.

    Args:
        settings: how a photograph becomes a crop.

    Raises:
        UrfrError: `min_face` is out of the detector's range.
    """

    def __init__(self, settings: CropSettings) -> None:
        self._settings = settings
        self._detector = _load_detector(settings) if settings.align == "mtcnn" else None

    def crop(
        self, items: Iterable[Item], pool: Executor, ahead: int, finish: Callable[[Cropped], T]
    ) -> Iterator[list[T]]:
        """The results of `items` in order, in groups that depend on that order alone.

        Args:
            items: what to crop; a refusal is a result, not an error.
            pool: its threads read, decode, crop and finish.
            ahead: how many items are read before they are needed.
            finish: makes of each result what is wanted of it, so that photographs do not pile up in memory.
        """
        if self._settings.align == "none":
            finished = map_in_order(
                pool, lambda item: finish(crop_center(item, self._settings)), items, ahead
            )
            yield from split_by_cost(finished, GROUP, np.inf, lambda _: 0)
            return
        loaded = map_in_order(pool, lambda item: _load(item, self._settings), items, ahead)
        for group in split_by_cost(loaded, GROUP, _GROUP_PIXELS, lambda one: one.pixels):
            tasks = self._find_points(group, pool)
            yield list(pool.map(lambda task: finish(_align(task, self._settings)), tasks))

    def crop_every_face(self, items: list[Item], faces: str, pool: Executor) -> list[EveryFace]:
        """Crops all faces of a few photographs, which are in memory together.

        Args:
            items: the photographs.
            faces: `all`, or which one of several: `largest` or `central`.
            pool: its threads read and decode.
        """
        photographs = list(pool.map(lambda item: _decode(_load(item, self._settings), self._settings), items))
        good = [image for image in photographs if not isinstance(image, str)]
        detected = iter(self._detector.detect(good) if self._detector is not None else [None] * len(good))
        results = []
        for item, image in zip(items, photographs, strict=True):
            if isinstance(image, str):
                results.append(EveryFace(item.key, np.zeros([0, 0, 0, 3], np.uint8), [], None, image))
            else:
                results.append(_crop_faces(item, image, next(detected), faces, self._settings.size))
        return results

    def _find_points(self, group: "list[_Loaded]", pool: Executor) -> "list[_Task]":
        photographs = list(pool.map(lambda one: _decode(one, self._settings), group))
        faces: Iterator[list[Face]] = iter([])
        if self._detector is not None:
            faces = iter(
                self._detector.detect([image for image in photographs if not isinstance(image, str)])
            )
        tasks = []
        for one, image in zip(group, photographs, strict=True):
            points: Points | None = None
            notes: tuple[str, ...] = ()
            if self._detector is None:
                points = None if one.item.points is None else np.reshape(one.item.points, (5, 2))
                if points is not None and not isinstance(image, str):
                    image = _check_points(points, image) or image
            elif not isinstance(image, str):
                points, notes = _choose_points(next(faces), image, self._settings)
            tasks.append(_Task(one.item, image, points, notes))
        return tasks


def _crop_faces(
    item: Item, image: NDArray[np.uint8], detected: "list[Face] | None", faces: str, size: int
) -> EveryFace:
    """The crops of one photograph; `detected` is None where its center is wanted."""
    from urfr_tf.faces.detect import choose_face

    if detected is None:
        return EveryFace(item.key, center_square(image, size)[0][np.newaxis], [], None)
    chosen = detected
    if faces != "all" and detected:
        one = choose_face(detected, image.shape, "central" if faces == "central" else "largest")
        chosen = [] if one is None else [one]
    if not chosen:
        return EveryFace(item.key, np.zeros([0, size, size, 3], np.uint8), [], 0, _NO_FACE)
    crops = np.stack([align_face(image, face.points, size) for face in chosen])
    boxes = [[round(float(side), 1) for side in face.box] for face in chosen]
    return EveryFace(item.key, crops, boxes, len(detected))


def crop_center(item: Item, settings: CropSettings) -> Cropped:
    """Reads, decodes and crops an item without alignment."""
    photograph = _decode(_load(item, settings), settings)
    if isinstance(photograph, str):
        return _refuse(item, photograph)
    points = item.points
    notes: tuple[str, ...] = ()
    if points is not None and (fault := _check_points(points, photograph)):
        points, notes = None, (f"{fault}; the crop has no points",)
    crop, points = center_square(photograph, settings.size, points)
    return Cropped(item, photograph, crop, points, notes=notes)


def center_square(
    image: NDArray[np.uint8], size: int, points: tuple[float, ...] | None = None
) -> tuple[NDArray[np.uint8], tuple[float, ...] | None]:
    """The largest centered square of uint8 [H, W, 3], scaled to [size, size, 3]; proportions are kept.

    Points are moved along; pixel centers are at whole numbers, as in OpenCV.
    """
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = image[top : top + side, left : left + side]
    if side != size:
        interpolation = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
        square = np.asarray(cv2.resize(square, (size, size), interpolation=interpolation), np.uint8)
    if points is not None:
        xy = np.asarray(points, np.float64).reshape(-1, 2)
        moved = (xy - (left, top) + 0.5) * (size / side) - 0.5
        points = tuple(float(value) for value in moved.ravel())
    return square, points


def _load_detector(settings: CropSettings) -> "Detector":
    # TensorFlow takes seconds to import, and only detection needs it here.
    from urfr_tf.faces.detect import Detector

    return Detector(batch=GROUP, min_size=settings.min_face)


class _Loaded(NamedTuple):
    """The bytes of an item and the pixels that their header declares; or why it is refused."""

    item: Item
    data: bytes = b""
    pixels: int = 0
    refused: str = ""


class _Task(NamedTuple):
    """A photograph (or why there is none), the five points [5, 2] of its face, and notes about it."""

    item: Item
    image: NDArray[np.uint8] | str
    points: Points | None
    notes: tuple[str, ...]


def _load(item: Item, settings: CropSettings) -> _Loaded:
    try:
        data = read_item(item, settings.max_bytes)
        header = images.check_header(data, settings.max_pixels, settings.min_side)
    except ImageError as refusal:
        return _Loaded(item, refused=str(refusal))
    return _Loaded(item, data, header.width * header.height)


def _decode(loaded: _Loaded, settings: CropSettings) -> NDArray[np.uint8] | str:
    """The photograph, uint8 [H, W, 3] RGB, or why it is refused."""
    if loaded.refused:
        return loaded.refused
    try:
        return images.decode_image(loaded.data, max_pixels=settings.max_pixels, min_side=settings.min_side)
    except ImageError as refusal:
        return str(refusal)


def _choose_points(
    faces: "list[Face]", image: NDArray[np.uint8], settings: CropSettings
) -> tuple[Points | None, tuple[str, ...]]:
    """Points of the face that counts, and what is to be listed about it."""
    from urfr_tf.faces.detect import choose_face

    face = choose_face(faces, image.shape, "central" if settings.faces == "central" else "largest")
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


def _check_points(points: "tuple[float, ...] | Points", image: NDArray[np.uint8]) -> str:
    """Why the points of a source cannot be those of the photograph's face, or ""."""
    return find_fault(np.reshape(points, (5, 2)), *image.shape[:2])


def _align(task: _Task, settings: CropSettings) -> Cropped:
    item, image, points, notes = task
    if isinstance(image, str):
        return _refuse(item, image)
    missing = _NO_FACE if settings.align == "mtcnn" else "no points: the source has none"
    if points is not None:
        try:
            crop = align_face(image, points, settings.size)
            moved = transform_points(points, crop_matrix(points, settings.size))
            if settings.align == "points" and (turn := describe_turn(points)):
                notes = (*notes, turn)
            return Cropped(item, image, crop, tuple(float(value) for value in moved.ravel()), notes=notes)
        except UrfrError as error:  # points that fit no face
            missing = f"no face: {error}"
    if settings.on_missing == "skip":
        return _refuse(item, missing)
    crop, _ = center_square(image, settings.size)
    return Cropped(item, image, crop, notes=(f"{missing}, so the center was taken",))


def _refuse(item: Item, reason: str) -> Cropped:
    empty = np.zeros([0, 0, 3], np.uint8)
    return Cropped(item, empty, empty, refused=reason)
