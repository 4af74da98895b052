"""Faces and their five points in photographs, and the choice of one of several faces."""

import dataclasses
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from urfr_tf.errors import UrfrError
from urfr_tf.faces import cascade
from urfr_tf.faces.align import Image, check_image


@dataclasses.dataclass(frozen=True)
class Face:
    """One face found in a photograph, in its pixels (centres at whole numbers, x to the right, y down).

    Attributes:
        box: float32 [4], left, top, right, bottom; may reach beyond the image.
        score: probability of a face, 0..1, of the last network.
        points: float32 [5, 2], x and y, in the order of `template.POINT_NAMES`.
        at_border: the box reaches beyond the image, so some of the face is likely to be missing.
    """

    box: NDArray[np.float32]
    score: float
    points: NDArray[np.float32]
    at_border: bool


class Detector:
    """MTCNN over lists of photographs, on the processor, with bounded memory.

    Args:
        batch: photographs worked on together; they share calls of the networks, whatever their sizes.
        min_size: smallest face looked for, in pixels, at least 12; work and memory grow with 1 / min_size^2.
        thresholds: of the three networks, each in 0..1; lower finds more faces and more that are none.
        scale_factor: between levels of the pyramid, 0.3 to 0.9; smaller is faster and finds less.

    Raises:
        UrfrError: a setting is outside of its range.
    """

    def __init__(
        self,
        batch: int = 32,
        min_size: float = 40,
        thresholds: Sequence[float] = (0.6, 0.7, 0.8),
        scale_factor: float = 0.709,
    ) -> None:
        if batch < 1:
            raise UrfrError(f"expected a detection batch of at least 1, but got {batch}")
        if not min_size >= cascade.CELL:
            raise UrfrError(f"expected a smallest face of {cascade.CELL} pixels or more, but got {min_size}")
        if len(thresholds) != 3 or not all(0 <= t <= 1 for t in thresholds):
            raise UrfrError(f"expected three detection thresholds in 0..1, but got {tuple(thresholds)}")
        if not 0.3 <= scale_factor <= 0.9:
            raise UrfrError(f"expected a pyramid's scale factor of 0.3 to 0.9, but got {scale_factor}")
        self.batch = batch
        self.min_size = min_size
        self.thresholds = tuple(thresholds)
        self.scale_factor = scale_factor
        self._networks = cascade.load_networks()

    def detect(self, images: Sequence[Image]) -> list[list[Face]]:
        """Faces of every image, the most probable first.

        Args:
            images: uint8 [H, W, 3] each, RGB, 0..255, of any sizes.

        Returns:
            One list for every image, empty where no face was found.

        Raises:
            UrfrError: something that is not such an image.
        """
        for image in images:
            check_image(image)
        faces: list[list[Face]] = []
        for first in range(0, len(images), self.batch):
            faces.extend(self._detect_together(images[first : first + self.batch]))
        return faces

    def _detect_together(self, images: Sequence[Image]) -> list[list[Face]]:
        propose, refine, output = self._networks
        boxes = cascade.propose(propose, images, self.min_size, self.scale_factor, self.thresholds[0])
        refined = cascade.examine(refine, images, boxes, 24, self.thresholds[1])
        boxes = [cascade.square(r.boxes[cascade.suppress(r.boxes, r.scores, 0.7)]) for r in refined]
        by_image = cascade.examine(output, images, boxes, 48, self.thresholds[2])
        return [_faces(candidates, image) for candidates, image in zip(by_image, images, strict=True)]


def _faces(candidates: cascade.Candidates, image: Image) -> list[Face]:
    return [
        Face(
            box=candidates.boxes[i].astype(np.float32),
            score=float(candidates.scores[i]),
            points=candidates.points[i].astype(np.float32),
            at_border=_beyond(candidates.boxes[i], image),
        )
        for i in cascade.suppress_nested(candidates.boxes, candidates.scores, 0.7)
    ]


def _beyond(box: NDArray[np.float64], image: Image) -> bool:
    height, width = image.shape[:2]
    return bool(box[0] < 0 or box[1] < 0 or box[2] > width or box[3] > height)


def choose_face(
    faces: Sequence[Face], image_shape: Sequence[int], rule: Literal["largest", "central"] = "largest"
) -> Face | None:
    """The one face of a photograph that counts.

    Args:
        faces: what `Detector.detect` gave for the photograph.
        image_shape: its (height, width, ...).
        rule: "largest" box, or "central": the center of the box nearest to the center of the photograph.

    Returns:
        The face, or None where there is none. Of equals the first, so the more probable one.

    Raises:
        UrfrError: another rule.
    """
    if rule not in ("largest", "central"):
        raise UrfrError(f"expected the rule largest or central for the choice of a face, but got {rule!r}")
    if not faces:
        return None
    if rule == "largest":
        return max(faces, key=lambda face: float(np.prod(np.maximum(face.box[2:] - face.box[:2], 0))))
    middle = np.array([image_shape[1], image_shape[0]]) / 2
    return min(faces, key=lambda face: float(np.hypot(*((face.box[:2] + face.box[2:]) / 2 - middle))))
