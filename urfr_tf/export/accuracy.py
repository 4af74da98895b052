"""How an export changes accuracy, TAR and the threshold on pairs of faces."""

import os
from pathlib import Path
from typing import TypedDict

from urfr_tf.data.cropper import CropSettings
from urfr_tf.errors import UrfrError
from urfr_tf.evaluation.embedding import embed_images
from urfr_tf.evaluation.request import EvaluationRequest
from urfr_tf.evaluation.results import OperatingPoint, rate_name
from urfr_tf.evaluation.verification import PairsMeasurement, count_impostors
from urfr_tf.export.parity import Limit
from urfr_tf.export.request import ExportRequest
from urfr_tf.protocols.lfw import open_lfw
from urfr_tf.protocols.pairs import open_pairs
from urfr_tf.protocols.protocol import Pairs
from urfr_tf.runs.embedder import Embedder

FARS = (1e-3, 1e-2, 1e-1)
"""TAR is measured at the first of them that the pairs support."""
_LEAST_IMPOSTORS = 10

FaceFigures = TypedDict(
    "FaceFigures",
    {
        "accuracy": float,
        "accuracy_stderr": float,
        "far": float,
        "tar@far": float,
        "calibration": OperatingPoint,
    },
)
"""What one model reaches on pairs of faces; see `measure_face_pairs`."""


class AccuracyChange(TypedDict):
    """The figures of Keras and of an export, as parity.json has them."""

    keras: FaceFigures
    export: FaceFigures
    accuracy_change: float
    tar_change: float


def open_face_pairs(data: str) -> Pairs:
    """Opens the pairs that exports are measured on.

    Args:
        data: LFW's layout (`lfw/` or `lfw.tar`, and pairs.txt), shards, or one folder per person. The pairs
            are those of a pairs.txt in the folder if there is one, and generated otherwise.

    Raises:
        UrfrError: nothing there, or too few impostor pairs for a threshold.
    """
    listing = os.path.join(data, "pairs.txt")
    if os.path.isdir(os.path.join(data, "lfw")) or os.path.isfile(os.path.join(data, "lfw.tar")):
        pairs = open_lfw(data)
    else:
        pairs = open_pairs(data, listing if os.path.isfile(listing) else None)
    choose_far(pairs, data)
    return pairs


def choose_far(pairs: Pairs, data: str = "the data") -> float:
    """Chooses the FAR at which these pairs give a TAR and a threshold.

    The threshold is chosen on half of the people, which is on about a quarter of all cross-person pairs. Ten
    of these pairs must be above it.

    Raises:
        UrfrError: there is none.
    """
    count = count_impostors(pairs, _impostors(pairs))
    for far in FARS:
        if count * far / 4 >= _LEAST_IMPOSTORS:
            return far
    raise UrfrError(
        f"expected faces with at least {round(4 * _LEAST_IMPOSTORS / max(FARS))} impostor pairs to "
        f"measure an export on, but {data} gives {count}"
    )


def choose_crops(pairs: Pairs, model: Embedder, request: ExportRequest) -> CropSettings:
    """How the photographs of the pairs become crops: as in the training of `model`, for all formats."""
    return CropSettings(
        size=model.aligned_size,
        align="none" if pairs.images.aligned else model.alignment,
        faces=request.which_face,
        min_face=request.min_face,
        max_pixels=request.max_pixels,
        on_missing="centre",
        min_side=1,
        lossless=True,
    )


def measure_face_pairs(pairs: Pairs, model: Embedder, settings: CropSettings, cache: Path) -> FaceFigures:
    """Measures accuracy in ten folds, TAR at a FAR, and the threshold of this model for that FAR.

    Args:
        pairs: of `open_face_pairs`.
        model: what is measured.
        settings: how photographs become crops (`choose_crops`).
        cache: folder that stores embeddings, by the fingerprint of the model.

    Returns:
        accuracy, accuracy_stderr and tar@far as fractions, far, and calibration: the threshold (a cosine),
        and the FAR and TAR that it reaches on the people it was not chosen on.

    Raises:
        UrfrError: an image cannot be read, or too few impostors behind the threshold.
    """
    far = choose_far(pairs)
    faces, _ = embed_images(model, pairs.images, settings, cache)
    request = EvaluationRequest(fars=(far,), impostors=_impostors(pairs), replicates=0)
    result = PairsMeasurement(pairs, request).measure(faces)
    if not result.calibration:
        raise UrfrError(f"no threshold for FAR {far:g}: {'; '.join(result.refused.values())}")
    return {
        "accuracy": result.metrics["accuracy"],
        "accuracy_stderr": result.metrics["accuracy_stderr"],
        "far": far,
        "tar@far": result.metrics[rate_name("tar@far", far)],
        "calibration": result.calibration[0],
    }


def compare_accuracy(reference: FaceFigures, candidate: FaceFigures) -> AccuracyChange:
    """Gives what parity.json says about `measure_face_pairs` of Keras and of an export."""
    return {
        "keras": reference,
        "export": candidate,
        "accuracy_change": candidate["accuracy"] - reference["accuracy"],
        "tar_change": candidate["tar@far"] - reference["tar@far"],
    }


def check_accuracy(name: str, change: AccuracyChange, limit: Limit) -> None:
    """Raises UrfrError where accuracy or TAR fell by more than the limit."""
    before, after = change["keras"], change["export"]
    for figure, difference, most, values in (
        ("accuracy", change["accuracy_change"], limit.accuracy, (before["accuracy"], after["accuracy"])),
        ("tar@far", change["tar_change"], limit.tar, (before["tar@far"], after["tar@far"])),
    ):
        if difference < -most:
            raise UrfrError(
                f"the {name} was not exported: expected {figure} on pairs of faces to fall by at most "
                f"{most} against Keras, but it fell from {values[0]:.4f} to {values[1]:.4f}"
            )


def _impostors(pairs: Pairs) -> str:
    """Every cross-person pair, unless the people are not known or there are too many."""
    if pairs.identity is None:
        return "listed"
    try:
        count_impostors(pairs, "all")
    except UrfrError:  # more than are supported
        return "listed"
    return "all"
