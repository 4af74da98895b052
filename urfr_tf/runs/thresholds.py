"""The operating threshold of a model: where it is stored, how it is written and read, which model it is of.

A threshold belongs to the files that it was calibrated with. Another quantization, or the same run after more
training, gives other scores. `urfr evaluate --far` therefore writes it next to the model with the model's
fingerprint.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, TypedDict, cast

from urfr_tf.errors import UrfrError
from urfr_tf.files import read_json, write_json

THRESHOLD_FILE = "threshold.json"
_SCORES = ("cosine", "likelihood")
_LARGEST = 1e30  # above any score


class _Verdict(TypedDict):
    """What a threshold needs: two photographs show one person where `score` >= `threshold`."""

    score: str
    threshold: float


class Threshold(_Verdict, total=False):
    """A threshold and where it comes from; one that was written by hand may have the first two keys only."""

    protocol: str
    kind: str
    fingerprint: str
    far: float
    align: str
    """How the photographs became crops: `mtcnn`, `points` or `none`."""
    faces: str
    min_face: int
    max_pixels: int


class CalibratedModel(Protocol):
    """What a threshold is bound to: an `Embedder`, or anything with the same attributes."""

    @property
    def kind(self) -> str:
        """`run`, `saved_model`, `tflite` or `server`."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of the files that the outputs depend on."""


def threshold_path(kind: str, path: str | Path) -> Path:
    """Names the file for the threshold of a model.

    It is in the run folder, in the `assets.extra` of a SavedModel, or next to a .tflite file. TensorFlow
    Serving ignores `assets.extra`, and no fingerprint covers it.

    Args:
        kind: `run`, `saved_model` or `tflite`.
        path: of the model.
    """
    model = Path(path)
    if kind == "tflite":
        return model.with_name(f"{model.name}.{THRESHOLD_FILE}")
    return model / "assets.extra" / THRESHOLD_FILE if kind == "saved_model" else model / THRESHOLD_FILE


def write_threshold(
    path: Path, model: CalibratedModel, score: str, protocol: str, point: Mapping[str, object]
) -> None:
    """Writes the threshold that was calibrated with a model.

    Args:
        path: the file, see `threshold_path`.
        model: the model that gave the scores; its kind and fingerprint are stored.
        score: `cosine` or `likelihood`.
        protocol: name of the protocol that gave the impostors.
        point: `threshold`, `far` and what else is known about the operating point and its crops.

    Raises:
        UrfrError: the disk is full or the folder cannot be written.
    """
    origin = {"protocol": protocol, "kind": model.kind, "fingerprint": model.fingerprint}
    write_json(path, {"score": score, **point, **origin})


def read_threshold(path: Path) -> Threshold:
    """Reads a threshold file.

    Raises:
        UrfrError: not JSON, another score than `cosine` or `likelihood`, or no finite number.
    """
    return check_threshold(read_json(path), path)


def check_threshold(content: object, origin: object) -> Threshold:
    """Accepts parsed JSON as a threshold.

    Args:
        content: what the parser gave.
        origin: where it was read, for the message.

    Raises:
        UrfrError: another score than `cosine` or `likelihood`, or no finite number.
    """
    table = content if isinstance(content, dict) else {}
    value = table.get("threshold")
    number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _LARGEST
    if not number or table.get("score") not in _SCORES:
        raise UrfrError(
            f'expected {{"score": "cosine" or "likelihood", "threshold": number}} in {origin}, '
            f"but got {json.dumps(content)[:100]}"
        )
    return cast(Threshold, content)


def read_run_threshold(run: Path) -> Threshold | None:
    """Reads the threshold that a run folder holds, of whatever weights; None where there is none.

    Raises:
        UrfrError: the file is mangled.
    """
    path = threshold_path("run", run)
    return read_threshold(path) if path.is_file() else None


def find_threshold(
    kind: str, path: str | Path, fingerprint: str, from_card: Threshold | None
) -> Threshold | None:
    """Finds the threshold that was calibrated with the files of a model.

    Args:
        kind: `run`, `saved_model`, `tflite` or `server`. A server has no file at its address: the card
            counts.
        path: of the model.
        fingerprint: of the model.
        from_card: what its card says. The card of an export has the threshold of its run, which was
            calibrated with other files and is not returned.

    Returns:
        The threshold, or None where there is none or it is of another model. One without a fingerprint,
        written by hand, is returned.

    Raises:
        UrfrError: the file of the threshold is mangled.
    """
    file = None if kind == "server" else threshold_path(kind, path)
    threshold = read_threshold(file) if file and file.is_file() else from_card
    if threshold and threshold.get("fingerprint", fingerprint) == fingerprint:
        return threshold
    return None
