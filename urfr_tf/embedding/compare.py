"""Two photographs -> the scores of their faces (method, section 6)."""

from typing import TypedDict

import numpy as np

from urfr_tf import keys
from urfr_tf.data.cropper import CropSettings
from urfr_tf.embedding.photographs import EveryFace, crop_every_face
from urfr_tf.errors import UrfrError
from urfr_tf.metrics import cosine_score, likelihood_score
from urfr_tf.metrics.arrays import Array
from urfr_tf.metrics.groups import split_groups
from urfr_tf.runs.embedder import Embedder
from urfr_tf.runs.thresholds import Threshold

_BATCH = 64


class Comparison(TypedDict):
    """What `urfr compare --json` prints."""

    a: str
    b: str
    align: str
    cosine: float
    """-1..1."""
    likelihood: float
    """Mutual likelihood score, of no fixed range."""
    threshold: Threshold | None
    """The calibrated threshold of the model."""
    same: bool | None
    """Whether the score reaches the threshold; None without a threshold."""
    faces: str
    """Which faces were compared: `all`, `largest` or `central`."""
    faces_a: int | None
    """How many faces were found in the first photograph; None where none were looked for."""
    faces_b: int | None
    box_a: list[float] | None
    """The face of the first photograph that the scores are of: left, top, right, bottom in its pixels."""
    box_b: list[float] | None
    compared: int
    """How many pairs of faces were compared; the scores are those of the best."""


def compare_photographs(model: Embedder, a: str, b: str, settings: CropSettings, faces: str) -> Comparison:
    """Compares the faces of two files.

    Every face of the one is compared with every face of the other, and the pair with the best score counts:
    the score of the threshold, or the cosine where there is none.

    Args:
        model: the model.
        a: path of the first photograph.
        b: path of the second photograph.
        settings: how a photograph becomes crops; its size is the model's.
        faces: `all`, or which one of several: `largest` or `central`.

    Raises:
        UrfrError: a file that is no image, or without a face where faces are looked for.
    """
    first, second = crop_every_face([a, b], settings, faces)
    for photograph in (first, second):
        if photograph.refused:
            raise UrfrError(
                f"expected a photograph of a face, but {photograph.path} is refused: {photograph.refused}"
            )
    threshold = model.threshold
    cosine, likelihood = _score_all(model, first, second)
    scores = likelihood if threshold is not None and threshold["score"] == "likelihood" else cosine
    row, column = np.unravel_index(np.argmax(scores), scores.shape)
    same = None if threshold is None else bool(scores[row, column] >= threshold["threshold"])
    return {
        "a": a,
        "b": b,
        "align": settings.align,
        "cosine": float(cosine[row, column]),
        "likelihood": float(likelihood[row, column]),
        "threshold": threshold,
        "same": same,
        "faces": faces,
        "faces_a": first.found,
        "faces_b": second.found,
        "box_a": first.boxes[row] if first.boxes else None,
        "box_b": second.boxes[column] if second.boxes else None,
        "compared": scores.size,
    }


def _score_all(model: Embedder, first: EveryFace, second: EveryFace) -> tuple[Array, Array]:
    """Cosine and likelihood of every face of the one with every face of the other, [N, M] each."""
    crops = np.concatenate([first.crops, second.crops])
    outputs = [model(crops[start : start + _BATCH]) for start in range(0, len(crops), _BATCH)]
    variance = np.concatenate([output[keys.VARIANCE] for output in outputs])
    groups = split_groups(np.concatenate([output[keys.EMBEDDING] for output in outputs]), model.groups)
    count = len(first.crops)
    a, b = groups[:count], groups[count:]
    # Pair by pair, as the all-pairs matrix product rounds otherwise.
    i, j = (index.ravel() for index in np.indices((len(a), len(b))))
    shape = len(a), len(b)
    likelihood = likelihood_score(a[i], variance[:count][i], b[j], variance[count:][j])
    return cosine_score(a[i], b[j]).reshape(shape), likelihood.reshape(shape)
