"""Figures against the strength of a degradation, and error against the share of rejected images."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from urfr_tf.errors import UrfrError
from urfr_tf.visualize.canvas import line_style, new_figure, plain_axes

UNITS = {
    "blur": "kernel size in pixels",
    "occlusion": "side of the black square in sevenths",
    "pose": "yaw in degrees",
    "resolution": "pixels a side",
}


def robustness_figure(
    curves: Mapping[str, Mapping[str, Sequence[float | None]]], names: Sequence[str]
) -> Figure:
    """One panel a variation: each figure against the strength, the clean probes first.

    Args:
        curves: variation -> {"strength": None for clean, then rising; and for each name its values}.
        names: of the figures to draw, fractions.

    Raises:
        UrfrError: no variation, or a figure with another number of values than strengths.
    """
    if not curves or not names:
        raise UrfrError("expected a variation and a figure to draw robustness curves of, but got none")
    figure = new_figure(3.4 * len(curves), 3.2)
    every = figure.subplots(1, len(curves), squeeze=False, sharey=True)[0]
    for axes, (variation, curve) in zip(every, curves.items(), strict=True):
        strengths = curve["strength"]
        places = np.arange(len(strengths))
        for index, name in enumerate(names):
            if len(curve[name]) != len(strengths):
                raise UrfrError(
                    f"expected {len(strengths)} values of {name} for {variation}, but got {len(curve[name])}"
                )
            values = np.array([np.nan if value is None else value for value in curve[name]], np.float64)
            axes.plot(
                places, values, marker="o", markersize=4, label=name, linewidth=1.8, **line_style(index)
            )
        axes.set_xticks(places, ["clean" if s is None else f"{s:g}" for s in strengths])
        axes.set_ylim(0, 1.02)
        plain_axes(axes, variation, UNITS.get(variation, "strength"), "")
    handles, labels = every[0].get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        fontsize=9,
        loc="outside upper left",
        ncols=min(len(names), 2 * len(curves)),
        edgecolor="none",
    )
    return figure


def reject_figure(
    rejected: Sequence[float], errors: Mapping[str, Sequence[float | None]], far: float | None
) -> Figure:
    """Error against the share of images or templates left out, a line for each order of leaving out.

    Args:
        rejected: shares [R].
        errors: order's name -> rates [R]; None where no genuine pair is left.
        far: of the threshold, which stays: the error is the false non-match rate. None: that of rank 1.

    Raises:
        UrfrError: no line, or a line with another number of values than shares.
    """
    if not errors or any(len(rates) != len(rejected) for rates in errors.values()):
        raise UrfrError(
            f"expected error rates at {len(rejected)} shares of rejected images, but got others or none"
        )
    figure = new_figure(5.0, 3.6)
    axes = figure.add_subplot()
    for index, (name, rates) in enumerate(errors.items()):
        values = np.array([np.nan if rate is None else rate for rate in rates], np.float64)
        label = name.replace("_", " ")
        axes.plot(rejected, values, marker="o", markersize=4, label=label, linewidth=1.8, **line_style(index))
    axes.set_ylim(0, 1.08 * axes.get_ylim()[1])
    title = "Error against reject, " + ("rank 1" if far is None else f"threshold at FAR {far:g}")
    error = "share of probes not at rank 1" if far is None else "false non-match rate"
    plain_axes(axes, title, "share left out", error)
    axes.legend(fontsize=9, framealpha=0.9, edgecolor="none")
    return figure
