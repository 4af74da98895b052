"""Figure 1 of the supplement: how the K confidences are distributed, clean against each variation."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from urfr_tf.errors import UrfrError
from urfr_tf.visualize.canvas import choose_line_style, create_figure, style_axes


def check_confidence(confidence: Mapping[str, ArrayLike]) -> dict[str, NDArray[np.float64]]:
    """The confidences of each variation as float64 [N, K] of one K.

    Raises:
        UrfrError: nothing to check, another shape, values that are not positive and finite.
    """
    if not confidence:
        raise UrfrError("expected the confidences of at least one kind of image, got none")
    checked = {}
    groups = None
    for name, values in confidence.items():
        array = np.asarray(values, np.float64)
        if array.ndim != 2 or not array.size or array.shape[1] != (groups or array.shape[1]):
            raise UrfrError(
                f"expected confidences [N, {groups or 'K'}] for the images {name!r}, got {array.shape}"
            )
        if not (np.isfinite(array).all() and (array > 0).all()):
            raise UrfrError(
                f"expected positive, finite confidences for the images {name!r}, but some are not"
            )
        groups = array.shape[1]
        checked[name] = array
    return checked


def draw_confidences(confidence: Mapping[str, ArrayLike]) -> Figure:
    """Histograms of s = 1 / sigma^2, one panel a sub-embedding, one line a variation, axes shared.

    Args:
        confidence: for each kind of image ("clean", "blur", ...) its confidences [N, K], positive.

    Raises:
        UrfrError: as `check_confidence`.
    """
    kinds = check_confidence(confidence)
    groups = next(iter(kinds.values())).shape[1]
    columns = min(4, groups)
    rows = -(-groups // columns)
    everything = np.concatenate(list(kinds.values())).ravel()
    low, high = np.quantile(everything, [0.002, 0.998])
    # Confidences that training held fixed differ by float32's rounding only. A bin still needs a width.
    widen = max((high - low) * 0.02, abs(high) * 1e-3)
    # Few images in many bins show their chance, not their distribution.
    bins = int(np.clip(2 * np.sqrt(min(map(len, kinds.values()))), 10, 40))
    edges = np.linspace(low - widen, high + widen, bins + 1)
    figure = create_figure(max(4.5, 2.6 * columns), 0.8 + 1.75 * rows)
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for k, axes in enumerate(panels):
        if k >= groups:
            axes.set_visible(False)
            continue
        style_axes(axes, f"sub-embedding {k + 1}")
        for index, (name, values) in enumerate(kinds.items()):
            weights = np.full(len(values), 100 / len(values))
            axes.hist(
                np.clip(values[:, k], edges[0], edges[-1]),
                edges,
                weights=weights,
                histtype="step",
                linewidth=1.5,
                label=f"{name} ({len(values):,})",
                **choose_line_style(index),
            )
        axes.title.set_fontsize(9)
        axes.tick_params(labelsize=8)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside upper center", ncols=min(5, len(labels)), fontsize=9, frameon=False
    )
    figure.supxlabel("confidence s = 1/σ²", fontsize=10)
    figure.supylabel("% of images", fontsize=10)
    return figure


def compute_confidence_change(confidence: Mapping[str, ArrayLike]) -> tuple[list[str], NDArray[np.float64]]:
    """How each variation moves each confidence: median s under it over median s on clean images.

    Args:
        confidence: as `draw_confidences`; the first kind is what the others are compared with.

    Returns:
        Names of the other kinds [V], and log2 of the ratios, float64 [V, K]; -1 is half the confidence.

    Raises:
        UrfrError: as `check_confidence`, or only one kind.
    """
    kinds = check_confidence(confidence)
    if len(kinds) < 2:
        raise UrfrError("expected clean images and at least one variation to compare, got one kind of image")
    names = list(kinds)
    medians = np.stack([np.median(values, axis=0) for values in kinds.values()])
    return names[1:], np.log2(medians[1:] / medians[0])


def draw_confidence_changes(confidence: Mapping[str, ArrayLike]) -> Figure:
    """`compute_confidence_change` as a table of colors: which sub-embedding trusts which variation less.

    Arguments and errors as `compute_confidence_change`.
    """
    names, change = compute_confidence_change(confidence)
    groups = change.shape[1]
    figure = create_figure(max(5.6, 1.6 + 0.5 * groups), 1.3 + 0.42 * len(names))
    axes = figure.add_subplot()
    limit = max(float(np.abs(change).max()), 0.05)
    axes.imshow(change, cmap="RdBu", vmin=-limit, vmax=limit, aspect="auto")
    for (row, k), value in np.ndenumerate(change):
        axes.text(
            k,
            row,
            f"{2**value:.2f}",
            ha="center",
            va="center",
            fontsize=8,
            color="white" if abs(value) > 0.6 * limit else "black",
        )
    axes.set_yticks(range(len(names)), names, fontsize=9)
    axes.set_xticks(range(groups), [str(k + 1) for k in range(groups)], fontsize=8)
    axes.set_xlabel("sub-embedding", fontsize=10)
    axes.set_title("median confidence, as a multiple of that on clean images", fontsize=10, loc="left")
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return figure
