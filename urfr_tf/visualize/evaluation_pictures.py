"""The PNG files that `urfr evaluate` leaves next to metrics.json: robustness and reject curves."""

import os
from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure

from urfr_tf.files import write_bytes
from urfr_tf.visualize.canvas import png
from urfr_tf.visualize.degraded import by_strength
from urfr_tf.visualize.reject_pictures import curves_of
from urfr_tf.visualize.robustness import reject_figure, robustness_figure


def draw_evaluation_figures(content: Mapping[str, object]) -> dict[str, Figure]:
    """Draws the robustness and reject curves of an evaluation.

    Args:
        content: what metrics.json holds. Its keys `metrics` and `reject` are read.

    Returns:
        File name -> figure, for the curves that there are: robustness.png, and reject.png or one
        reject-LIST.png for each list of pairs.
    """
    figures = {}
    metrics = content.get("metrics")
    if isinstance(metrics, Mapping) and by_strength(metrics):
        figures["robustness.png"] = robustness_figure(metrics)
    for name, shares, rates, far in curves_of(content.get("reject")):
        file_name = f"reject-{name.replace(' ', '')}.png" if name else "reject.png"
        figures[file_name] = reject_figure(shares, rates, far)
    return figures


def write_evaluation_pictures(content: Mapping[str, object], folder: str | os.PathLike[str]) -> list[Path]:
    """Writes the figures of `draw_evaluation_figures` into `folder` and returns their paths.

    Raises:
        UrfrError: The disk is full or the folder cannot be written.
    """
    paths = []
    for file_name, figure in draw_evaluation_figures(content).items():
        paths.append(Path(folder) / file_name)
        write_bytes(paths[-1], png(figure))
    return paths
