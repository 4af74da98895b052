"""Mutual likelihood of two embeddings with their variances (method, section 6).

    score = -1/2 sum_k [ |f_a,k - f_b,k|^2 / (v_a,k + v_b,k) + d log(v_a,k + v_b,k) ]

All against all, each group is a matrix product that gives |a|^2 + |b|^2 - 2 a.b; the sum of logarithms is
the logarithm of a product. Work goes through tiles, so [N, M, K] is never there. Where `setup.py` found a C
compiler, `likelihood_kernel.py` does it in one pass; otherwise, and in float64, TensorFlow does.
"""

import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from urfr_tf.errors import UrfrError
from urfr_tf.metrics import likelihood_kernel
from urfr_tf.metrics.arrays import Array, Float32s, Float64s, Floats, Ints
from urfr_tf.metrics.checks import check_floats, check_rows
from urfr_tf.system.cores import count_cores

if TYPE_CHECKING:
    import tensorflow as tf

Precision = type[np.float32] | type[np.float64]

_MEMORY = 64 << 20
_ROWS, _COLUMNS = 256, 2048
_COMPILE_FROM = 1 << 20  # scores from which compiling pays
_PAIRS = 2048  # listed pairs scored at a time: their embeddings stay in the cache
LEAST_IN_FLOAT32 = 1e-4
"""|a|^2 + |b|^2 - 2 a.b is right to about 3e-7 of |a|^2 in float32; divided by less than this it shows."""


def likelihood_score(
    embedding_a: ArrayLike,
    variance_a: ArrayLike,
    embedding_b: ArrayLike,
    variance_b: ArrayLike,
    all_pairs: bool = False,
    *,
    memory: int = _MEMORY,
) -> Float32s:
    """Mutual likelihood score, in pairs or all against all; larger is more alike.

    Args:
        embedding_a: float [N, K, d], groups of norm 1 (any norm is taken as it is).
        variance_a: float [N, K], above 0.
        embedding_b: float [N, K, d]; with `all_pairs` [M, K, d].
        variance_b: float [N, K]; with `all_pairs` [M, K].
        all_pairs: every row of a against every row of b.
        memory: bytes that may be used besides the arguments (copied once) and the result.

    Returns:
        float32 [N], or [N, M] with `all_pairs`.

    Raises:
        UrfrError: shapes that do not fit each other, NaN, variances that are not above 0.
    """
    a, va = check_embeddings(embedding_a, variance_a, "a")
    b, vb = check_embeddings(embedding_b, variance_b, "b")
    if a.shape[1:] != b.shape[1:] or (not all_pairs and len(a) != len(b)):
        raise UrfrError(
            f"expected embeddings that fit each other, but got {list(a.shape)} and {list(b.shape)}"
        )
    if not all_pairs:
        rows = np.arange(len(a))
        return _score_listed(a, va, rows, b, vb, rows)
    if not len(a) or not len(b):
        return np.zeros([len(a), len(b)], np.float32)
    return _score_all_pairs(a, va, b, vb, memory)


def likelihood_of_pairs(
    embedding: ArrayLike, variance: ArrayLike, first: ArrayLike, second: ArrayLike
) -> Float32s:
    """Scores of listed pairs of one set: float32 [P] for int [P] rows `first` and `second`.

    Raises:
        UrfrError: as `likelihood_score`; a row that is not there.
    """
    a, va = check_embeddings(embedding, variance, "")
    rows_a, rows_b = check_rows(first, second, len(a))
    return _score_listed(a, va, rows_a, a, va, rows_b)


def check_embeddings(embedding: ArrayLike, variance: ArrayLike, name: str) -> tuple[Float32s, Float32s]:
    """Makes embeddings float32 [N, K, d] and variances float32 [N, K].

    Raises:
        UrfrError: another shape, NaN, variances that are not above 0.
    """
    suffix = f"_{name}" if name else ""
    embeddings = check_floats(embedding, f"embedding{suffix}", np.float32, 3)
    variances = check_floats(variance, f"variance{suffix}", np.float32, 2)
    if embeddings.shape[:2] != variances.shape:
        raise UrfrError(
            f"expected variance{suffix} {list(embeddings.shape[:2])}, a number for each group of each "
            f"embedding, but got {list(variances.shape)}"
        )
    if not (variances > 0).all():
        row = int(np.argwhere(variances <= 0)[0][0])
        raise UrfrError(f"expected variances above 0, but row {row} of variance{suffix} has another")
    return embeddings, variances


def _score_listed(
    a: Float32s, va: Float32s, first: Ints, b: Float32s, vb: Float32s, second: Ints
) -> Float32s:
    scores = np.empty(len(first), np.float32)

    def work(start: int) -> None:
        i, j = first[start : start + _PAIRS], second[start : start + _PAIRS]
        difference = a[i]
        difference -= b[j]
        distance = np.einsum("nkd,nkd->nk", difference, difference)
        total = va[i].astype(np.float64) + vb[j]
        terms = distance / total + a.shape[2] * np.log(total)
        scores[start : start + _PAIRS] = -0.5 * terms.sum(axis=1)

    with ThreadPoolExecutor(count_cores()) as threads:
        list(threads.map(work, range(0, len(first), _PAIRS)))
    return scores


