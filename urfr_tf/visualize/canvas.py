"""How every picture of the project is made: an Agg figure, one palette, PNG bytes.

Only matplotlib's object-oriented interface is used: no pyplot, no global state, so pictures can be drawn
from any thread and next to a user's plots.
"""

import io
from typing import TypedDict

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# Okabe and Ito's eight colors, which any kind of color vision can tell from each other. Yellow comes last
# because it is weak on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#F0E442")
# Dashes are a second sign next to the color: lines differ even when printed in gray.
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (7, 3)), (0, (3, 5)))

DPI = 144


def create_figure(width: float, height: float) -> Figure:
    """An empty white figure of `width` x `height` inches with an Agg canvas and constrained layout."""
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def style_axes(axes: Axes, title: str = "", x: str = "", y: str = "") -> None:
    """Labels `axes`, draws a light grid behind the data and removes the box's upper and right side."""
    axes.set_title(title, fontsize=11, loc="left")
    axes.set_xlabel(x, fontsize=10)
    axes.set_ylabel(y, fontsize=10)
    axes.tick_params(labelsize=9)
    axes.grid(True, color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def strip_axes(axes: Axes) -> None:
    """Removes ticks, labels and frame: for photographs."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


class LineStyle(TypedDict):
    """Keyword arguments of `Axes.plot` that make lines differ."""

    color: str
    linestyle: str | tuple[float, tuple[int, ...]]


def choose_line_style(index: int) -> LineStyle:
    """Colour and dash of the `index`-th line of a picture (keyword arguments of `Axes.plot`)."""
    return {"color": PALETTE[index % len(PALETTE)], "linestyle": DASHES[index % len(DASHES)]}


def encode_png(figure: Figure) -> bytes:
    """`figure` as PNG bytes at 144 dpi; the same figure gives the same bytes."""
    memory = io.BytesIO()
    figure.savefig(memory, format="png", dpi=DPI, facecolor="white", metadata={"Software": None})
    return memory.getvalue()
