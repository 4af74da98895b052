"""Rates at a threshold: how many impostors one may let through, and where the threshold then lies."""

import math

import numpy as np

from urfr_tf.errors import UrfrError
from urfr_tf.metrics.arrays import Floats

LEAST = 10
"""Impostors that must lie behind a FAR (or FPIR); with fewer the figure is refused, or marked thin."""


class Rate(float):
    """A rate (a plain float) that remembers how it was obtained.

    Attributes:
        threshold: accepted where score >= threshold.
        reached: the FAR (or FPIR) at this threshold; above the requested one only through ties.
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
            f"a {kind} of {far:g} needs at least {LEAST} false accepts, that is {math.ceil(LEAST / far):,} "
            f"{what}, but there are {impostors:,}; --thin-far reports it anyway, marked as thin"
        )
    return behind


def threshold_at(impostor_scores: Floats, behind: int) -> float:
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
