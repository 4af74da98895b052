"""Cosine of two embeddings, in pairs or all against all."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import ArrayLike

from urfr_tf.errors import UrfrError
from urfr_tf.metrics.arrays import Float32s
from urfr_tf.metrics.checks import check_floats, check_rows
from urfr_tf.system.cores import count_cores

_PAIRS = 2048  # listed pairs scored at a time: their embeddings stay in the cache


def normalize_rows(embedding: ArrayLike, name: str = "embedding") -> Float32s:
    """Embeddings [N, D] or [N, K, d] -> float32 [N, D] of norm 1.

    Raises:
        UrfrError: another shape, NaN, or an embedding of norm 0.
    """
    array = check_floats(embedding, name, np.float32, 2, 3)
    array = array.reshape(len(array), -1)
    norm = np.sqrt(np.einsum("nd,nd->n", array, array, dtype=np.float64))
    if not norm.all():
        raise UrfrError(f"expected embeddings with a direction, but {name} {int(np.argmin(norm))} has norm 0")
    if np.abs(norm - 1).max(initial=0) < 1e-6:
        return array
    unit: Float32s = (array / norm[:, np.newaxis]).astype(np.float32)
    return unit


def cosine_score(embedding_a: ArrayLike, embedding_b: ArrayLike, all_pairs: bool = False) -> Float32s:
    """Cosine of embeddings; with K groups of equal norm, the mean of the groups' cosines.

    Args:
        embedding_a: [N, D] or [N, K, d], of any norm but 0.
        embedding_b: [N, D] or [N, K, d]; with `all_pairs` [M, ...].
        all_pairs: every row of a against every row of b.

    Returns:
        float32 [N], or [N, M] with `all_pairs`; -1..1.

    Raises:
        UrfrError: shapes that do not fit each other, NaN, an embedding of norm 0.
    """
    a, b = normalize_rows(embedding_a, "embedding_a"), normalize_rows(embedding_b, "embedding_b")
    if a.shape[1] != b.shape[1] or (not all_pairs and len(a) != len(b)):
        raise UrfrError(
            f"expected embeddings that fit each other, but got {list(a.shape)} and {list(b.shape)}"
        )
    if all_pairs:
        cosines: Float32s = a @ b.T
    else:
        cosines = np.einsum("nd,nd->n", a, b)
    return cosines


def cosine_of_pairs(embedding: ArrayLike, first: ArrayLike, second: ArrayLike) -> Float32s:
    """Cosines of listed pairs of one set: float32 [P] for int [P] rows `first` and `second`.

    Raises:
        UrfrError: as `cosine_score`; a row that is not there.
    """
    unit = normalize_rows(embedding)
    rows_a, rows_b = check_rows(first, second, len(unit))
    scores = np.empty(len(rows_a), np.float32)

    def work(start: int) -> None:
        here = slice(start, start + _PAIRS)
        scores[here] = np.einsum("nd,nd->n", unit[rows_a[here]], unit[rows_b[here]])

    with ThreadPoolExecutor(count_cores()) as threads:
        list(threads.map(work, range(0, len(rows_a), _PAIRS)))
    return scores
