"""Verification accuracy in ten folds: the threshold of each fold chosen on the other nine."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from urfr_tf.errors import UrfrError
from urfr_tf.metrics.arrays import Bools, Float64s, Ints
from urfr_tf.metrics.scored_pairs import ScoredPairs


class FoldAccuracy(NamedTuple):
    """Mean over the folds, its standard error, the folds' thresholds float64 [F]."""

    accuracy: float
    stderr: float
    thresholds: Float64s


def best_threshold(scores: Float64s, same: Bools) -> float:
    """The threshold of the highest accuracy (accept where score >= threshold).

    It lies halfway between two neighboring scores; of equally good places the middle one is taken.
    """
    order = np.argsort(scores, kind="stable")
    ordered, hits = scores[order], same[order]
    # Position p accepts ordered[p:]; right are the genuine pairs from p on and the impostors before p.
    right = np.concatenate([[0], np.cumsum(~hits)]) + np.concatenate([np.cumsum(hits[::-1])[::-1], [0]])
    possible = np.concatenate([[True], ordered[1:] != ordered[:-1], [True]])
    places = np.flatnonzero(possible & (right == right[possible].max()))
    place = int(places[len(places) // 2])
    if place == len(ordered):
        return float(np.nextafter(ordered[-1], np.inf))
    lowest = np.finfo(np.float64).min
    if place == 0 or ordered[place - 1] == -np.inf:
        return float(max(ordered[place], lowest))
    return float((ordered[place - 1] + ordered[place]) / 2)


def deal_folds(same: ArrayLike, folds: int = 10) -> Ints:
    """Deals a list of pairs without folds into folds, label by label: each label in runs of equal length.

    A list in the order of published ones, with a run of each label in every fold, gets the folds that it was
    written in. A list in blocks of one label gets folds of both.

    Args:
        same: bool or 0/1 [N].
        folds: their number.

    Returns:
        int64 [N], the fold of each pair.
    """
    labels = np.asarray(same).reshape(-1).astype(bool)
    fold = np.empty(len(labels), np.int64)
    for label in (False, True):
        here = labels == label
        count = int(np.count_nonzero(here))
        fold[here] = np.arange(count) * folds // max(count, 1)
    return fold


def ten_fold_accuracy(scores: ArrayLike, same: ArrayLike, folds: ArrayLike | None = None) -> FoldAccuracy:
    """Accuracy as on LFW's view 2: mean over folds and its standard error, s / sqrt(F) with F - 1.

    Args:
        scores: float [N], larger is more alike; -inf is never accepted.
        same: bool or 0/1 [N].
        folds: int [N], the fold of each pair; None deals them by label (`deal_folds`).

    Returns:
        `FoldAccuracy`, fractions.

    Raises:
        UrfrError: bad scores or labels, fewer than two folds, or nine folds without a genuine or
            without an impostor pair.
    """
    pairs = ScoredPairs(scores, same)
    pairs.require_both_kinds()
    count = len(pairs.scores)
    fold = deal_folds(pairs.same) if folds is None else np.asarray(folds).reshape(-1)
    if len(fold) != count:
        raise UrfrError(f"expected a fold for each of {count} pairs, but got {len(fold)}")
    numbers = np.unique(fold)
    if len(numbers) < 2:
        raise UrfrError("expected at least two folds to choose thresholds on other pairs, but got one")
    accuracies, thresholds = [], []
    for number in numbers:
        here = fold == number
        others = pairs.same[~here]
        if others.all() or not others.any():
            raise UrfrError(f"expected genuine and impostor pairs outside of fold {number}, but got one kind")
        threshold = best_threshold(pairs.scores[~here], others)
        accuracies.append(np.mean((pairs.scores[here] >= threshold) == pairs.same[here]))
        thresholds.append(threshold)
    stderr = np.std(accuracies, ddof=1) / np.sqrt(len(numbers))
    return FoldAccuracy(float(np.mean(accuracies)), float(stderr), np.array(thresholds))
