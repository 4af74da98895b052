"""How an evaluation runs, top to bottom: images are embedded once and measured, figures are written."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from urfr_tf.data.cropper import CROP_FACTS, CropSettings
from urfr_tf.data.names import shown, to_bytes
from urfr_tf.data.preparation.shard_writer import write_listing
from urfr_tf.errors import UrfrError
from urfr_tf.evaluation.degradations import Degradation
from urfr_tf.evaluation.embedding import Model, Pixels, embed_images
from urfr_tf.evaluation.measurement import Measurement, plan_measurement
from urfr_tf.evaluation.request import EvaluationRequest
from urfr_tf.evaluation.results import OperatingPoint, Result
from urfr_tf.evaluation.scoring import COSINE, Faces, make_faces
from urfr_tf.files import replacing, write_json
from urfr_tf.protocols.protocol import AnyProtocol
from urfr_tf.runs.embedder import Embedder
from urfr_tf.runs.origin import collect_versions
from urfr_tf.runs.thresholds import THRESHOLD_FILE, threshold_path, write_threshold

MOST_REUSED = 1 << 30
"""Bytes of pixels that are held in memory from one degradation to the next."""
METRICS_FILE, SCORES_FILE, REFUSED_FILE = "metrics.json", "scores.npz", "refused_files.tsv"


@dataclass(frozen=True)
class EvaluationSettings:
    """How photographs become crops, and which are degraded.

    Attributes:
        crop: how photographs become crops; images that are aligned already are not aligned again.
        degradations: each is applied to the probes in turn; without any, probes are as they are.
        curve: report each degradation under its own names, next to the figures without any.
    """

    crop: CropSettings
    degradations: tuple[Degradation, ...] = ()
    curve: bool = False

    @property
    def degrades_all(self) -> bool:
        """Whether every figure is one of degraded probes."""
        return bool(self.degradations) and not self.curve


def evaluate(
    model: Model,
    measurement: Measurement,
    settings: EvaluationSettings,
    cache: str | os.PathLike[str] | None = None,
    on_progress: Callable[[int], object] = lambda images: None,
) -> Result:
    """Embeds a protocol's images once and measures them.

    Args:
        model: what `urfr_tf.load` gives.
        measurement: what `plan_measurement` makes of a protocol and a request.
        settings: crops and degradations.
        cache: folder where embeddings are stored, or None.
        on_progress: called with the number of images that were done.

    Raises:
        UrfrError: no image that can be embedded.
    """
    images = measurement.images
    crop = replace(settings.crop, align="none") if images.aligned else settings.crop
    pixels = images.count * 3 * model.input_size**2
    prepared: dict[int, Pixels] | None = {} if settings.degradations and pixels <= MOST_REUSED else None
    refused: dict[str, int] = {}

    def embed_degraded(degradation: Degradation | None) -> Faces:
        faces, reasons = embed_images(model, images, crop, cache, degradation, on_progress, prepared)
        refused.update(reasons)
        return faces

    clean = embed_degraded(None)
    if settings.degrades_all:
        result = measurement.measure(clean, embed_degraded(settings.degradations[0]))
    else:
        result = measurement.measure(clean)
        for degradation in settings.degradations:
            degraded = measurement.measure(clean, embed_degraded(degradation), metrics_only=True)
            result.put_degraded(str(degradation), degraded)
    result.counts["refused_images"] = refused
    if images.refused:
        result.counts["refused_files"] = images.refused_kinds()
        result.refused_files = dict(images.refused)
    return result


def evaluate_embeddings(
    embedding: ArrayLike,
    protocol: AnyProtocol,
    variance: ArrayLike | None = None,
    request: EvaluationRequest | None = None,
    found: ArrayLike | None = None,
) -> Result:
    """Measures embeddings that come from anywhere (eigenfaces, another model); no files, no model.

    Args:
        embedding: float [N, D] in the order of `protocol.images`, of any norm for `cosine`.
        protocol: what is compared with what.
        variance: float [N, K]; None for representations without one, which only have a cosine.
        request: what to report; None: TAR by cosine at the usual FARs.
        found: bool [N], False where there is no embedding.

    Raises:
        UrfrError: sizes that do not match, NaN, too few impostors behind a FAR, another score than cosine
            without variance.
    """
    count = len(np.asarray(embedding))
    if count != protocol.images.count:
        raise UrfrError(f"expected embeddings of {protocol.images.count} images, but got {count}")
    request = request or EvaluationRequest()
    measurement = plan_measurement(protocol, request)
    if request.score != COSINE and variance is None:
        raise UrfrError(f"expected variances for the {request.score} score, but got none")
    return measurement.measure(make_faces(embedding, variance, found))


@dataclass
class EvaluationOutput:
    """A result and what it was measured on; `write` puts it into a folder.

    Attributes:
        protocol, model, score: names.
        result: the figures.
        about: how they were obtained, written as it is.
    """

    protocol: str
    model: str
    score: str
    result: Result
    about: dict[str, object] = field(default_factory=dict)

    def operating_point(self) -> OperatingPoint | None:
        """The threshold of the smallest FAR that could be calibrated, or None."""
        return min(self.result.calibration, key=lambda point: point["far"], default=None)

    def content(self) -> dict[str, object]:
        """What metrics.json holds; see docs/reference/metrics.md."""
        point = self.operating_point()
        return {
            "protocol": self.protocol,
            "model": self.model,
            "score": self.score,
            "metrics": self.result.metrics,
            "counts": self.result.counts,
            "threshold": None if point is None else point["threshold"],
            "thin": self.result.thin,
            "refused": self.result.refused,
            "intervals": self.result.intervals,
            "calibration": self.result.calibration,
            "reject": self.result.reject,
            **self.about,
            "versions": collect_versions(),
        }

    def write(self, out: str | os.PathLike[str]) -> Path:
        """Writes scores.npz and metrics.json; returns the path of the latter.

        Files in people's folders that are no images are named in refused_files.tsv, if there were some. Each
        file is written whole or not at all. metrics.json is the last of an evaluation, so that a folder that
        has one is complete: write pictures before.

        Raises:
            UrfrError: the disk is full or the folder cannot be written.
        """
        folder = Path(out)
        if self.result.refused_files:
            rows = self.result.refused_files.items()
            write_listing(folder / REFUSED_FILE, ((shown(to_bytes(name)), reason) for name, reason in rows))
        else:
            (folder / REFUSED_FILE).unlink(missing_ok=True)
        with replacing(folder / SCORES_FILE) as tmp_path, open(tmp_path, "wb") as file:
            arrays: dict[str, Any] = {**self.result.arrays}  # NumPy 2's savez has an option beside them
            np.savez(file, **arrays)
        write_json(folder / METRICS_FILE, self.content())
        return folder / METRICS_FILE


def store_threshold(output: EvaluationOutput, model: Embedder, out: Path, of_model: bool) -> list[Path]:
    """Writes threshold.json next to metrics.json and, for `urfr compare`, to the model.

    Args:
        output: the evaluation; without a calibrated threshold nothing is written.
        model: the model that was evaluated. Its fingerprint and kind are stored.
        out: folder of the evaluation.
        of_model: whether the model gets the threshold too: it is for two undegraded photographs.

    Returns:
        The paths of the files.

    Raises:
        UrfrError: the disk is full or a folder cannot be written.
    """
    point = output.operating_point()
    if point is None:
        return []
    paths = [out / THRESHOLD_FILE]
    if of_model:
        paths.append(threshold_path(model.kind, model.path))
    crops = {key: value for key, value in output.about.items() if key in CROP_FACTS}
    for path in paths:
        write_threshold(path, model, output.score, output.protocol, {**point, **crops})
    return paths
