"""Template fusion: several images of one person -> one embedding and variance (method, section 6)."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

from urfr_tf.errors import UrfrError
from urfr_tf.metrics.arrays import Float32s, Float64s, Ints
from urfr_tf.metrics.checks import check_floats

_BLOCK = 1 << 24  # numbers widened to float64 at a time

FUSIONS = ("minimum", "product")
"""What the variance of a template is made of: the least of its images', or their product of Gaussians."""
SHARPNESS = 6.0
"""Of the score `weighted`: chosen on validation people (docs/lab/aggregation.md)."""


def _check_rule(variance: str, sharpness: float) -> None:
    if variance not in FUSIONS:
        raise UrfrError(f"expected the variance rule minimum or product, but got {variance}")
    check_sharpness(sharpness)


def check_sharpness(sharpness: float) -> None:
    """Raises UrfrError unless it is from 0 (a plain mean) to 32."""
    if not 0 <= sharpness <= 32:
        raise UrfrError(f"expected a sharpness from 0 to 32, but got {sharpness}")


def _check_images(embedding: ArrayLike, variance: ArrayLike) -> tuple[Float32s, Float32s]:
    embeddings = check_floats(embedding, "embedding", np.float32, 3)
    variances = check_floats(variance, "variance", np.float32, 2)
    if embeddings.shape[:2] != variances.shape:
        raise UrfrError(
            f"expected a variance for each image and group, but got embeddings {list(embeddings.shape)} "
            f"and variances {list(variances.shape)}"
        )
    if not (variances > 0).all():
        raise UrfrError(
            f"expected variances above 0, but image {int(np.argwhere(variances <= 0)[0][0])} has another"
        )
    return embeddings, variances


