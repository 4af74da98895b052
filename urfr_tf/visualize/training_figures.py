"""Training curves from the columns of log.csv: one picture a subject (loss, margin, confidence, rate)."""

import re
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from urfr_tf.errors import UrfrError
from urfr_tf.visualize.canvas import DASHES, PALETTE, create_figure, style_axes

Log = Mapping[str, NDArray[np.float64]]

# What is drawn against, and what is a clock. None of these is a curve.
CLOCKS = ("epoch", "step", "seconds", "time", "images_per_second")
# The regulariser is logged without its weight of 0.001: on one axis it would hide the others.
LOSS_TERMS = ("identification", "classifier", "cls", "adv")
# The weights of the terms are in every row, and in no picture.
CONSTANT = "weight_"
MAX_LEGEND = 10
# A column such as confidence_mean_3 or readable_0_2: one of many of a kind.
NUMBERED = re.compile(r"(.+?)((?:_\d+)+)")


def group_columns(names: Sequence[str]) -> dict[str, list[str]]:
    """Sorts the columns of log.csv into pictures: subject -> columns, in the order of the file.

    Confidences share a picture, and so do validation columns (val_...), loss terms, learning rates and
    numbered columns of one kind. Any other column is a subject by itself. The spread of each sub-embedding
    is left to the picture of its distribution.
    """
    grouped: dict[str, list[str]] = {}
    for name in names:
        lower = name.lower()
        if lower in CLOCKS or lower.startswith(CONSTANT):
            continue
        numbered = NUMBERED.fullmatch(lower)
        if numbered and numbered[1].endswith("_std"):
            continue
        if numbered:
            subject = f"{numbered[1]} of each"
        elif "confidence" in lower:
            subject = "confidence"
        elif lower.startswith(("val_", "validation")):
            subject = "validation"
        elif "loss" in lower or lower in LOSS_TERMS:
            subject = "loss"
        elif lower in ("lr", "learning_rate") or lower.startswith(("lr_", "learning_rate_")):
            subject = "learning rate"
        else:
            subject = name
        grouped.setdefault(subject, []).append(name)
    return grouped


def _clock(log: Log) -> tuple[str, NDArray[np.float64]]:
    for name in ("epoch", "step"):
        if name in log:
            return name, np.asarray(log[name], np.float64)
    return "row", np.arange(1, len(next(iter(log.values()))) + 1, dtype=np.float64)


def _draw(axes: Axes, x: NDArray[np.float64], log: Log, names: Sequence[str], run: int, prefix: str) -> None:
    """Draws columns of one run: color is the column, dash the run; NAME_std is a band about NAME_mean."""
    lines = [
        name for name in names if not (name.endswith("_std") and name.removesuffix("_std") + "_mean" in names)
    ]
    for index, name in enumerate(lines):
        y = np.asarray(log[name], np.float64)
        color: object = PALETTE[(index if len(lines) > 1 else run) % len(PALETTE)]
        if len(lines) > len(PALETTE):
            color = colormaps["viridis"](index / (len(lines) - 1))
        dash = DASHES[run % len(DASHES)]
        label = f"{prefix}{name.replace('_', ' ')}"
        axes.plot(
            x, y, color=color, linestyle=dash, linewidth=1.8, marker="o" if len(y) < 3 else "", label=label
        )
        spread = name.removesuffix("_mean") + "_std"
        if name.endswith("_mean") and spread in names:
            around = np.asarray(log[spread], np.float64)
            axes.fill_between(x, y - around, y + around, color=color, alpha=0.15, linewidth=0)


def draw_training(logs: Mapping[str, Log]) -> dict[str, Figure]:
    """One figure a subject, the runs drawn over each other.

    Args:
        logs: for each run the columns of its log.csv, float [rows] each; NaN where nothing was logged.

    Returns:
        Subject -> figure; losses that fall by more than 50 times get a logarithmic axis.

    Raises:
        UrfrError: no run, or columns of different length.
    """
    if not logs:
        raise UrfrError("expected the log of at least one run, got none")
    for run, log in logs.items():
        lengths = {len(values) for values in log.values()}
        if len(lengths) != 1 or lengths == {0}:
            raise UrfrError(f"expected columns of one length in the log of {run}, got {sorted(lengths)}")
    every = group_columns(list(dict.fromkeys(name for log in logs.values() for name in log)))
    figures = {}
    for subject, names in every.items():
        figure = create_figure(5.6, 3.6)
        axes = figure.add_subplot()
        clock = "epoch"
        values = []
        for at, (run, log) in enumerate(logs.items()):
            there = [name for name in names if name in log]
            clock, x = _clock(log)
            _draw(axes, x, log, there, at, f"{run}: " if len(logs) > 1 else "")
            values += [np.asarray(log[name], np.float64) for name in there]
        flat = np.concatenate(values)
        flat = flat[np.isfinite(flat)]
        if subject == "loss" and flat.size and flat.min() > 0 and flat.max() > 50 * flat.min():
            axes.set_yscale("log")
        style_axes(axes, subject.replace("_", " ").capitalize(), clock, "")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if 1 < len(axes.lines) <= MAX_LEGEND or subject == "confidence":
            axes.legend(fontsize=8, frameon=False)
        figures[subject] = figure
    return figures
