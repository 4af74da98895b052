"""Sources -> the pictures of a report: ROC, DET, CMC, histograms of scores, training curves."""

import math
import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from urfr_tf.files import write_bytes
from urfr_tf.metrics import roc
from urfr_tf.visualize.curve_figures import draw_cmc, draw_det, draw_histogram, draw_roc, draw_strength
from urfr_tf.visualize.degraded_metrics import group_by_strength
from urfr_tf.visualize.reject_curves import draw_reject_pictures
from urfr_tf.visualize.report import Picture, encode_picture
from urfr_tf.visualize.result_tables import format_metric_name, group_by_protocol
from urfr_tf.visualize.sources import ReportedEvaluation, ReportSource
from urfr_tf.visualize.training_figures import draw_training

RANK = re.compile(r"rank_?(\d+)")


def _curves(
    name: str, evaluation: ReportedEvaluation
) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Ranks [R] and rates [R] of each search: the curves of scores.npz, or the ranks among the metrics."""
    if evaluation.cmc:
        return {
            f"{name} {key.removesuffix('cmc').strip('_- ')}".strip(): (np.arange(1.0, len(curve) + 1), curve)
            for key, curve in evaluation.cmc.items()
        }
    rates = {}
    for metric, value in evaluation.metrics.items():
        match = RANK.fullmatch(metric)
        if match and math.isfinite(value):
            rates[int(match[1])] = value
    ranks = sorted(rates)
    return {name: (np.array(ranks, np.float64), np.array([rates[rank] for rank in ranks], np.float64))}


def _list_rates(rates: dict[str, float]) -> str:
    return "; ".join(f"{name} {value:.3f}" for name, value in rates.items())


def _verification(protocol: str, group: Sequence[tuple[str, ReportedEvaluation]]) -> list[Picture]:
    """ROC and DET of the systems that left their scores, and the histogram of each."""
    scored = [
        (name, evaluation, evaluation.scores, evaluation.same)
        for name, evaluation in group
        if evaluation.scores is not None and evaluation.same is not None
    ]
    if not scored:
        return []
    points = {name: roc(scores, same)[:2] for name, _, scores, same in scored}
    at = {name: float(tar[far <= 0.1].max()) for name, (far, tar) in points.items()}
    impostors = min(int((~same).sum()) for *_, same in scored)
    pictures = [
        Picture(
            f"ROC, protocol {protocol}",
            f"Lines of true accept rate against false accept rate. At FAR 0.1: {_list_rates(at)}.",
            draw_roc(points, impostors),
        ),
        Picture(
            f"DET, protocol {protocol}",
            "Lines of false reject rate against false accept rate, lower is better. At FAR 0.1: "
            f"{_list_rates({name: 1 - value for name, value in at.items()})}.",
            draw_det(points, impostors),
        ),
    ]
    return pictures + [_histogram(*system) for system in scored]


def _histogram(
    name: str, evaluation: ReportedEvaluation, scores: NDArray[np.float64], same: NDArray[np.bool_]
) -> Picture:
    threshold = evaluation.raw.get("threshold")
    line = float(threshold) if isinstance(threshold, int | float) else None
    # A pair without an embedding scores -inf: counted in the rates, but nowhere on an axis.
    there = np.isfinite(scores)
    caption = f"Scores of {name}, protocol {evaluation.protocol}"
    if not there.all():
        caption += f" ({int((~there).sum())} pairs without an embedding are not drawn)"
    return Picture(
        caption,
        f"Two histograms: genuine pairs about {np.median(scores[there & same]):.3g} and impostor pairs about "
        f"{np.median(scores[there & ~same]):.3g} (medians).",
        draw_histogram(scores[there], same[there], line, f"Scores of {name}"),
    )


def _identification(protocol: str, group: Sequence[tuple[str, ReportedEvaluation]]) -> list[Picture]:
    """CMC of the systems with the rates of at least two ranks."""
    every = {key: curve for name, evaluation in group for key, curve in _curves(name, evaluation).items()}
    curves = {name: curve for name, curve in every.items() if len(curve[0]) >= 2}
    if not curves:
        return []
    first = {name: float(rates[0]) for name, (_, rates) in curves.items()}
    return [
        Picture(
            f"CMC, protocol {protocol}",
            f"Lines of the identification rate against the rank. At the lowest rank: {_list_rates(first)}.",
            draw_cmc(curves),
        )
    ]


def _robustness(protocol: str, group: Sequence[tuple[str, ReportedEvaluation]]) -> list[Picture]:
    """For each variation the first metric that was measured under it, against its strength."""
    by_variation: dict[str, dict[str, dict[str, list[tuple[float, float]]]]] = {}
    for name, evaluation in group:
        for variation, curves in group_by_strength(evaluation.metrics).items():
            for metric, points in curves.items():
                by_variation.setdefault(variation, {}).setdefault(metric, {})[name] = points
    pictures = []
    for variation, metrics in by_variation.items():
        metric, systems_ = next(iter(metrics.items()))
        lines = {name: tuple(np.array(points).T) for name, points in systems_.items()}
        clean = {
            name: evaluation.metrics[metric] for name, evaluation in group if metric in evaluation.metrics
        }
        worst = {name: float(values.min()) for name, (_, values) in lines.items()}
        pictures.append(
            Picture(
                f"{format_metric_name(metric)} under {variation}, protocol {protocol}",
                f"Lines of {format_metric_name(metric)} against the strength of {variation}; level lines "
                f"are without. Lowest: {_list_rates(worst)}.",
                draw_strength(lines, variation, format_metric_name(metric), clean),
            )
        )
    return pictures


def draw_result_pictures(sources: Sequence[ReportSource]) -> list[Picture]:
    """ROC, DET, histograms, CMC, robustness and reject curves, protocol by protocol."""
    pictures = []
    for protocol, group in group_by_protocol(sources).items():
        pictures += _verification(protocol, group) + _identification(protocol, group)
        pictures += _robustness(protocol, group) + draw_reject_pictures(protocol, group)
    return pictures


def draw_training_pictures(sources: Sequence[ReportSource]) -> list[Picture]:
    """One picture a subject of log.csv, the runs over each other."""
    logs = {source.name: source.log for source in sources if source.log}
    if not logs:
        return []
    return [
        Picture(
            f"Training: {subject.replace('_', ' ')}",
            f"Lines of {subject.replace('_', ' ')} over the epochs of {', '.join(logs)}; "
            "the numbers are in the tables above or in log.csv.",
            figure,
        )
        for subject, figure in draw_training(logs).items()
    ]


def draw_sources(sources: Sequence[ReportSource]) -> list[Picture]:
    """Every picture that the files of the sources allow, results first."""
    return draw_result_pictures(sources) + draw_training_pictures(sources)


def write_pngs(folder: str | os.PathLike[str], drawn: Sequence[Picture]) -> list[Path]:
    """Writes each picture as NN-caption.png into `folder`, and returns the paths.

    Raises:
        UrfrError: the disk is full or the folder cannot be written.
    """
    paths = []
    for number, picture in enumerate(drawn, 1):
        words = re.sub(r"[^a-z0-9]+", "-", picture.caption.lower()).strip("-")[:60].rstrip("-")
        paths.append(Path(folder) / f"{number:02d}-{words}.png")
        write_bytes(paths[-1], encode_picture(picture))
    return paths
