"""Error against reject: does leaving out the least confident images lower the error?"""

from typing import Any, NamedTuple

import numpy as np

from urfr_tf.errors import UrfrError
from urfr_tf.metrics.checks import floats, scores_and_same
from urfr_tf.metrics.roc import impostors_behind, threshold_at


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
    rejected: Any = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5),
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
    quality = floats(quality, "quality", 1, dtype=np.float64)
    shares = floats(rejected, "rejected", 1, dtype=np.float64)
    first, second = np.asarray(first, np.int64), np.asarray(second, np.int64)
    if not (shares >= 0).all() or not (shares < 1).all():
        raise UrfrError("expected shares of rejected images from 0 to below 1, but got others")
    if len(first) != len(scores) or len(second) != len(scores):
        raise UrfrError(f"expected two images for each of {len(scores)} scores, but got others")
    if max(first.max(), second.max()) >= len(quality) or min(first.min(), second.min()) < 0:
        raise UrfrError(f"expected images below {len(quality)}, the number of qualities, but got others")
    impostor = scores[~same]
    threshold = threshold_at(impostor, impostors_behind(len(impostor), far, thin))
    place = np.empty(len(quality), np.int64)
    place[np.argsort(quality, kind="stable")] = np.arange(len(quality))
    worst = np.minimum(place[first], place[second])[same]
    missed = scores[same] < threshold
    fnmr, genuine = [], []
    for share in shares:
        left = worst >= round(share * len(quality))
        genuine.append(int(left.sum()))
        fnmr.append(float(missed[left].mean()) if left.any() else np.nan)
    return RejectCurve(shares, np.array(fnmr), np.array(genuine))
