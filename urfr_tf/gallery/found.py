"""Who is on some photographs: the search of every face, in words and as JSON."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from urfr_tf.data.cropper import CropSettings
from urfr_tf.gallery.calibration import Calibration
from urfr_tf.gallery.gallery import Answer, Gallery
from urfr_tf.gallery.photographs import embed_faces
from urfr_tf.metrics.arrays import Float32s
from urfr_tf.runs.embedder import Embedder


class FoundFace(NamedTuple):
    """One face: its box in the photograph, or None; its confidences float32 [K]; what was found."""

    box: list[float] | None
    confidence: Float32s
    answer: Answer


class FoundPhotograph(NamedTuple):
    """One photograph: its path, its faces, and why there is none, or ""."""

    path: str
    faces: list[FoundFace]
    refused: str


@dataclass(frozen=True)
class Found:
    """What a search of photographs found.

    Attributes:
        gallery: its address.
        score: what was compared.
        people: in the gallery.
        photographs: in the order in which they were given.
        calibration: of the gallery for this score, or None.
        warnings: what somebody who relies on the threshold should know.
    """

    gallery: str
    score: str
    people: int
    photographs: list[FoundPhotograph]
    calibration: Calibration | None
    warnings: list[str]

    def to_json(self) -> dict[str, object]:
        """What `urfr gallery search --json` prints."""
        return {
            "gallery": self.gallery,
            "score": self.score,
            "people": self.people,
            "calibration": self.calibration,
            "warnings": self.warnings,
            "photographs": [
                {
                    "path": photograph.path,
                    "refused": photograph.refused,
                    "faces": [_face_to_json(face) for face in photograph.faces],
                }
                for photograph in self.photographs
            ],
        }

    def lines(self) -> Iterator[str]:
        """What the command prints for people."""
        for photograph in self.photographs:
            if photograph.refused:
                yield f"{photograph.path}: refused: {photograph.refused}"
            for number, face in enumerate(photograph.faces, 1):
                yield f"{photograph.path}, face {number}{_spell_box(face.box)}: {self.decide(face.answer)}"
                for place, candidate in enumerate(face.answer.candidates, 1):
                    images = "1 image" if candidate.images == 1 else f"{candidate.images} images"
                    yield f"{place:4}  {candidate.score:10.4f}  {candidate.person} ({images})"
        if self.calibration is not None:
            made = self.calibration
            yield f"{self.score} threshold {made['threshold']:.4f}, FPIR {made['fpir']:g}"
        yield from (f"warning: {warning}" for warning in self.warnings)

    def decide(self, answer: Answer) -> str:
        """The decision about a face in words."""
        if answer.known is None:
            return "no decision without a calibration"
        return answer.person or "nobody in the gallery"


def search_photographs(
    gallery: Gallery,
    model: Embedder,
    paths: Sequence[str],
    settings: CropSettings,
    *,
    top: int = 5,
    score: str = "likelihood",
) -> Found:
    """Searches the faces of photographs in a gallery.

    Args:
        gallery: the gallery.
        model: the model that the gallery was made with.
        paths: image files, untrusted.
        settings: how photographs become crops; its `faces` may be `all`.
        top: candidates for each face.
        score: `likelihood`, `cosine` or `weighted`.

    Raises:
        UrfrError: another model, or as `Gallery.search`.
    """
    gallery.check_model(model)
    photographs = []
    for one in embed_faces(model, paths, settings, settings.faces):
        answers = gallery.search(one.faces, top=top, score=score)
        faces = [
            FoundFace(box, 1 / variance, answer)
            for box, variance, answer in zip(one.boxes, one.faces.variance, answers, strict=True)
        ]
        photographs.append(FoundPhotograph(one.path, faces, one.refused))
    calibration = gallery.calibration(score)
    warnings = gallery.warnings(score, settings.align)
    most = max((len(photograph.faces) for photograph in photographs), default=0)
    if calibration is not None and most > 1:
        warnings.append(
            f"a photograph with {most} faces is {most} searches, and each may take a stranger for somebody"
        )
    people = gallery.size().people
    return Found(gallery.where, score, people, photographs, calibration, warnings)


def _face_to_json(face: FoundFace) -> dict[str, object]:
    answer = face.answer
    return {
        "box": face.box,
        "confidence": [round(float(value), 6) for value in face.confidence],
        "known": answer.known,
        "person": answer.person,
        "candidates": [
            {"person": each.person, "score": each.score, "images": each.images} for each in answer.candidates
        ],
    }


def _spell_box(box: list[float] | None) -> str:
    if box is None:
        return ""
    left, top, right, bottom = (round(side) for side in box)
    return f" at x {left} to {right}, y {top} to {bottom}"
