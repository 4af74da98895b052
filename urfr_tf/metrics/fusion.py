"""Template fusion: several images of one person -> one embedding and variance (method, section 6)."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from urfr_tf.errors import UrfrError
from urfr_tf.metrics.checks import floats

_BLOCK = 1 << 24  # numbers widened to float64 at a time

VARIANCES = ("minimum", "product")
SHARPNESS = 6.0
"""Of the score `weighted`: chosen on validation people (docs/aggregation.md)."""


def _check_rule(variance: str, sharpness: float) -> None:
    if variance not in VARIANCES:
        raise UrfrError(f"expected the variance rule minimum or product, but got {variance}")
    check_sharpness(sharpness)


def check_sharpness(sharpness: float) -> None:
    """Raises UrfrError unless it is from 0 (a plain mean) to 32."""
    if not 0 <= sharpness <= 32:
        raise UrfrError(f"expected a sharpness from 0 to 32, but got {sharpness}")


def _check_images(embedding: Any, variance: Any) -> tuple[np.ndarray, np.ndarray]:
    embedding, variance = floats(embedding, "embedding", 3), floats(variance, "variance", 2)
    if embedding.shape[:2] != variance.shape:
        raise UrfrError(
            f"expected a variance for each image and group, but got embeddings {list(embedding.shape)} "
            f"and variances {list(variance.shape)}"
        )
    if not (variance > 0).all():
        raise UrfrError(
            f"expected variances above 0, but image {int(np.argwhere(variance <= 0)[0][0])} has another"
        )
    return embedding, variance


def _blocks(group: np.ndarray, width: int) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
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


def average(embedding: Any, group: Any) -> np.ndarray:
    """Mean of the rows of each group, not renormalised: float32 [T, D] for [N, D] and int [N].

    Raises:
        UrfrError: no matrix of finite numbers, or another number of groups than rows.
    """
    embedding = floats(embedding, "embedding", 2)
    group = np.asarray(group).reshape(-1)
    if len(group) != len(embedding):
        raise UrfrError(f"expected a group for each of {len(embedding)} rows, but got {len(group)}")
    means = np.empty((len(np.unique(group)), embedding.shape[1]), np.float32)
    for place, rows, cuts in _blocks(group, embedding.shape[1]):
        total = np.add.reduceat(embedding[rows], cuts, axis=0, dtype=np.float64)
        means[place] = total / np.diff(np.append(cuts, len(rows)))[:, np.newaxis]
    return means


def _renormalise(total: np.ndarray, name: str) -> np.ndarray:
    norm = np.linalg.norm(total, axis=-1, keepdims=True)
    if not norm.all():
        raise UrfrError(f"the images of {name} cancel out: their weighted mean has norm 0 in a group")
    return (total / norm).astype(np.float32)


def fuse(
    embedding: Any, variance: Any, template: Any, rule: str = "minimum", sharpness: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Fuses the images of each template; the order of the images does not matter.

    Per group, the inverse-variance weighted mean, renormalised to norm 1; the variance is the
    minimum over the images (as in Probabilistic Face Embeddings, Shi and Jain, ICCV 2019) or, with
    `rule="product"`, that of the product of Gaussians, 1 / sum(1 / variance).

    With another `sharpness` than 1 the weights are (1 / variance) to that power, which is not of the paper. What
    Gaussians average out in many images does not average out in lost ones, which all look alike: they
    are to weigh less than their variance says (docs/aggregation.md). The variance is not changed by it.

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
    embedding, variance = _check_images(embedding, variance)
    template = np.asarray(template).reshape(-1)
    if len(template) != len(embedding) or not np.issubdtype(template.dtype, np.integer):
        raise UrfrError(
            f"expected an integer template for each of {len(embedding)} images, "
            f"but got {template.dtype} [{len(template)}]"
        )
    groups, width = embedding.shape[1:]
    count = len(np.unique(template))
    fused = np.empty((count, groups, width), np.float32)
    fused_variance = np.empty((count, groups), np.float32)
    for place, rows, cuts in _blocks(template, groups * width):
        precision = 1.0 / variance[rows].astype(np.float64)
        weights = precision**sharpness
        total = np.add.reduceat(embedding[rows] * weights[:, :, np.newaxis], cuts, axis=0)
        fused[place] = _renormalise(total, f"templates {template[rows[0]]} to {template[rows[-1]]}")
        merge = np.maximum if rule == "minimum" else np.add
        fused_variance[place] = 1.0 / merge.reduceat(precision, cuts, axis=0)
    return fused, fused_variance


class Template:
    """A template that grows image by image (video); equals `fuse` on the same images in any order.

    The sums are kept in float64, so two orders differ by less than the rounding of float32.

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

    def add(self, embedding: Any, variance: Any) -> "Template":
        """Adds one image, [K, d] and [K], or several, [N, K, d] and [N, K].

        Raises:
            UrfrError: another shape than the template's, NaN, a variance of 0 or below.
        """
        embedding, variance = np.asarray(embedding), np.asarray(variance)
        if embedding.ndim == 2:
            embedding, variance = embedding[np.newaxis], variance[np.newaxis]
        embedding, variance = _check_images(embedding, variance)
        if embedding.shape[1:] != self._total.shape:
            raise UrfrError(
                f"expected embeddings of {list(self._total.shape)} for this template, "
                f"but got {list(embedding.shape[1:])}"
            )
        precision = 1.0 / variance.astype(np.float64)
        weights = precision**self.sharpness
        self._total += (embedding * weights[:, :, np.newaxis]).sum(axis=0)
        self._precision += precision.sum(axis=0)
        self._best = np.maximum(self._best, precision.max(axis=0, initial=0.0))
        self.images += len(embedding)
        return self

    def result(self) -> tuple[np.ndarray, np.ndarray]:
        """The fused embedding float32 [K, d] and variance float32 [K] of the images so far.

        Raises:
            UrfrError: no image was added.
        """
        if not self.images:
            raise UrfrError("expected a template of at least one image, but none was added")
        precision = self._best if self.rule == "minimum" else self._precision
        return _renormalise(self._total, "the template"), (1.0 / precision).astype(np.float32)
