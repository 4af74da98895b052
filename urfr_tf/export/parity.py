"""The gate of every export: the same images through Keras and through what was exported."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from urfr_tf import keys
from urfr_tf.errors import UrfrError


@dataclass(frozen=True)
class Limit:
    """By how much an export may differ.

    Attributes:
        cosine: least cosine between a sub-embedding of Keras and of the export, over images and groups.
        confidence: largest |s - s'| / s over images and groups.
        accuracy: largest loss of accuracy on pairs of faces, as a fraction.
        tar: largest loss of TAR at the FAR that the pairs support.
    """

    cosine: float
    confidence: float
    accuracy: float = 0.0
    tar: float = 0.0


LIMITS = {
    "saved_model": Limit(cosine=0.99999, confidence=1e-4, accuracy=0.0005, tar=0.0005),
    "bfloat16": Limit(cosine=0.99, confidence=0.05, accuracy=0.002, tar=0.005),
    "none": Limit(cosine=0.9999, confidence=1e-3, accuracy=0.0005, tar=0.0005),
    "float16": Limit(cosine=0.999, confidence=1e-2, accuracy=0.001, tar=0.002),
    "dynamic": Limit(cosine=0.9, confidence=0.1, accuracy=0.003, tar=0.01),
    "int8": Limit(cosine=0.8, confidence=0.2, accuracy=0.005, tar=0.02),
}
"""By name: `saved_model` is the SavedModel in float32, and the others are values of --quantize."""


class Parity(TypedDict):
    """How far the outputs of an export are from those of Keras; see `measure_parity`."""

    images: int
    worst_cosine: float
    median_cosine: float
    worst_cosine_of_group: list[float]
    worst_group: int
    worst_image: int
    worst_confidence_error: float
    median_confidence_error: float


def measure_parity(reference: Mapping[str, NDArray[Any]], candidate: Mapping[str, NDArray[Any]]) -> Parity:
    """Measures in float64 how far the outputs of an export are from those of Keras.

    Args:
        reference, candidate: embedding [N, D], confidence [N, K], variance [N, K].

    Returns:
        worst_cosine and median_cosine over all N K sub-embeddings, worst_cosine_of_group [K],
        worst_group and worst_image (where the worst is), worst_confidence_error and
        median_confidence_error (relative), images N.
    """
    groups = reference[keys.CONFIDENCE].shape[1]
    a, b = (_unit(outputs[keys.EMBEDDING], groups) for outputs in (reference, candidate))
    cosine = np.sum(a * b, axis=-1)
    # NaN must not pass as the best: it counts as the worst that there can be.
    cosine = np.where(np.isfinite(cosine), cosine, -1.0)
    errors = [
        np.abs(np.asarray(candidate[name], np.float64) / reference[name] - 1)
        for name in (keys.CONFIDENCE, keys.VARIANCE)
    ]
    error = np.maximum(*(np.where(np.isfinite(e), e, np.finfo(np.float64).max) for e in errors))
    image, group = np.unravel_index(np.argmin(cosine), cosine.shape)
    return {
        "images": len(cosine),
        "worst_cosine": float(cosine.min()),
        "median_cosine": float(np.median(cosine)),
        "worst_cosine_of_group": [float(value) for value in cosine.min(axis=0)],
        "worst_group": int(group),
        "worst_image": int(image),
        "worst_confidence_error": float(error.max()),
        "median_confidence_error": float(np.median(error)),
    }


def check_parity(name: str, measured: Parity, limit: Limit) -> dict[str, float]:
    """Compares with the limits, and returns them as parity.json has them.

    Raises:
        UrfrError: a limit is exceeded; the sentence says which output, by how much, and where.
    """
    if measured["worst_cosine"] < limit.cosine:
        raise UrfrError(
            f"the {name} was not exported: expected a cosine of at least {limit.cosine} between each "
            f"sub-embedding of Keras and of the export, but {keys.EMBEDDING} group {measured['worst_group']} "
            f"of image {measured['worst_image']} has {measured['worst_cosine']:.6f}"
        )
    if measured["worst_confidence_error"] > limit.confidence:
        raise UrfrError(
            f"the {name} was not exported: expected a relative error of {keys.CONFIDENCE} and "
            f"{keys.VARIANCE} of at most {limit.confidence}, "
            f"but it is {measured['worst_confidence_error']:.3g}"
        )
    return asdict(limit)


def _unit(embedding: NDArray[Any], groups: int) -> NDArray[np.float64]:
    split: NDArray[np.float64] = np.asarray(embedding, np.float64).reshape(len(embedding), groups, -1)
    with np.errstate(invalid="ignore"):  # infinities become NaN, which `measure_parity` counts as the worst
        return np.divide(split, np.maximum(np.linalg.norm(split, axis=-1, keepdims=True), 1e-12))
