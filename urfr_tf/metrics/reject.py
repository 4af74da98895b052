"""Error against reject: does leaving out the least confident images or templates lower the error?"""

from typing import Any, NamedTuple

import numpy as np

from urfr_tf.errors import UrfrError
from urfr_tf.metrics.checks import floats, scores_and_same
from urfr_tf.metrics.roc import impostors_behind, threshold_at

SHARES = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5)
"""Shares of images that are left out where none are given."""


class RejectCurve(NamedTuple):
    """Share of images rejected [R], false non-match rate of what is left [R], genuine pairs left [R]."""

    rejected: np.ndarray
    fnmr: np.ndarray
    genuine: np.ndarray


def error_against_reject(
    scores: Any,
    same: Any,
    first: Any,
    second: Any,
    quality: Any,
    far: float,
    *,
    rejected: Any = SHARES,
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
    scores, same = scores_and_same(scores, same)
    first, second = np.asarray(first, np.int64), np.asarray(second, np.int64)
    if len(first) != len(scores) or len(second) != len(scores):
        raise UrfrError(f"expected two images for each of {len(scores)} scores, but got others")
    impostor = scores[~same]
    threshold = threshold_at(impostor, impostors_behind(len(impostor), far, thin))
    return errors_left(scores[same] < threshold, [first[same], second[same]], quality, rejected)


def errors_left(wrong: Any, items: Any, quality: Any, rejected: Any = SHARES) -> RejectCurve:
    """The share of wrong decisions among those that are left when the items of lowest quality are left out.

    Args:
        wrong: bool [N], a genuine pair that is missed, or a probe that is not found.
        items: int [M, N], rows of `quality`; a decision is left out with any of its M items.
        quality: float [I], larger is better.
        rejected: shares of items to leave out, 0 up to below 1.

    Raises:
        UrfrError: rows that are not in `quality`, shares outside of 0..1.
    """
    wrong, items = np.asarray(wrong, bool), np.asarray(items, np.int64)
    quality = floats(quality, "quality", 1, dtype=np.float64)
    shares = floats(rejected, "rejected", 1, dtype=np.float64)
    if not (shares >= 0).all() or not (shares < 1).all():
        raise UrfrError("expected shares of rejected images from 0 to below 1, but got others")
    if items.ndim != 2 or items.shape[1] != len(wrong):
        raise UrfrError(f"expected items for each of {len(wrong)} decisions, but got {list(items.shape)}")
    if items.size and not 0 <= items.min() <= items.max() < len(quality):
        raise UrfrError(f"expected images below {len(quality)}, the number of qualities, but got others")
    place = np.empty(len(quality), np.int64)
    place[np.argsort(quality, kind="stable")] = np.arange(len(quality))
    worst = place[items].min(axis=0)
    rates, counts = [], []
    for share in shares:
        left = worst >= round(share * len(quality))
        counts.append(int(left.sum()))
        rates.append(float(wrong[left].mean()) if left.any() else np.nan)
    return RejectCurve(shares, np.array(rates), np.array(counts))
