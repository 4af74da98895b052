"""Receiver operating characteristic and TAR at a FAR, from the scores of listed pairs.

A pair is accepted where score >= threshold; a score of -inf (no embedding) is never accepted.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from urfr_tf.metrics.arrays import Float64s
from urfr_tf.metrics.rates import Rate
from urfr_tf.metrics.scored_pairs import ScoredPairs


class Roc(NamedTuple):
    """far and tar, float64 [T] from 0 to 1, at thresholds [T], falling; the first is +inf."""

    far: Float64s
    tar: Float64s
    threshold: Float64s


def roc(scores: ArrayLike, same: ArrayLike) -> Roc:
    """The whole curve; ties are one step.

    Args:
        scores: float [N], larger is more alike; -inf is never accepted.
        same: bool or 0/1 [N].

    Returns:
        `Roc` from (0, 0) on; it ends at (1, 1) unless scores of -inf keep it below.

    Raises:
        UrfrError: lengths that differ, NaN, no genuine or no impostor pair.
    """
    pairs = ScoredPairs(scores, same)
    pairs.require_both_kinds()
    order = np.argsort(-pairs.scores, kind="stable")
    ordered, hits = pairs.scores[order], pairs.same[order]
    last = np.append(ordered[1:] != ordered[:-1], True) & (ordered > -np.inf)
    true = np.concatenate([[0], np.cumsum(hits)[last]])
    false = np.concatenate([[0], np.cumsum(~hits)[last]])
    threshold = np.concatenate([[np.inf], ordered[last]])
    return Roc(false / len(pairs.impostors), true / len(pairs.genuine), threshold)


def tar_at_far(scores: ArrayLike, same: ArrayLike, far: float, thin: bool = False) -> Rate:
    """Share of genuine pairs accepted at the threshold of a FAR.

    The threshold is the round(impostors x far)-th largest impostor score, never interpolated. For several
    FARs of the same pairs, make one `ScoredPairs` and call its method.

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
    return ScoredPairs(scores, same).tar_at_far(far, thin)
