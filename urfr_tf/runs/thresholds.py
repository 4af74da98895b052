"""The operating threshold of a model: where it is kept, and whether it is this model's own.

A threshold belongs to the very files it was calibrated with: another quantisation, or the same run trained
on, gives other scores. `urfr evaluate --far` writes it beside the model, with the model's fingerprint.
"""

from pathlib import Path
from typing import Any

from urfr_tf.runs.card import THRESHOLD, read_threshold


def threshold_file(kind: str, path: str | Path) -> Path:
    """Where a model keeps its threshold: in the run, in the SavedModel's assets.extra, beside the .tflite file.

    TensorFlow Serving ignores assets.extra, and no fingerprint covers it.
    """
    place = Path(path)
    if kind == "tflite":
        return place.with_name(f"{place.name}.{THRESHOLD}")
    return place / "assets.extra" / THRESHOLD if kind == "saved_model" else place / THRESHOLD


def own_threshold(
    kind: str, path: str | Path, fingerprint: str, carried: dict[str, Any] | None
) -> dict[str, Any] | None:
    """The threshold of a model, {"score", "threshold", ...}, or None.

    Args:
        kind: run, saved_model, tflite, or server, which has no file at its address: what is carried counts.
        path: of the model.
        fingerprint: of the model.
        carried: what its card carries; an export's card has that of its run, which was calibrated with
            other files and does not count.

    Raises:
        UrfrError: the file of the threshold is mangled.
    """
    place = None if kind == "server" else threshold_file(kind, path)
    found = read_threshold(place) if place and place.is_file() else carried
    # One written by hand names no fingerprint, and is taken.
    return found if found and found.get("fingerprint", fingerprint) == fingerprint else None
