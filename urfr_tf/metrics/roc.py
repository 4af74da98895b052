"""Receiver operating characteristic and TAR at a FAR, from the scores of listed pairs.

A pair is accepted where score >= threshold; a score of -inf (no embedding) is never accepted.
"""

from typing import Any, NamedTuple

import numpy as np

from urfr_tf.errors import UrfrError
from urfr_tf.metrics.checks import scores_and_same

LEAST = 10
"""Impostors that must lie behind a FAR (or FPIR); with fewer the figure is refused, or marked thin."""


class Roc(NamedTuple):
    """far and tar, float64 [T] from 0 to 1, at thresholds [T], falling; the first is +inf."""

    far: np.ndarray
    tar: np.ndarray
    threshold: np.ndarray


class Rate(float):
    """A rate (a plain float) that remembers how it was obtained.

    Attributes:
        threshold: accepted where score >= threshold.
        reached: the FAR (or FPIR) at this threshold; above the one that was asked for only through ties.
        behind: impostors (or probes without a mate) that the threshold lets through by its definition.
        thin: `behind` is below 10.
    """

    threshold: float
    reached: float
    behind: int
    thin: bool

    @classmethod
    def of(cls, value: float, threshold: float, reached: float, behind: int) -> "Rate":
        """Makes a rate with its memory."""
        rate = cls(value)
        rate.threshold, rate.reached = float(threshold), float(reached)
        rate.behind, rate.thin = int(behind), behind < LEAST
        return rate


def roc(scores: Any, same: Any) -> Roc:
    """The whole curve; ties are one step.

    Args:
        scores: float [N], larger is more alike; -inf is never accepted.
        same: bool or 0/1 [N].

    Returns:
        `Roc` from (0, 0) on; it ends at (1, 1) unless scores of -inf keep it below.

    Raises:
        UrfrError: lengths that differ, NaN, no genuine or no impostor pair.
    """
    scores, same = scores_and_same(scores, same)
    order = np.argsort(-scores, kind="stable")
    ordered, hits = scores[order], same[order]
    last = np.append(ordered[1:] != ordered[:-1], True) & (ordered > -np.inf)
    true = np.concatenate([[0], np.cumsum(hits)[last]])
    false = np.concatenate([[0], np.cumsum(~hits)[last]])
    threshold = np.concatenate([[np.inf], ordered[last]])
    return Roc(false / np.count_nonzero(~same), true / np.count_nonzero(same), threshold)


def impostors_behind(impostors: int, far: float, thin: bool, kind: str = "FAR") -> int:
    """round(impostors x far), the number of impostors that a threshold at `far` lets through.

    Raises:
        UrfrError: `far` is not in 0..1, or the number is below 10 and `thin` is not given.
    """
    if not 0 < far <= 1:
        raise UrfrError(f"expected a {kind} above 0 and up to 1, but got {far:g}")
    behind = round(impostors * far)
    if behind < LEAST and not thin:
        what = "impostor pairs" if kind == "FAR" else "probes without a mate"
        raise UrfrError(
            f"{kind} {far:g} is refused: {impostors} {what} put {behind} behind it, and under {LEAST} it is "
            "chance (--thin-far gives it all the same, marked as thin)"
        )
    return behind


def threshold_at(impostor_scores: np.ndarray, behind: int) -> float:
    """The `behind`-th largest impostor score; for 0 the next number above the largest.

    A threshold of -inf (impostors without an embedding) is raised to the lowest finite number, so that
    a score of -inf is not accepted.
    """
    if not len(impostor_scores):
        raise UrfrError("expected at least one impostor to choose a threshold on, but there is none")
    if behind == 0:
        return float(np.nextafter(impostor_scores.max(), np.inf))
    place = len(impostor_scores) - behind
    return float(max(np.partition(impostor_scores, place)[place], np.finfo(np.float64).min))


def tar_at_far(scores: Any, same: Any, far: float, thin: bool = False) -> Rate:
    """Share of genuine pairs accepted at the threshold of a FAR.

    The threshold is the round(impostors x far)-th largest impostor score, never interpolated.

    Args:
        scores: float [N], larger is more alike; -inf is never accepted.
        same: bool or 0/1 [N].
        far: above 0 and up to 1.
        thin: give a FAR with fewer than 10 impostors behind it too; its `thin` is True.

    Returns:
        `Rate`: a float in 0..1 with `threshold`, `reached`, `behind` and `thin`.

    Raises:
        UrfrError: bad scores or labels, or a FAR with too few impostors behind it.
    """
    scores, same = scores_and_same(scores, same)
    impostor = scores[~same]
    behind = impostors_behind(len(impostor), far, thin)
    threshold = threshold_at(impostor, behind)
    return Rate.of(np.mean(scores[same] >= threshold), threshold, np.mean(impostor >= threshold), behind)
