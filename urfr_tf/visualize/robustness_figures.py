"""Figures against the strength of a degradation, and error against the share of rejected images."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from urfr_tf.errors import UrfrError
from urfr_tf.visualize.canvas import choose_line_style, create_figure, style_axes
from urfr_tf.visualize.degraded_metrics import FALLING, UNITS, group_by_strength

BAND = ("random_low", "random_high")


def draw_robustness(metrics: Mapping[str, float], most: int = 4) -> Figure:
    """One panel a variation: each figure against the strength, the clean probes first.

    Args:
        metrics: as in metrics.json: the clean figures, and those of degraded probes as `name@blur=7`.
        most: so many figures are drawn, the first ones.

    Raises:
        UrfrError: no probe was degraded.
    """
    every = group_by_strength(metrics)
    if not every:
        raise UrfrError("expected figures of degraded probes to draw robustness curves of, but got none")
    names = list(dict.fromkeys(name for curves in every.values() for name in curves))[:most]
    figure = create_figure(3.4 * len(every), 3.2)
    panels = figure.subplots(1, len(every), squeeze=False, sharey=True)[0]
    for axes, (variation, curves) in zip(panels, every.items(), strict=True):
        strengths = list(dict.fromkeys(strength for points in curves.values() for strength, _ in points))
        strengths.sort(reverse=variation in FALLING)
        for index, name in enumerate(names):
            values = dict(curves.get(name, []))
            line = [metrics.get(name, np.nan), *(values.get(strength, np.nan) for strength in strengths)]
            style = choose_line_style(index)
            axes.plot(range(len(line)), line, marker="o", markersize=4, label=name, linewidth=1.8, **style)
        axes.set_xticks(range(1 + len(strengths)), ["clean", *(f"{strength:g}" for strength in strengths)])
        axes.set_ylim(0, 1.02)
        style_axes(axes, variation, UNITS[variation], "")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        fontsize=9,
        loc="outside upper left",
        ncols=min(len(names), 2 * len(every)),
        edgecolor="none",
    )
    return figure


def draw_reject_curve(
    rejected: Sequence[float], errors: Mapping[str, Sequence[float | None]], far: float | None
) -> Figure:
    """Error against the share of images or templates left out, a line for each order of leaving out.

    Args:
        rejected: shares [R].
        errors: order's name -> rates [R]; None where no genuine pair is left. `random_low` and `random_high`
            are optional. They bound the band in which a random order stays.
        far: of the threshold, which stays: the error is the false non-match rate. None: that of rank 1.

    Raises:
        UrfrError: no line, or a line with another number of values than shares.
    """
    if not errors or any(len(rates) != len(rejected) for rates in errors.values()):
        raise UrfrError(
            f"expected error rates at {len(rejected)} shares of rejected images, but got others or none"
        )
    figure = create_figure(5.0, 3.6)
    axes = figure.add_subplot()
    lines = {
        name: np.array([np.nan if rate is None else rate for rate in rates], np.float64)
        for name, rates in errors.items()
    }
    low, high = (lines.pop(name, None) for name in BAND)
    if low is not None and high is not None:
        axes.fill_between(
            rejected, low, high, color="#888888", alpha=0.2, linewidth=0, label="95 % of random orders"
        )
    for index, (name, values) in enumerate(lines.items()):
        label = name.replace("_", " ")
        axes.plot(
            rejected, values, marker="o", markersize=4, label=label, linewidth=1.8, **choose_line_style(index)
        )
    axes.set_ylim(0, 1.08 * axes.get_ylim()[1])
    title = "Error against reject, " + ("rank 1" if far is None else f"threshold at FAR {far:g}")
    error = "share of probes not at rank 1" if far is None else "false non-match rate"
    style_axes(axes, title, "share left out", error)
    axes.legend(fontsize=9, framealpha=0.9, edgecolor="none")
    return figure
