"""What every metric requires of its arrays, and the sentences where it does not hold."""

from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from urfr_tf.errors import UrfrError
from urfr_tf.metrics.arrays import Bools, Float64s, Ints, Labels

Float = TypeVar("Float", np.float32, np.float64)


def check_floats(values: ArrayLike, name: str, dtype: type[Float], *ranks: int) -> NDArray[Float]:
    """Makes a finite array of `dtype` with one of the `ranks` out of NumPy, TensorFlow or a list.

    Raises:
        UrfrError: another rank, not numbers, NaN or infinite values.
    """
    try:
        array = np.asarray(values, dtype)
    except (TypeError, ValueError) as error:
        raise UrfrError(f"expected numbers in {name}, but got {type(values).__name__}: {error}") from error
    if array.ndim not in ranks:
        expected = " or ".join(str(rank) for rank in ranks)
        raise UrfrError(f"expected {name} with {expected} dimensions, but got the shape {list(array.shape)}")
    if not np.isfinite(array).all():
        row = int(np.argwhere(~np.isfinite(array))[0][0]) if array.ndim else 0
        raise UrfrError(f"expected finite numbers in {name}, but row {row} holds NaN or infinity")
    return array


def check_scores(scores: ArrayLike, same: ArrayLike) -> tuple[Float64s, Bools]:
    """Makes pair scores float64 [N] (-inf is "never matched", NaN is refused) and labels bool [N].

    Raises:
        UrfrError: lengths that differ, NaN, labels other than 0 and 1.
    """
    numbers = np.asarray(scores, np.float64).reshape(-1)
    labels = np.asarray(same).reshape(-1)
    if len(numbers) != len(labels):
        raise UrfrError(
            f"expected a label for each score, but got {len(numbers)} scores and {len(labels)} labels"
        )
    if np.isnan(numbers).any() or np.isposinf(numbers).any():
        raise UrfrError(
            f"expected numbers as scores, but score {int(np.argmin(numbers < np.inf))} is NaN or infinite"
        )
    if not np.isin(labels, (0, 1)).all():
        raise UrfrError("expected labels 0 (different people) and 1 (same person), but got others")
    return numbers, labels.astype(bool)


def check_both_kinds(genuine: int, impostors: int) -> None:
    """Raises UrfrError where there is no genuine or no impostor pair."""
    if not genuine or not impostors:
        missing = "impostor" if genuine else "genuine"
        raise UrfrError(
            f"expected genuine and impostor pairs, but there is no {missing} pair among {genuine + impostors}"
        )


def check_identities(values: ArrayLike, count: int, name: str) -> Labels:
    """Makes identity labels (int or str) an array [count].

    Raises:
        UrfrError: another number of labels.
    """
    array: Labels = np.asarray(values).reshape(-1)
    if len(array) != count:
        raise UrfrError(f"expected {count} identities for {name}, but got {len(array)}")
    return array


def check_rows(first: ArrayLike, second: ArrayLike, count: int) -> tuple[Ints, Ints]:
    """Makes two int64 arrays [P] of rows below `count`.

    Raises:
        UrfrError: different lengths, or a row that is not there.
    """
    a, b = np.asarray(first, np.int64), np.asarray(second, np.int64)
    rows = np.concatenate([a, b])
    if a.shape != b.shape or (len(rows) and not 0 <= rows.min() <= rows.max() < count):
        raise UrfrError(f"expected pairs of rows below {count}, but got others")
    return a, b
