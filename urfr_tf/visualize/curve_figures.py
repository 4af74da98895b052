"""Curves of a verification or identification result: ROC, DET, CMC, and the histogram of scores.

The points come from `urfr_tf.metrics`; nothing is interpolated here: between two operating points a
curve is a step, because no threshold lies there.
"""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from urfr_tf.errors import UrfrError
from urfr_tf.visualize.canvas import PALETTE, choose_line_style, create_figure, style_axes
from urfr_tf.visualize.degraded_metrics import FALLING, UNITS

Points = Mapping[str, tuple[ArrayLike, ArrayLike]]

# Fewer impostor pairs than this above a threshold say little about its FAR (method, section 8).
THIN = 10
# More points than this on one curve are closer than the picture's pixels.
MAX_POINTS = 2000


def check_points(curves: Points, what: str) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """The curves as float64 arrays of equal length, finite and in rising order of the first.

    Raises:
        UrfrError: no curve, lengths that differ, values that are not finite.
    """
    if not curves:
        raise UrfrError(f"expected at least one curve for the {what}, got none")
    checked = {}
    for name, (first, second) in curves.items():
        x, y = np.asarray(first, np.float64), np.asarray(second, np.float64)
        if x.ndim != 1 or x.shape != y.shape or not x.size:
            raise UrfrError(f"expected two arrays [M] for the {what} of {name}, got {x.shape} and {y.shape}")
        if not (np.isfinite(x).all() and np.isfinite(y).all()):
            raise UrfrError(f"expected finite points for the {what} of {name}, but some are not")
        order = np.argsort(x, kind="stable")
        checked[name] = (x[order], y[order])
    return checked


