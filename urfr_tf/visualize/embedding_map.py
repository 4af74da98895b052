"""Figure 4 of the supplement: embeddings in the plane by t-SNE, color by identity, shape by origin."""

from collections.abc import Mapping

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike, NDArray

from urfr_tf.errors import UrfrError
from urfr_tf.visualize.canvas import create_figure, strip_axes


def project_embeddings(embedding: ArrayLike, seed: int = 0, perplexity: float = 30.0) -> NDArray[np.float32]:
    """t-SNE of unit-norm embeddings (van der Maaten and Hinton, JMLR 2008, in scikit-learn).

    Args:
        embedding: [N, D], N at least 4. seed: of the projection.
        perplexity: number of effective neighbours of an image; lowered to (N - 1) / 3 where N is small.

    Returns:
        Points float32 [N, 2]; only who is near whom means anything, not the axes.

    Raises:
        UrfrError: another shape, fewer than 4 images, values that are not finite.
    """
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    array = np.asarray(embedding, np.float32)
    if array.ndim != 2 or len(array) < 4 or array.shape[1] < 2:
        raise UrfrError(f"expected embeddings [N, D] of at least 4 images for the map, got {array.shape}")
    if not np.isfinite(array).all():
        raise UrfrError("expected finite embeddings for the map, but some are not")
    perplexity = min(perplexity, (len(array) - 1) / 3)
    # A start at the principal components keeps the large distances and does not depend on the seed.
    tsne = TSNE(2, perplexity=perplexity, init="pca", random_state=seed)
    # On a busy machine the threads of its many small steps wait for each other: ten times slower than one.
    with threadpool_limits(1):
        return np.asarray(tsne.fit_transform(array), np.float32)


def draw_embedding_map(maps: Mapping[str, ArrayLike], identities: ArrayLike, augmented: ArrayLike) -> Figure:
    """One panel a system, for instance baseline and proposed, over the same images.

    Args:
        maps: for each system the points [N, 2] of `project`.
        identities: [N], anything that can be told apart; one color each.
        augmented: bool [N]; original images are circles, augmented ones triangles.

    Raises:
        UrfrError: no system, or lengths that differ.
    """
    if not maps:
        raise UrfrError("expected the points of at least one system for the map, got none")
    names, codes = np.unique(np.asarray(identities), return_inverse=True)
    is_augmented = np.asarray(augmented).astype(bool)
    # Beyond 20 identities no palette can be told apart; neighbours on the wheel get distant labels.
    number = np.arange(len(names))
    shades = colormaps["tab20"](number) if len(names) <= 20 else colormaps["hsv"](number * 0.618034 % 1.0)
    across = min(2, len(maps))
    rows = -(-len(maps) // across)
    figure = create_figure(5.2 * across, 4.9 * rows + 0.3)
    panels = figure.subplots(rows, across, squeeze=False).ravel()
    for axes, (name, map_points) in zip(panels, maps.items(), strict=False):
        points = np.asarray(map_points, np.float64)
        if points.shape != (len(codes), 2) or is_augmented.shape != codes.shape:
            raise UrfrError(
                f"expected points [N, 2], identities [N] and augmented [N] for the map of {name}, got "
                f"{points.shape}, {codes.shape} and {is_augmented.shape}"
            )
        for chosen, marker in ((~is_augmented, "o"), (is_augmented, "^")):
            axes.scatter(
                points[chosen, 0],
                points[chosen, 1],
                s=22,
                c=shades[codes[chosen]],
                marker=marker,
                linewidths=0.4,
                edgecolors="white" if marker == "o" else "black",
            )
        strip_axes(axes)
        axes.set_title(name, fontsize=11, loc="left")
        axes.set_aspect("equal", adjustable="datalim")
        for spine in axes.spines.values():
            spine.set_visible(True)
            spine.set_color("#bbbbbb")
    for axes in panels[len(maps) :]:
        axes.set_visible(False)
    signs = [
        Line2D([], [], linestyle="", color="#777777", marker=marker, label=label)
        for marker, label in (
            ("o", f"original ({int((~is_augmented).sum())})"),
            ("^", f"augmented ({int(is_augmented.sum())})"),
        )
    ]
    figure.legend(handles=signs, loc="outside lower center", ncols=2, fontsize=9, frameon=False)
    return figure
