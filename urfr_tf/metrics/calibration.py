"""An operating threshold, and the FAR that it really reaches on people it was not chosen on."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from urfr_tf.errors import UrfrError
from urfr_tf.metrics.arrays import Ints, Labels
from urfr_tf.metrics.checks import check_identities
from urfr_tf.metrics.rates import impostors_behind, threshold_at
from urfr_tf.metrics.scored_pairs import ScoredPairs


class Calibration(NamedTuple):
    """A threshold (accept where score >= threshold) and what it does on held-out identities.

    `chosen_on` and `held_out` count impostor pairs; `far_reached` and `tar_reached` are measured on the
    held-out half only, and None where it has no impostor or no genuine pair.
    """

    far: float
    threshold: float
    far_reached: float | None
    tar_reached: float | None
    chosen_on: int
    held_out: int


def assign_halves(
    identity_a: ArrayLike, identity_b: ArrayLike, folds: ArrayLike | None = None, seed: int = 0
) -> Ints:
    """Half 0 or 1 of each pair, int [N], or -1 where its two people fall into different halves.

    No identity is in both halves. Where no identity occurs in two folds the folds are halved, so that no
    pair is lost; otherwise the identities are, at random.
    """
    count = len(np.asarray(identity_a))
    a = check_identities(identity_a, count, "the first images")
    b = check_identities(identity_b, count, "the second images")
    codes = _number(np.concatenate([a, b]))
    people = int(codes.max(initial=-1)) + 1
    half = np.random.default_rng(seed).permutation(people) % 2
    if folds is not None:
        numbers, place = np.unique(np.asarray(folds), return_inverse=True)
        lowest, highest = np.full(people, len(numbers)), np.full(people, -1)
        both = np.concatenate([place, place])
        np.minimum.at(lowest, codes, both)
        np.maximum.at(highest, codes, both)
        if len(numbers) > 1 and np.array_equal(lowest, highest):
            half = (lowest * 2 >= len(numbers)).astype(int)
    first, second = half[codes[:count]], half[codes[count:]]
    return np.where(first == second, first, -1)


def _number(names: Labels) -> Ints:
    """The place of each name in the sorted different ones, int [N]; small whole numbers are only counted."""
    most = 1 << 24
    numbers = names.astype(np.int64) if names.dtype.kind in "iu" else np.zeros(0, np.int64)
    if not len(numbers) or numbers.min() < 0 or numbers.max() >= most:
        return np.unique(names, return_inverse=True)[1]
    place: Ints = np.cumsum(np.bincount(numbers) > 0, dtype=np.int64) - 1
    return place[numbers]


class HalvedPairs:
    """Pairs in two halves without a person in common: thresholds are chosen on one, measured on the other.

    Args:
        pairs: the scored pairs.
        half: int [N] as `assign_halves` gives it.

    Raises:
        UrfrError: no genuine or no impostor pair, another number of halves than pairs.
    """

    def __init__(self, pairs: ScoredPairs, half: Ints) -> None:
        pairs.require_both_kinds()
        scores, same = pairs.scores, pairs.same
        if len(half) != len(scores):
            raise UrfrError(f"expected the identities of {len(scores)} pairs, but got {len(half)}")
        held_out = half == 1
        self._chosen_on = scores[(half == 0) & ~same]
        self._impostors, self._genuine = scores[held_out & ~same], scores[held_out & same]

    def calibrate(self, far: float) -> Calibration:
        """Chooses the threshold of a FAR on one half and measures it on the other.

        Raises:
            UrfrError: fewer than 10 impostor pairs behind the FAR in the first half.
        """
        try:
            behind = impostors_behind(len(self._chosen_on), far, thin=False)
        except UrfrError as error:
            raise UrfrError(f"no threshold can be calibrated on half of the identities: {error}") from error
        threshold = threshold_at(self._chosen_on, behind)
        return Calibration(
            far=float(far),
            threshold=threshold,
            far_reached=float(np.mean(self._impostors >= threshold)) if len(self._impostors) else None,
            tar_reached=float(np.mean(self._genuine >= threshold)) if len(self._genuine) else None,
            chosen_on=len(self._chosen_on),
            held_out=len(self._impostors),
        )


def calibrate(
    scores: ArrayLike,
    same: ArrayLike,
    identity_a: ArrayLike,
    identity_b: ArrayLike,
    far: float,
    *,
    folds: ArrayLike | None = None,
    seed: int = 0,
) -> Calibration:
    """Chooses the threshold of a FAR on one half of the identities and measures it on the other.

    Args:
        scores: float [N], larger is more alike.
        same: bool or 0/1 [N].
        identity_a: identity of each pair's first image [N], int or str.
        identity_b: identity of each pair's second image [N].
        far: above 0 and up to 1.
        folds: int [N]; folds disjoint by identity are halved as they are.
        seed: of the halving.

    Raises:
        UrfrError: bad scores or labels; fewer than 10 impostor pairs behind the FAR in the first half.
    """
    half = assign_halves(identity_a, identity_b, folds, seed)
    return HalvedPairs(ScoredPairs(scores, same), half).calibrate(far)
