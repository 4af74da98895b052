"""Scores of listed pairs, checked and split once, however many rates are then measured."""

from numpy.typing import ArrayLike

from urfr_tf.metrics.arrays import Bools
from urfr_tf.metrics.checks import check_both_kinds, check_scores
from urfr_tf.metrics.rates import Rate, impostors_behind, threshold_at


class ScoredPairs:
    """Scores of listed pairs, split into those of genuine and of impostor pairs.

    A pair is accepted where score >= threshold; a score of -inf (no embedding) is never accepted.

    Args:
        scores: float [N], larger is more alike.
        same: bool or 0/1 [N].

    Attributes:
        scores: float64 [N].
        same: bool [N].
        genuine: float64, the scores of pairs of one person, in the order of the list.
        impostors: float64, the others.

    Raises:
        UrfrError: lengths that differ, NaN, labels other than 0 and 1.
    """

    def __init__(self, scores: ArrayLike, same: ArrayLike) -> None:
        self.scores, self.same = check_scores(scores, same)
        self.genuine, self.impostors = self.scores[self.same], self.scores[~self.same]

    def require_both_kinds(self) -> None:
        """Raises UrfrError where there is no genuine or no impostor pair."""
        check_both_kinds(len(self.genuine), len(self.impostors))

    def tar_at_far(self, far: float, thin: bool = False) -> Rate:
        """Measures the share of genuine pairs accepted at the threshold of a FAR; see `roc.tar_at_far`."""
        self.require_both_kinds()
        behind = impostors_behind(len(self.impostors), far, thin)
        threshold = threshold_at(self.impostors, behind)
        accepted = float((self.genuine >= threshold).mean())
        return Rate.of(accepted, threshold, float((self.impostors >= threshold).mean()), behind)

    def missed_at(self, threshold: float) -> Bools:
        """Tells which genuine pairs a threshold misses, bool [G]."""
        missed: Bools = self.genuine < threshold
        return missed
