"""Figures 2 and 3 of the supplement: each face next to a heatmap of its K uncertainties, sorted."""

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from urfr_tf.errors import UrfrError
from urfr_tf.visualize.canvas import create_figure, strip_axes
from urfr_tf.visualize.face_tiles import check_faces

COLUMNS = 4


def sort_by_uncertainty(variance: ArrayLike) -> NDArray[np.intp]:
    """Indices [N] from the surest to the least sure image, by the geometric mean of its K variances.

    Args:
        variance: sigma^2 = 1 / s, [N, K], positive.

    Raises:
        UrfrError: another shape, values that are not positive and finite.
    """
    array = np.asarray(variance, np.float64)
    if array.ndim != 2 or not array.size:
        raise UrfrError(f"expected variances [N, K], got {array.shape}")
    if not (np.isfinite(array).all() and (array > 0).all()):
        raise UrfrError("expected positive, finite variances, but some are not")
    return np.argsort(np.log(array).mean(axis=1), kind="stable")


def choose_heatmap_shape(groups: int) -> tuple[int, int]:
    """Rows and columns of the heatmap of K values: the divisors of K nearest to a square (16 -> 4 x 4)."""
    rows = next(r for r in range(int(groups**0.5), 0, -1) if groups % r == 0)
    return rows, groups // rows


def draw_uncertainties(faces: ArrayLike, variance: ArrayLike, limit: int = 24) -> Figure:
    """Faces from sure to unsure, each with its K variances as a heatmap on one logarithmic scale.

    Args:
        faces: [N, H, W, 3], RGB 0..255.
        variance: sigma^2 = 1 / s, [N, K], positive.
        limit: at most so many faces are shown, spread evenly over the sorted order.

    Raises:
        UrfrError: as `sort_by_uncertainty` and `check_faces`, or N differs.
    """
    order = sort_by_uncertainty(variance)
    pictures, values = check_faces(faces), np.asarray(variance, np.float64)
    if len(pictures) != len(values):
        raise UrfrError(f"expected as many faces as variances, got {len(pictures)} and {len(values)}")
    shown = order[np.unique(np.linspace(0, len(order) - 1, min(limit, len(order))).round().astype(int))]
    columns = min(COLUMNS, len(shown))
    rows = -(-len(shown) // columns)
    shape = choose_heatmap_shape(values.shape[1])
    low, high = values[shown].min(), values[shown].max()
    scale = LogNorm(low, high if high > low * 1.0001 else low * 1.01)
    figure = create_figure(max(5.0, 2.4 * columns + 0.8), 1.35 * rows + 0.7)
    panels = figure.subplots(rows, 2 * columns, squeeze=False)
    for place in range(rows * columns):
        face, heat = panels[place // columns, 2 * (place % columns) : 2 * (place % columns) + 2]
        strip_axes(face)
        strip_axes(heat)
        if place >= len(shown):
            face.set_visible(False)
            heat.set_visible(False)
            continue
        face.imshow(pictures[shown[place]])
        heat.imshow(values[shown[place]].reshape(shape), cmap="viridis", norm=scale)
        mean = np.exp(np.log(values[shown[place]]).mean())
        face.set_title(f"{place + 1}.  σ² {mean:.3g}", fontsize=9, loc="left")
    figure.colorbar(
        ScalarMappable(scale, "viridis"), ax=panels, label="uncertainty σ² = 1/s", shrink=0.6, pad=0.01
    )
    return figure
