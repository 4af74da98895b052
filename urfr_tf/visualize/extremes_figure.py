"""The faces that each sub-embedding trusts most and least: what it looks at, seen from its confidence."""

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from urfr_tf.errors import UrfrError
from urfr_tf.visualize.canvas import create_figure, strip_axes
from urfr_tf.visualize.confidence_figure import check_confidence
from urfr_tf.visualize.face_tiles import check_faces, tile_faces


def find_extremes(confidence: ArrayLike, count: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Indices of the least and the most confident images of each sub-embedding.

    Args:
        confidence: [N, K], positive. count: images at each end, at most N // 2.

    Returns:
        lowest int [K, count] in rising order, highest int [K, count] in falling order of confidence.

    Raises:
        UrfrError: another shape, values that are not positive and finite, too few images.
    """
    values = check_confidence({"all": confidence})["all"]
    if not 1 <= count <= len(values) // 2:
        raise UrfrError(
            f"expected at least {2 * max(count, 1)} images for {count} at each end, got {len(values)}"
        )
    order = np.argsort(values, axis=0, kind="stable").T
    return order[:, :count], order[:, ::-1][:, :count]


def draw_extremes(faces: ArrayLike, confidence: ArrayLike, count: int = 5) -> Figure:
    """One row a sub-embedding: its `count` most confident faces, then its least confident ones.

    Args:
        faces: [N, H, W, 3], RGB 0..255.
        confidence: [N, K], positive.
        count: faces at each end; with fewer than twice as many images, what there is.

    Raises:
        UrfrError: as `find_extremes` and `check_faces`, or N differs, or N is below 2.
    """
    pictures, values = check_faces(faces), np.asarray(confidence, np.float64)
    if len(pictures) != len(values):
        raise UrfrError(f"expected as many faces as confidences, got {len(pictures)} and {len(values)}")
    count = min(count, max(1, len(pictures) // 2))
    lowest, highest = find_extremes(values, count)
    groups = len(lowest)
    # Two columns of sub-embeddings keep 16 of them on one screen.
    across = 2 if groups > 4 else 1
    rows = -(-groups // across)
    figure = create_figure(5.4 * across, 0.68 * rows * 5 / max(count, 3) + 0.5)
    panels = figure.subplots(rows, 2 * across, squeeze=False)
    for place in range(rows * across):
        # Down the first column, then down the second, as one reads a list.
        k = place % rows + (place // rows) * rows
        pair = panels[place % rows, 2 * (place // rows) : 2 * (place // rows) + 2]
        for axes, chosen, head in zip(
            pair, (highest, lowest), ("most confident", "least confident"), strict=True
        ):
            strip_axes(axes)
            if k >= groups:
                axes.set_visible(False)
                continue
            axes.imshow(tile_faces(pictures[chosen[k]], count))
            low, high = sorted((values[chosen[k][0], k], values[chosen[k][-1], k]))
            axes.set_xlabel(f"s {low:.3g} to {high:.3g}", fontsize=7, labelpad=1)
            if place % rows == 0:
                axes.set_title(head, fontsize=9, loc="left")
        if k < groups:
            pair[0].set_ylabel(str(k + 1), rotation=0, fontsize=10, ha="right", va="center")
    return figure