def _blocks(group: Ints, width: int) -> Iterator[tuple[slice, Ints, Ints]]:
    """Whole groups, a bounded number of rows at a time: their places, their rows, where each begins."""
    order = np.argsort(group, kind="stable")
    _, starts = np.unique(group[order], return_index=True)
    ends = np.append(starts[1:], len(order))
    first = 0
    while first < len(starts):
        limit = starts[first] + max(1, _BLOCK // width)
        last = max(first + 1, int(np.searchsorted(ends, limit, side="right")))
        yield slice(first, last), order[starts[first] : ends[last - 1]], starts[first:last] - starts[first]
        first = last


def average(embedding: ArrayLike, group: ArrayLike) -> Float32s:
    """Mean of the rows of each group, not renormalized: float32 [T, D] for [N, D] and int [N].

    Raises:
        UrfrError: no matrix of finite numbers, or another number of groups than rows.
    """
    embeddings = check_floats(embedding, "embedding", np.float32, 2)
    groups = np.asarray(group).reshape(-1)
    if len(groups) != len(embeddings):
        raise UrfrError(f"expected a group for each of {len(embeddings)} rows, but got {len(groups)}")
    means = np.empty((len(np.unique(groups)), embeddings.shape[1]), np.float32)
    for place, rows, cuts in _blocks(groups, embeddings.shape[1]):
        total = np.add.reduceat(embeddings[rows], cuts, axis=0, dtype=np.float64)
        means[place] = total / np.diff(np.append(cuts, len(rows)))[:, np.newaxis]
    return means


def _renormalize(total: Float64s, name: str) -> Float32s:
    norm = np.linalg.norm(total, axis=-1, keepdims=True)
    if not norm.all():
        raise UrfrError(f"the images of {name} cancel out: their weighted mean has norm 0 in a group")
    unit: Float32s = (total / norm).astype(np.float32)
    return unit


def fuse(
    embedding: ArrayLike,
    variance: ArrayLike,
    template: ArrayLike,
    rule: str = "minimum",
    sharpness: float = 1.0,
) -> tuple[Float32s, Float32s]:
    """Fuses the images of each template; the order of the images does not matter.

    Per group, the inverse-variance weighted mean, renormalized to norm 1; the variance is the
    minimum over the images (as in Probabilistic Face Embeddings, Shi and Jain, ICCV 2019) or, with
    `rule="product"`, that of the product of Gaussians, 1 / sum(1 / variance).

    With another `sharpness` than 1 the weights are (1 / variance) to that power, which is not of the paper.
    The errors of independent images average out. Images in which nobody can be recognized all look alike.
    Their errors do not average out, so they are to weigh less than their variance says
    (docs/lab/aggregation.md).
    The sharpness does not change the variance.

    Args:
        embedding: float [N, K, d], groups of any common norm.
        variance: float [N, K], above 0.
        template: int [N], the template of each image.
        rule: "minimum" or "product".
        sharpness: 0 (a plain mean) to 32.

    Returns:
        embedding float32 [T, K, d] with groups of norm 1, variance float32 [T, K]; templates in
        rising order of their number.

    Raises:
        UrfrError: sizes that do not fit each other, NaN, a variance of 0 or below, another rule or sharpness.
    """
    _check_rule(rule, sharpness)
    embeddings, variances = _check_images(embedding, variance)
    templates = np.asarray(template).reshape(-1)
    if len(templates) != len(embeddings) or not np.issubdtype(templates.dtype, np.integer):
        raise UrfrError(
            f"expected an integer template for each of {len(embeddings)} images, "
            f"but got {templates.dtype} [{len(templates)}]"
        )
    groups, width = embeddings.shape[1:]
    count = len(np.unique(templates))
    fused = np.empty((count, groups, width), np.float32)
    fused_variance = np.empty((count, groups), np.float32)
    for place, rows, cuts in _blocks(templates, groups * width):
        precision = 1.0 / variances[rows].astype(np.float64)
        weights = precision**sharpness
        total = np.add.reduceat(embeddings[rows] * weights[:, :, np.newaxis], cuts, axis=0)
        fused[place] = _renormalize(total, f"templates {templates[rows[0]]} to {templates[rows[-1]]}")
        merge = np.maximum if rule == "minimum" else np.add
        fused_variance[place] = 1.0 / merge.reduceat(precision, cuts, axis=0)
    return fused, fused_variance


class Template:
    """A template that grows image by image (video); equals `fuse` on the same images in any order.

    The sums are float64, so two orders differ by less than the rounding of float32.

    Args:
        groups: K.
        width: d, the numbers of a group.
        rule: "minimum" or "product", as in `fuse`.
        sharpness: as in `fuse`.
    """

    def __init__(self, groups: int, width: int, rule: str = "minimum", sharpness: float = 1.0) -> None:
        _check_rule(rule, sharpness)
        self.rule = rule
        self.sharpness = sharpness
        self.images = 0
        self._total = np.zeros((groups, width))
        self._precision = np.zeros(groups)
        self._best = np.zeros(groups)

    def add(self, embedding: ArrayLike, variance: ArrayLike) -> "Template":
        """Adds one image, [K, d] and [K], or several, [N, K, d] and [N, K].

        Raises:
            UrfrError: another shape than the template's, NaN, a variance of 0 or below.
        """
        images, spread = np.asarray(embedding), np.asarray(variance)
        if images.ndim == 2:
            images, spread = images[np.newaxis], spread[np.newaxis]
        embeddings, variances = _check_images(images, spread)
        if embeddings.shape[1:] != self._total.shape:
            raise UrfrError(
                f"expected embeddings of {list(self._total.shape)} for this template, "
                f"but got {list(embeddings.shape[1:])}"
            )
        precision = 1.0 / variances.astype(np.float64)
        weights = precision**self.sharpness
        self._total += (embeddings * weights[:, :, np.newaxis]).sum(axis=0)
        self._precision += precision.sum(axis=0)
        self._best = np.maximum(self._best, precision.max(axis=0, initial=0.0))
        self.images += len(embeddings)
        return self

    def result(self) -> tuple[Float32s, Float32s]:
        """The fused embedding float32 [K, d] and variance float32 [K] of the images so far.

        Raises:
            UrfrError: no image was added.
        """
        if not self.images:
            raise UrfrError("expected a template of at least one image, but none was added")
        precision = self._best if self.rule == "minimum" else self._precision
        return _renormalize(self._total, "the template"), (1.0 / precision).astype(np.float32)