def _thin_out(
    far: NDArray[np.float64], tar: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The points of positive FAR; of millions, those that differ by a pixel on the logarithmic axis.

    Raises:
        UrfrError: no positive FAR.
    """
    far, tar = far[far > 0], tar[far > 0]
    if not far.size:
        raise UrfrError("expected a positive FAR on the curve, got none")
    if far.size <= MAX_POINTS:
        return far, tar
    span = np.log10(far[-1] / far[0])
    pixel = np.floor(np.log10(far / far[0]) / span * MAX_POINTS).astype(np.int64)
    last = np.append(np.flatnonzero(np.diff(pixel)), far.size - 1)
    chosen = np.union1d([0], last)
    return far[chosen], tar[chosen]


def _mark_thin(axes: Axes, impostors: int | None) -> None:
    """Shades the FARs that rest on fewer than 10 impostor pairs."""
    if not impostors:
        return
    left, right = axes.get_xlim()
    edge = min(THIN / impostors, right)
    if edge > left:
        axes.axvspan(
            left,
            edge,
            facecolor="#ececec",
            edgecolor="#999999",
            linewidth=0.6,
            zorder=0,
            label=f"fewer than {THIN} impostor pairs",
        )
        axes.set_xlim(left, right)


def _legend(axes: Axes) -> None:
    axes.legend(fontsize=9, framealpha=0.9, edgecolor="none")


def draw_roc(curves: Points, impostors: int | None = None) -> Figure:
    """TAR against FAR on a logarithmic axis of FAR.

    Args:
        curves: for each system (far [M], tar [M]), fractions.
        impostors: number of impostor pairs; FARs of fewer than 10 of them are shaded.

    Raises:
        UrfrError: as `check_points`, or no positive FAR.
    """
    figure = create_figure(5.6, 4.0)
    axes = figure.add_subplot()
    lowest = 1.0
    for index, (name, (far, tar)) in enumerate(check_points(curves, "ROC").items()):
        far, tar = _thin_out(far, tar)
        lowest = min(lowest, float(far[0]))
        axes.step(far, tar, where="post", label=name, linewidth=1.8, **choose_line_style(index))
    axes.set_xscale("log")
    axes.set_xlim(min(lowest, 0.5), 1)
    axes.set_ylim(0, 1.02)
    _mark_thin(axes, impostors)
    style_axes(axes, "ROC", "false accept rate (FAR)", "true accept rate (TAR)")
    _legend(axes)
    return figure


def draw_det(curves: Points, impostors: int | None = None) -> Figure:
    """False reject rate 1 - TAR against FAR, both axes logarithmic; a lower curve is better.

    Arguments and errors as `draw_roc`. Where TAR is 1 the logarithm has no place: the curve ends.
    """
    figure = create_figure(5.6, 4.0)
    axes = figure.add_subplot()
    lowest, floor = 1.0, 1.0
    for index, (name, (far, tar)) in enumerate(check_points(curves, "DET").items()):
        far, tar = _thin_out(far, tar)
        missed = np.where(tar < 1, 1 - tar, np.nan)
        lowest = min(lowest, float(far[0]))
        if np.isfinite(missed).any():
            floor = min(floor, float(np.nanmin(missed)))
        axes.step(far, missed, where="post", label=name, linewidth=1.8, **choose_line_style(index))
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(min(lowest, 0.5), 1)
    axes.set_ylim(min(floor, 0.5) * 0.8, 1.1)
    _mark_thin(axes, impostors)
    style_axes(axes, "DET", "false accept rate (FAR)", "false reject rate (1 - TAR)")
    _legend(axes)
    return figure


def draw_cmc(curves: Points) -> Figure:
    """Identification rate against rank.

    Args:
        curves: for each system (ranks [R] from 1 on, rates [R] as fractions).

    Raises:
        UrfrError: as `check_points`.
    """
    figure = create_figure(5.6, 4.0)
    axes = figure.add_subplot()
    every: set[float] = set()
    for index, (name, (ranks, rates)) in enumerate(check_points(curves, "CMC").items()):
        every |= set(ranks.tolist())
        marker = "o" if len(ranks) <= 20 else ""
        axes.plot(
            ranks, rates, marker=marker, markersize=4, label=name, linewidth=1.8, **choose_line_style(index)
        )
    if len(every) <= 10:
        axes.set_xticks(sorted(every))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylim(0, 1.02)
    style_axes(axes, "CMC", "rank", "identified within the rank")
    _legend(axes)
    return figure


def draw_strength(curves: Points, variation: str, metric: str, clean: Mapping[str, float]) -> Figure:
    """A metric against the strength of a variation of the probes.

    Args:
        curves: for each system (strengths [M], values [M]).
        variation, metric: their names, for the labels.
        clean: for each system the value without the variation, drawn as a thin level line.

    Raises:
        UrfrError: as `check_points`.
    """
    figure = create_figure(5.6, 4.0)
    axes = figure.add_subplot()
    ticks: set[float] = set()
    for index, (name, (strength, value)) in enumerate(check_points(curves, metric).items()):
        style = choose_line_style(index)
        axes.plot(strength, value, marker="o", markersize=4, label=name, linewidth=1.8, **style)
        ticks |= set(strength.tolist())
        if name in clean:
            axes.axhline(clean[name], color=style["color"], linewidth=0.9, alpha=0.6)
    axes.set_xticks(sorted(ticks))
    if variation in FALLING:
        axes.invert_xaxis()
    style_axes(axes, f"{variation} of the probes", UNITS[variation], metric)
    _legend(axes)
    return figure


def draw_histogram(
    scores: ArrayLike, same: ArrayLike, threshold: float | None = None, title: str = "Scores"
) -> Figure:
    """Densities of the scores of genuine and impostor pairs.

    Args:
        scores: [P], any unit. same: bool [P]. threshold: in the scores' unit; a line is drawn there.

    Raises:
        UrfrError: shapes that differ, scores that are not finite, only one kind of pair.
    """
    values, genuine = np.asarray(scores, np.float64), np.asarray(same).astype(bool)
    if values.ndim != 1 or values.shape != genuine.shape:
        raise UrfrError(f"expected scores [P] and same [P], got {values.shape} and {genuine.shape}")
    if not np.isfinite(values).all():
        raise UrfrError("expected finite scores for their histogram, but some are not")
    if genuine.all() or not genuine.any():
        raise UrfrError("expected genuine and impostor pairs for the histogram of scores, got one kind only")
    figure = create_figure(5.6, 4.0)
    axes = figure.add_subplot()
    low, high = float(values.min()), float(values.max())
    edges = np.linspace(low, high if high > low else low + 1, 51).tolist()
    for index, (name, chosen) in enumerate((("genuine", genuine), ("impostor", ~genuine))):
        axes.hist(
            values[chosen],
            edges,
            density=True,
            histtype="stepfilled",
            color=PALETTE[index],
            alpha=0.35,
            label=f"{name} ({int(chosen.sum()):,} pairs)",
        )
        axes.hist(values[chosen], edges, density=True, histtype="step", **choose_line_style(index))
    if threshold is not None and np.isfinite(threshold):
        axes.axvline(
            threshold, color="#444444", linewidth=1.2, linestyle=":", label=f"threshold {threshold:.4g}"
        )
    # Room above the bars, so that the legend hides none of them.
    axes.set_ylim(0, axes.get_ylim()[1] * 1.3)
    style_axes(axes, title, "score", "density")
    _legend(axes)
    return figure
