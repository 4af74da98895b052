"""An operating threshold, and the FAR that it really reaches on people it was not chosen on."""

from typing import Any, NamedTuple

import numpy as np

from urfr_tf.errors import UrfrError
from urfr_tf.metrics.checks import identities, scores_and_same
from urfr_tf.metrics.roc import impostors_behind, threshold_at


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


def halves(identity_a: Any, identity_b: Any, folds: Any = None, seed: int = 0) -> np.ndarray:
    """Half 0 or 1 of each pair, int [N], or -1 where its two people fall into different halves.

    No identity is in both halves. Where no identity occurs in two folds the folds are halved, so that no
    pair is lost; otherwise the identities are, at random.
    """
    count = len(np.asarray(identity_a))
    a = identities(identity_a, count, "the first images")
    b = identities(identity_b, count, "the second images")
    codes = _numbered(np.concatenate([a, b]))
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


def _numbered(names: np.ndarray) -> np.ndarray:
    """The place of each name in the sorted different ones, int [N]; small whole numbers are not sorted for it."""
    most = 1 << 24
    if names.dtype.kind not in "iu" or not len(names) or names.min() < 0 or names.max() >= most:
        return np.unique(names, return_inverse=True)[1]
    place = np.cumsum(np.bincount(names) > 0) - 1
    return place[names]


def calibrate(
    scores: Any, same: Any, identity_a: Any, identity_b: Any, far: float, *, folds: Any = None, seed: int = 0
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
    return calibrate_halves(scores, same, halves(identity_a, identity_b, folds, seed), far)


def calibrate_halves(scores: Any, same: Any, half: Any, far: float) -> Calibration:
    """`calibrate` with the half of each pair known, int [N] as `halves` gives them."""
    scores, same = scores_and_same(scores, same)
    half = np.asarray(half)
    if len(half) != len(scores):
        raise UrfrError(f"expected the identities of {len(scores)} pairs, but got {len(half)}")
    chosen, held = scores[(half == 0) & ~same], half == 1
    try:
        behind = impostors_behind(len(chosen), far, thin=False)
    except UrfrError as error:
        raise UrfrError(f"no threshold can be calibrated on half of the identities: {error}") from error
    threshold = threshold_at(chosen, behind)
    impostor, genuine = scores[held & ~same], scores[held & same]
    return Calibration(
        far=float(far),
        threshold=threshold,
        far_reached=float(np.mean(impostor >= threshold)) if len(impostor) else None,
        tar_reached=float(np.mean(genuine >= threshold)) if len(genuine) else None,
        chosen_on=len(chosen),
        held_out=len(impostor),
    )
