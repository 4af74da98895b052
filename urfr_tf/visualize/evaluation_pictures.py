"""The PNG files that `urfr evaluate` leaves next to metrics.json: robustness and reject curves."""

import os
from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure

from urfr_tf.files import write_bytes
from urfr_tf.visualize.canvas import encode_png
from urfr_tf.visualize.degraded_metrics import group_by_strength
from urfr_tf.visualize.reject_curves import read_reject_curves
from urfr_tf.visualize.robustness_figures import draw_reject_curve, draw_robustness


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
    if isinstance(metrics, Mapping) and group_by_strength(metrics):
        figures["robustness.png"] = draw_robustness(metrics)
    for name, shares, rates, far in read_reject_curves(content.get("reject")):
        file_name = f"reject-{name.replace(' ', '')}.png" if name else "reject.png"
        figures[file_name] = draw_reject_curve(shares, rates, far)
    return figures


def write_evaluation_pictures(content: Mapping[str, object], folder: str | os.PathLike[str]) -> list[Path]:
    """Writes the figures of `draw_evaluation_figures` into `folder` and returns their paths.

    Raises:
        UrfrError: The disk is full or the folder cannot be written.
    """
    paths = []
    for file_name, figure in draw_evaluation_figures(content).items():
        paths.append(Path(folder) / file_name)
        write_bytes(paths[-1], encode_png(figure))
    return paths