def _score_all_pairs(a: Float32s, va: Float32s, b: Float32s, vb: Float32s, memory: int) -> Float32s:
    width, groups = a.shape[2], a.shape[1]
    scale, runs = product_runs(va, vb)
    largest = max(float(np.einsum("nkd,nkd->nk", x, x).max()) for x in (a, b))
    least = (va.min(axis=0).astype(np.float64) + vb.min(axis=0)).min()
    single = least >= LEAST_IN_FLOAT32 * largest
    if single and (kernel := likelihood_kernel.load_kernel()) is not None:
        return likelihood_kernel.score_all_pairs(kernel, a, va, b, vb, scale, runs, memory)
    import tensorflow as tf  # only here: where the kernel is, nothing else needs it

    dtype: type[np.float32] | type[np.float64] = np.float32 if single and len(runs) == 1 else np.float64
    constant = width * float(np.log(scale).sum())
    # Each group's product, their running sum and product, and what is read: not more than groups + 4 tiles.
    tile = max(1, memory // (np.dtype(dtype).itemsize * (groups + 4)))
    rows = min(_ROWS, len(a), max(1, int(tile**0.5)))
    columns = min(_COLUMNS, len(b), max(1, tile // rows))
    root = np.sqrt(scale)[:, np.newaxis, np.newaxis]
    left = _augment(a, rows, dtype, of_a=True) / root.astype(dtype)
    right = _augment(b, columns, dtype, of_a=False) / root.astype(dtype)
    left_variance = _pad(va / scale, rows, dtype).T[:, :, np.newaxis]
    right_variance = _pad(vb / scale, columns, dtype).T[:, np.newaxis, :]
    score = _tile_score(runs, width, len(a) * len(b) >= _COMPILE_FROM)
    tensors = [tf.constant(right[:, :, j : j + columns]) for j in range(0, len(b), columns)]
    variances = [tf.constant(right_variance[:, :, j : j + columns]) for j in range(0, len(b), columns)]
    scores = np.empty((len(a), len(b)), np.float32)
    for i in range(0, len(a), rows):
        x, vx = tf.constant(left[:, i : i + rows]), tf.constant(left_variance[:, i : i + rows])
        for n, j in enumerate(range(0, len(b), columns)):
            block = score(x, vx, tensors[n], variances[n], tf.constant(constant, dtype)).numpy()
            scores[i : i + rows, j : j + columns] = block[: len(a) - i, : len(b) - j]
    return scores


def product_runs(va: Float32s, vb: Float32s) -> tuple[Float64s, tuple[tuple[int, ...], ...]]:
    """How sums of variances can be multiplied without over- or underflow.

    Returns:
        A scale float64 [K] to divide each group's variances by, and the groups in runs: whatever pair is
        taken, the product of a run's scaled sums lies in 1e-30 ... 1e30.
    """
    low = va.min(axis=0).astype(np.float64) + vb.min(axis=0)
    high = va.max(axis=0).astype(np.float64) + vb.max(axis=0)
    scale = np.sqrt(low) * np.sqrt(high)
    reach = np.log10(high / scale)
    runs: list[list[int]] = [[]]
    used = 0.0
    for group, step in enumerate(reach):
        if runs[-1] and used + step > 30:
            runs.append([])
            used = 0.0
        runs[-1].append(group)
        used += step
    return scale, tuple(tuple(run) for run in runs)


@functools.lru_cache(maxsize=32)
def _tile_score(runs: tuple[tuple[int, ...], ...], width: int, compiled: bool) -> "Callable[..., tf.Tensor]":
    import tensorflow as tf

    def score(a: tf.Tensor, va: tf.Tensor, b: tf.Tensor, vb: tf.Tensor, constant: tf.Tensor) -> tf.Tensor:
        total = constant
        for run in runs:
            product: tf.Tensor | float = 1.0
            for group in run:
                variance = va[group] + vb[group]
                total += tf.matmul(a[group], b[group]) / variance
                product *= variance
            total += width * tf.math.log(product)
        return tf.cast(-0.5 * total, tf.float32)

    return tf.function(score, jit_compile=True) if compiled else score


def _pad(array: Floats, multiple: int, dtype: Precision) -> Floats:
    """Repeats the last row up to a multiple: every tile has one shape, so one program is compiled."""
    widths = [(0, -len(array) % multiple)] + [(0, 0)] * (array.ndim - 1)
    padded: Array = np.pad(array.astype(dtype), widths, "edge")
    return padded


def _augment(x: Float32s, multiple: int, dtype: Precision, of_a: bool) -> Floats:
    """[N, K, d] -> [K, N, d + 2] or [K, d + 2, N], whose product is |a|^2 + |b|^2 - 2 a.b."""
    rows = _pad(x, multiple, dtype)
    square = np.einsum("nkd,nkd->nk", rows, rows)[:, :, np.newaxis]
    one = np.ones_like(square)
    if of_a:
        return np.ascontiguousarray(np.concatenate([-2 * rows, square, one], axis=2).transpose(1, 0, 2))
    return np.ascontiguousarray(np.concatenate([rows, one, square], axis=2).transpose(1, 2, 0))
