"""One self-contained HTML file about the search of photographs in a gallery.

Each photograph is shown with its faces framed, and beside each face its candidates with score bars and the
threshold. The page holds the photographs themselves, so it is as confidential as they are.
"""

import base64
import os
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from urfr_tf.data.cropper import CropSettings
from urfr_tf.data.headers import ImageError
from urfr_tf.data.images import decode_image, encode_image
from urfr_tf.data.sources.item import Item, read_item
from urfr_tf.files import write_text
from urfr_tf.gallery.found import Found, FoundFace, FoundPhotograph
from urfr_tf.visualize.report import template_environment

_SIDE = 1280  # pixels of the longer side of a photograph
_LEAST_WIDTH = 440  # in which a small one is shown
_FACE = 160  # of a face


@dataclass(frozen=True)
class Bar:
    """A candidate: who, the score in words, the bar's length in per cent, a thumbnail, whether it counts."""

    person: str
    score: str
    images: str
    length: float
    thumbnail: str
    accepted: bool


@dataclass(frozen=True)
class FaceCard:
    """A face: its number and frame in per cent, its picture, the decision, candidates and confidences."""

    number: int
    frame: tuple[float, float, float, float] | None
    picture: str
    decision: str
    known: bool | None
    bars: list[Bar]
    threshold: float | None
    confidences: list[tuple[float, str]]
    mean_confidence: str


@dataclass(frozen=True)
class PhotographCard:
    """A photograph: its path, itself, its size, its faces, and why there is none."""

    path: str
    picture: str
    width: int
    height: int
    faces: list[FaceCard]
    refused: str


class _Scale:
    """Scores of the whole page -> lengths of bars from 4 to 100 per cent, so that bars can be compared."""

    def __init__(self, found: Found) -> None:
        faces = [face for photograph in found.photographs for face in photograph.faces]
        scores = [each.score for face in faces for each in face.answer.candidates]
        if found.calibration is not None:
            scores.append(found.calibration["threshold"])
        self.low, self.high = min(scores, default=0.0), max(scores, default=1.0)
        self.confidence = max((float(face.confidence.max()) for face in faces), default=1.0)

    def place(self, score: float) -> float:
        spread = self.high - self.low
        return round(4 + 96 * (score - self.low) / spread, 2) if spread else 100.0


def write_gallery_page(out: str | os.PathLike[str], found: Found, settings: CropSettings) -> None:
    """Writes the page, whole or not at all.

    Args:
        out: the file.
        found: what the search found.
        settings: with which the photographs are read once more, to be shown.

    Raises:
        UrfrError: the disk is full or the folder cannot be written.
    """
    write_text(out, render_gallery_page(found, settings))


def render_gallery_page(found: Found, settings: CropSettings) -> str:
    """Renders the page as HTML text; the same arguments give the same text."""
    scale = _Scale(found)
    photographs = [_show_photograph(one, found, settings, scale) for one in found.photographs]
    faces = sum(len(one.faces) for one in photographs)
    template = template_environment().get_template("gallery.html")
    return template.render(found=found, photographs=photographs, faces=faces)


def _show_photograph(
    photograph: FoundPhotograph, found: Found, settings: CropSettings, scale: _Scale
) -> PhotographCard:
    if photograph.refused:
        return PhotographCard(photograph.path, "", 0, 0, [], photograph.refused)
    try:
        content = read_item(Item("", photograph.path, file=photograph.path), settings.max_bytes)
        image = decode_image(content, max_pixels=settings.max_pixels, min_side=settings.min_side)
    except ImageError as error:  # gone since it was searched
        return PhotographCard(photograph.path, "", 0, 0, [], str(error))
    cards = [_show_face(number, face, found, image, scale) for number, face in enumerate(photograph.faces, 1)]
    small = _shrink(image, _SIDE)
    factor = max(1.0, _LEAST_WIDTH / small.shape[1])
    height, width = (round(factor * side) for side in small.shape[:2])
    return PhotographCard(photograph.path, _encode(small), width, height, cards, "")


def _show_face(
    number: int, face: FoundFace, found: Found, image: NDArray[np.uint8], scale: _Scale
) -> FaceCard:
    height, width = image.shape[:2]
    frame, part = None, image
    if face.box is not None:
        left, right = np.clip(face.box[::2], 0, width)
        top, bottom = np.clip(face.box[1::2], 0, height)
        sides = left / width, top / height, (right - left) / width, (bottom - top) / height
        frame = tuple(round(100 * float(side), 3) for side in sides)
        inside = image[int(top) : int(bottom) + 1, int(left) : int(right) + 1]
        part = inside if inside.size else image
    calibration = found.calibration
    threshold = None if calibration is None else calibration["threshold"]
    bars = [
        Bar(
            each.person,
            f"{each.score:.4f}" if found.score != "likelihood" else f"{each.score:.2f}",
            "1 image" if each.images == 1 else f"{each.images} images",
            scale.place(each.score),
            base64.b64encode(each.thumbnail).decode("ascii"),
            threshold is not None and each.score >= threshold,
        )
        for each in face.answer.candidates
    ]
    confidences = [
        (round(100 * float(value) / scale.confidence, 1), f"{float(value):.1f}") for value in face.confidence
    ]
    return FaceCard(
        number,
        frame,  # type: ignore[arg-type]
        _encode(_shrink(part, _FACE)),
        found.decide(face.answer),
        face.answer.known,
        bars,
        None if threshold is None else scale.place(threshold),
        confidences,
        f"{float(face.confidence.mean()):.1f}",
    )


def _shrink(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    factor = side / max(image.shape[:2])
    if factor >= 1:
        return image
    size = (max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _encode(image: NDArray[np.uint8]) -> str:
    return base64.b64encode(encode_image(image)).decode("ascii")
