"""Two photographs -> the scores of their faces (method, section 6)."""

from typing import TypedDict

import numpy as np
import numpy.typing as npt

from urfr_tf import keys
from urfr_tf.data.cropper import CropSettings
from urfr_tf.embedding.photographs import crop_photographs
from urfr_tf.errors import UrfrError
from urfr_tf.metrics import cosine_score, likelihood_score
from urfr_tf.metrics.groups import split_groups
from urfr_tf.runs.embedder import Embedder
from urfr_tf.runs.thresholds import Threshold


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


def compare_photographs(model: Embedder, a: str, b: str, align: str) -> Comparison:
    """Compares the faces of two files.

    Args:
        model: the model.
        a: path of the first photograph.
        b: path of the second photograph.
        align: `mtcnn` or `none`.

    Raises:
        UrfrError: a file that is no image, or without a face where `align` is mtcnn.
    """
    faces: list[npt.NDArray[np.uint8]] = []
    for photograph in crop_photographs([a, b], CropSettings(size=model.aligned_size, align=align)):
        if photograph.crop is None:
            raise UrfrError(
                f"expected a photograph of a face, but {photograph.path} is refused: {photograph.refused}"
            )
        faces.append(photograph.crop)
    outputs = model(np.stack(faces))
    variance = outputs[keys.VARIANCE]
    groups = split_groups(outputs[keys.EMBEDDING], model.groups)
    cosine = float(cosine_score(groups[:1], groups[1:])[0])
    likelihood = float(likelihood_score(groups[:1], variance[:1], groups[1:], variance[1:])[0])
    threshold = model.threshold
    same = None
    if threshold is not None:
        score = cosine if threshold["score"] == "cosine" else likelihood
        same = score >= threshold["threshold"]
    return {
        "a": a,
        "b": b,
        "align": align,
        "cosine": cosine,
        "likelihood": likelihood,
        "threshold": threshold,
        "same": same,
    }
