"""What an export does to the figures that count: accuracy, TAR and the threshold on pairs of faces."""

import os
from pathlib import Path
from typing import Any

from urfr_tf.data.cropper import CropSettings
from urfr_tf.errors import UrfrError
from urfr_tf.evaluation.embedding import embed_images
from urfr_tf.evaluation.request import EvaluationRequest
from urfr_tf.evaluation.results import rate_name
from urfr_tf.evaluation.verification import PairsMeasurement, count_impostors
from urfr_tf.export.parity import Limit
from urfr_tf.protocols.lfw import open_lfw
from urfr_tf.protocols.pairs import open_pairs
from urfr_tf.protocols.protocol import Pairs
from urfr_tf.runs.embedder import Embedder

FARS = (1e-3, 1e-2, 1e-1)
"""TAR is measured at the first of them that the pairs support."""
_LEAST_IMPOSTORS = 10


def open_faces(data: str) -> Pairs:
    """The pairs that exports are measured on.

    Args:
        data: LFW's layout (`lfw/` or `lfw.tar`, and pairs.txt), or shards or a folder a person, whose pairs are
            those of their pairs.txt if there is one, and generated otherwise.

    Raises:
        UrfrError: nothing there, or too few impostor pairs for a threshold.
    """
    listing = os.path.join(data, "pairs.txt")
    if os.path.isdir(os.path.join(data, "lfw")) or os.path.isfile(os.path.join(data, "lfw.tar")):
        pairs = open_lfw(data)
    else:
        pairs = open_pairs(data, listing if os.path.isfile(listing) else None)
    far_of(pairs, data)
    return pairs


def far_of(pairs: Pairs, data: str = "the data") -> float:
    """The FAR at which these pairs give a TAR and a threshold.

    The threshold is chosen on half of the people, that is on about a quarter of all cross-person pairs, of which
    ten must be behind it.

    Raises:
        UrfrError: there is none.
    """
    count = count_impostors(pairs, _impostors(pairs))
    for far in FARS:
        if count * far / 4 >= _LEAST_IMPOSTORS:
            return far
    raise UrfrError(
        f"expected faces with at least {round(4 * _LEAST_IMPOSTORS / max(FARS))} impostor pairs to measure an export "
        f"on, but {data} gives {count}"
    )


def measure_faces(pairs: Pairs, model: Embedder, crops: Embedder, cache: Path) -> dict[str, Any]:
    """Accuracy in ten folds, TAR at a FAR and the threshold for it, which is this format's own.

    Args:
        pairs: of `open_faces`.
        model: what is measured.
        crops: the model that says how photographs become crops: the same one for all formats.
        cache: folder where embeddings are kept, by the fingerprint of the model.

    Returns:
        accuracy, accuracy_stderr and tar@far as fractions, far, and calibration: the threshold (a cosine), and the
        FAR and TAR that it reaches on the people it was not chosen on.

    Raises:
        UrfrError: an image cannot be read, or too few impostors behind the threshold.
    """
    far = far_of(pairs)
    settings = CropSettings(
        size=crops.aligned_size,
        align="none" if pairs.images.aligned else crops.alignment,
        on_missing="centre",
        min_side=1,
        lossless=True,
    )
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


def change(reference: dict[str, Any], candidate: dict[str, Any]) -> dict[str, Any]:
    """What parity.json keeps of `measure_faces` of Keras and of an export."""
    return {
        "keras": reference,
        "export": candidate,
        "accuracy_change": candidate["accuracy"] - reference["accuracy"],
        "tar_change": candidate["tar@far"] - reference["tar@far"],
    }


def check_faces(name: str, changed: dict[str, Any], limit: Limit) -> None:
    """Raises UrfrError where accuracy or TAR fell by more than the limit."""
    for figure, key, most in (
        ("accuracy", "accuracy_change", limit.accuracy),
        ("tar@far", "tar_change", limit.tar),
    ):
        if changed[key] < -most:
            raise UrfrError(
                f"the {name} was not exported: expected {figure} on pairs of faces to fall by at most "
                f"{most} against Keras, but it fell "
                f"from {changed['keras'][figure]:.4f} to {changed['export'][figure]:.4f}"
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
