"""What every metric asks of its arrays, said in a sentence where it does not hold."""

from typing import Any

import numpy as np

from urfr_tf.errors import UrfrError


def floats(values: Any, name: str, *ranks: int, dtype: Any = np.float32) -> np.ndarray:
    """`values` (NumPy, TF or a list) as a finite array of `dtype` with one of the `ranks`.

    Raises:
        UrfrError: another rank, not numbers, NaN or infinite values.
    """
    try:
        array = np.asarray(values, dtype)
    except (TypeError, ValueError) as error:
        raise UrfrError(f"expected numbers in {name}, but got {type(values).__name__}: {error}") from error
    if array.ndim not in ranks:
        wanted = " or ".join(str(rank) for rank in ranks)
        raise UrfrError(f"expected {name} with {wanted} dimensions, but got the shape {list(array.shape)}")
    if not np.isfinite(array).all():
        row = int(np.argwhere(~np.isfinite(array))[0][0]) if array.ndim else 0
        raise UrfrError(f"expected finite numbers in {name}, but row {row} holds NaN or infinity")
    return array


def scores_and_same(scores: Any, same: Any) -> tuple[np.ndarray, np.ndarray]:
    """Pair scores float64 [N] (-inf is "never matched", NaN refused) and bool [N].

    Raises:
        UrfrError: lengths that differ, NaN, labels other than 0 and 1, no genuine or no impostor pair.
    """
    scores = np.asarray(scores, np.float64).reshape(-1)
    same = np.asarray(same).reshape(-1)
    if len(scores) != len(same):
        raise UrfrError(
            f"expected a label for each score, but got {len(scores)} scores and {len(same)} labels"
        )
    if np.isnan(scores).any() or np.isposinf(scores).any():
        raise UrfrError(
            f"expected numbers as scores, but score {int(np.argmin(scores < np.inf))} is NaN or infinite"
        )
    if not np.isin(same, (0, 1)).all():
        raise UrfrError("expected labels 0 (different people) and 1 (same person), but got others")
    same = same.astype(bool)
    if same.all() or not same.any():
        missing = "impostor" if len(same) and same.all() else "genuine"
        raise UrfrError(
            f"expected genuine and impostor pairs, but there is no {missing} pair among {len(same)}"
        )
    return scores, same


def identities(values: Any, count: int, name: str) -> np.ndarray:
    """Identity labels (int or str) as an array [count].

    Raises:
        UrfrError: another number of labels.
    """
    array = np.asarray(values).reshape(-1)
    if len(array) != count:
        raise UrfrError(f"expected {count} identities for {name}, but got {len(array)}")
    return array


def checked_rows(first: Any, second: Any, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Two int64 arrays [P] of rows below `count`.

    Raises:
        UrfrError: different lengths, or a row that is not there.
    """
    first, second = np.asarray(first, np.int64), np.asarray(second, np.int64)
    rows = np.concatenate([first, second])
    if first.shape != second.shape or (len(rows) and not 0 <= rows.min() <= rows.max() < count):
        raise UrfrError(f"expected pairs of rows below {count}, but got others")
    return first, second
