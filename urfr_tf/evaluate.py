"""Model + protocol -> figures: what `urfr evaluate` does, read from top to bottom."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from urfr_tf.data.preparation.crops import CropSettings
from urfr_tf.errors import UrfrError
from urfr_tf.evaluation.degradations import Degradation
from urfr_tf.evaluation.distractors import check_distractors, measure_distractors
from urfr_tf.evaluation.embedding import Model, Pixels, embed
from urfr_tf.evaluation.request import EvaluationRequest
from urfr_tf.evaluation.results import Result, joined
from urfr_tf.evaluation.scoring import Faces, check_score, faces_of
from urfr_tf.evaluation.templates import check_templates, measure_templates
from urfr_tf.evaluation.verification import check_pairs, measure_pairs
from urfr_tf.files import replacing, write_bytes, write_json
from urfr_tf.protocols.protocol import Distractors, PairLists, Pairs, Templates
from urfr_tf.runs.folder import collect_versions
from urfr_tf.runs.thresholds import THRESHOLD_FILE, threshold_path, write_threshold
from urfr_tf.visualize.canvas import png
from urfr_tf.visualize.degraded import by_strength
from urfr_tf.visualize.reject_pictures import curves_of
from urfr_tf.visualize.robustness import reject_figure, robustness_figure

MOST_KEPT = 1 << 30
"""Bytes of pixels that are kept from one degradation to the next."""

AnyProtocol = Pairs | PairLists | Templates | Distractors
METRICS, SCORES = "metrics.json", "scores.npz"


@dataclass(frozen=True)
class Settings:
    """How photographs become crops, and which are degraded.

    Attributes:
        align: mtcnn, points or none.
        size: side of the crops in pixels, at least the model's input.
        on_missing: a photograph without a face: "skip" counts it as not found, "centre" takes its centre.
        min_face: smallest face that is looked for, in pixels.
        degradations: each is applied to the probes in turn; without any, probes are as they are.
        curve: report each degradation under its own names, beside the figures without any.
        faces: which of several detected faces: "largest" or "central".
    """

    align: str
    size: int
    on_missing: str = "skip"
    min_face: int = 40
    degradations: tuple[Degradation, ...] = ()
    curve: bool = False
    faces: str = "largest"


@dataclass
class Evaluation:
    """A result and what it was measured on; `write` puts it into a folder."""

    protocol: str
    model: str
    score: str
    result: Result
    about: dict[str, Any] = field(default_factory=dict)

    def threshold(self) -> dict[str, Any] | None:
        """The operating point: that of the smallest FAR that could be calibrated, or None."""
        return min(self.result.calibration, key=lambda point: point["far"], default=None)

    def content(self) -> dict[str, Any]:
        """What metrics.json holds; see interface.md."""
        point = self.threshold()
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

    def figures(self) -> dict[str, Figure]:
        """File name -> picture of the robustness and reject curves that there are."""
        found = {}
        if by_strength(self.result.metrics):
            found["robustness.png"] = robustness_figure(self.result.metrics)
        for part, shares, rates, far in curves_of(self.result.reject):
            name = f"reject-{part.replace(' ', '')}.png" if part else "reject.png"
            found[name] = reject_figure(shares, rates, far)
        return found

    def write(self, out: str | os.PathLike[str]) -> Path:
        """Writes metrics.json, scores.npz and, where there are curves, their PNGs; returns the first's path.

        Each is written whole or not at all, metrics.json last.

        Raises:
            UrfrError: the disk is full or the folder cannot be written.
        """
        folder = Path(out)
        with replacing(folder / SCORES) as tmp_path, open(tmp_path, "wb") as file:
            np.savez(file, **self.result.arrays)  # type: ignore[arg-type]
        for name, figure in self.figures().items():
            write_bytes(folder / name, png(figure))
        write_json(folder / METRICS, self.content())
        return folder / METRICS


def evaluate(
    model: Model,
    protocol: AnyProtocol,
    request: EvaluationRequest,
    settings: Settings,
    cache: str | os.PathLike[str] | None = None,
    on_progress: Callable[[int], Any] = lambda images: None,
) -> Result:
    """Embeds a protocol's images once and measures them.

    Args:
        model: what `urfr_tf.load` gives.
        protocol: what is compared with what.
        request: what to report.
        settings: crops and degradations.
        cache: folder where embeddings are kept, or None.
        on_progress: called with the number of images that were done.

    Raises:
        UrfrError: a FAR with too few impostors, no image that can be embedded.
    """
    check(protocol, request)
    crop = CropSettings(
        size=settings.size,
        align="none" if protocol.images.aligned else settings.align,
        faces=settings.faces,
        on_missing=settings.on_missing,
        min_face=settings.min_face,
        min_side=1,
        lossless=True,
    )
    refused: dict[str, int] = {}
    pixels = protocol.images.count * 3 * model.input_size**2
    prepared: dict[int, Pixels] | None = {} if settings.degradations and pixels <= MOST_KEPT else None

    def faces(degradation: Degradation | None) -> Faces:
        found, reasons = embed(model, protocol.images, crop, cache, degradation, on_progress, prepared)
        refused.update(reasons)
        return found

    clean = faces(None)
    if settings.curve:
        result = measure(protocol, clean, request)
        quick = replace(request, replicates=0, thresholds=False)
        clean_refused = set(result.refused)
        for degradation in settings.degradations:
            worse = measure(protocol, clean, quick, faces(degradation))
            result.metrics.update({f"{name}@{degradation}": value for name, value in worse.metrics.items()})
            result.thin.extend(f"{name}@{degradation}" for name in worse.thin)
            new = {name: why for name, why in worse.refused.items() if name not in clean_refused}
            result.refused.update({f"{name}@{degradation}": why for name, why in new.items()})
    else:
        probes = faces(settings.degradations[0]) if settings.degradations else None
        result = measure(protocol, clean, request, probes)
    result.counts["refused_images"] = refused
    return result


def check(protocol: AnyProtocol, request: EvaluationRequest) -> None:
    """Raises UrfrError for what can be refused before anything is embedded."""
    check_score(request.score)
    if isinstance(protocol, Pairs):
        check_pairs(protocol, request)
    elif isinstance(protocol, PairLists):
        for pairs in protocol.by_list.values():
            check_pairs(pairs, request)
    elif isinstance(protocol, Templates):
        check_templates(protocol, request)
    else:
        check_distractors(protocol, request)


def measure(
    protocol: AnyProtocol, faces: Faces, request: EvaluationRequest, probes: Faces | None = None
) -> Result:
    """Figures of embedded images; `probes` are the same images degraded."""
    if isinstance(protocol, Pairs):
        return measure_pairs(protocol, faces, request, probes)
    if isinstance(protocol, PairLists):
        return joined(
            {name: measure_pairs(pairs, faces, request, probes) for name, pairs in protocol.by_list.items()}
        )
    if isinstance(protocol, Templates):
        return measure_templates(protocol, faces, request, probes)
    return measure_distractors(protocol, faces, request, probes)


def evaluate_embeddings(
    embedding: np.ndarray,
    protocol: AnyProtocol,
    variance: np.ndarray | None = None,
    *,
    score: str = "cosine",
    fars: tuple[float, ...] = (),
    thin: bool = False,
    impostors: str = "listed",
    found: np.ndarray | None = None,
) -> Result:
    """Figures of embeddings that come from anywhere (eigenfaces, another model); no files, no model.

    Args:
        embedding: float [N, D] in the order of `protocol.images`, of any norm for `cosine`.
        protocol: what is compared with what.
        variance: float [N, K]; None for representations without one, which only have a cosine.
        score: cosine, likelihood or, of templates, weighted.
        fars: which TAR to report; empty: 1e-1 ... 1e-6 as far as there are impostors for them.
        thin: give FARs with fewer than 10 impostors behind them too, marked.
        impostors: "listed", or "all" cross-person pairs.
        found: bool [N], False where there is no embedding.

    Raises:
        UrfrError: sizes that do not match, NaN, too few impostors behind a FAR, another score than cosine without variance.
    """
    if len(embedding) != protocol.images.count:
        raise UrfrError(f"expected embeddings of {protocol.images.count} images, but got {len(embedding)}")
    request = EvaluationRequest(score, tuple(fars), thin, impostors)
    check(protocol, request)
    if score != "cosine" and variance is None:
        raise UrfrError(f"expected variances for the {score} score, but got none")
    return measure(protocol, faces_of(embedding, variance, found), request)


def store_threshold(evaluation: Evaluation, protocol: AnyProtocol, model: Any, out: Path) -> list[Path]:
    """Writes threshold.json beside metrics.json and, for `urfr compare`, to the model (`threshold_path`).

    It names the fingerprint and the kind (run, saved_model, tflite) of the model it was calibrated for. The
    model's own stays as it was where templates were compared or probes degraded: it is for two photographs.

    Raises:
        UrfrError: the disk is full or a folder cannot be written.
    """
    point = evaluation.threshold()
    if point is None:
        return []
    paths = [out / THRESHOLD_FILE]
    degraded = evaluation.about.get("degrade") and not by_strength(evaluation.result.metrics)
    if isinstance(protocol, Pairs | PairLists) and not degraded:
        paths.append(threshold_path(model.kind, model.path))
    for path in paths:
        write_threshold(path, model, evaluation.score, evaluation.protocol, point)
    return paths
