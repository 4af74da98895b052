"""Error against reject: does leaving out the least confident images or templates lower the error?"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from urfr_tf.errors import UrfrError
from urfr_tf.metrics.arrays import Float64s, Ints
from urfr_tf.metrics.checks import check_floats
from urfr_tf.metrics.rates import impostors_behind, threshold_at
from urfr_tf.metrics.scored_pairs import ScoredPairs

SHARES = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5)
"""Shares of images that are left out where none are given."""


class RejectCurve(NamedTuple):
    """Share of images rejected [R], false non-match rate of what is left [R], genuine pairs left [R]."""

    rejected: Float64s
    fnmr: Float64s
    genuine: Ints


def error_against_reject(
    scores: ArrayLike,
    same: ArrayLike,
    first: ArrayLike,
    second: ArrayLike,
    quality: ArrayLike,
    far: float,
    *,
    rejected: ArrayLike = SHARES,
    thin: bool = False,
) -> RejectCurve:
    """False non-match rate when the images of lowest quality are left out (Grother and Tabassi, 2007).

    The threshold is that of the FAR on all pairs and stays; a pair is left out with either of its images.

    Args:
        scores: float [N].
        same: bool or 0/1 [N].
        first: int [N], row of the pair's first image in `quality`.
        second: int [N].
        quality: float [I], larger is better: mean confidence, a norm, or random numbers to compare with.
        far: of the threshold.
        rejected: shares of images to leave out, 0 up to below 1.
        thin: as in `tar_at_far`.

    Returns:
        `RejectCurve`; fnmr is NaN where no genuine pair is left.

    Raises:
        UrfrError: as `tar_at_far`; rows that are not in `quality`, shares outside of 0..1.
    """
    pairs = ScoredPairs(scores, same)
    pairs.require_both_kinds()
    a, b = np.asarray(first, np.int64), np.asarray(second, np.int64)
    if len(a) != len(pairs.scores) or len(b) != len(pairs.scores):
        raise UrfrError(f"expected two images for each of {len(pairs.scores)} scores, but got others")
    threshold = threshold_at(pairs.impostors, impostors_behind(len(pairs.impostors), far, thin))
    return errors_left(pairs.missed_at(threshold), [a[pairs.same], b[pairs.same]], quality, rejected)


def errors_left(
    wrong: ArrayLike, items: ArrayLike, quality: ArrayLike, rejected: ArrayLike = SHARES
) -> RejectCurve:
    """The share of wrong decisions among those that are left when the items of lowest quality are left out.

    Args:
        wrong: bool [N], a genuine pair that is missed, or a probe that is not found.
        items: int [M, N], rows of `quality`; a decision is left out with any of its M items.
        quality: float [I], larger is better.
        rejected: shares of items to leave out, 0 up to below 1.

    Raises:
        UrfrError: rows that are not in `quality`, shares outside of 0..1.
    """
    errors, rows = np.asarray(wrong, bool), np.asarray(items, np.int64)
    values = check_floats(quality, "quality", np.float64, 1)
    shares = check_floats(rejected, "rejected", np.float64, 1)
    if not (shares >= 0).all() or not (shares < 1).all():
        raise UrfrError("expected shares of rejected images from 0 to below 1, but got others")
    if rows.ndim != 2 or rows.shape[1] != len(errors):
        raise UrfrError(f"expected items for each of {len(errors)} decisions, but got {list(rows.shape)}")
    if rows.size and not 0 <= rows.min() <= rows.max() < len(values):
        raise UrfrError(f"expected images below {len(values)}, the number of qualities, but got others")
    place = np.empty(len(values), np.int64)
    place[np.argsort(values, kind="stable")] = np.arange(len(values))
    worst = place[rows].min(axis=0)
    rates, counts = [], []
    for share in shares:
        left = worst >= round(share * len(values))
        counts.append(int(left.sum()))
        rates.append(float(errors[left].mean()) if left.any() else np.nan)
    return RejectCurve(shares, np.array(rates), np.array(counts))
