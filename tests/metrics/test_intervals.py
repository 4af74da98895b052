"""Bootstrap over identities, calibration on held-out identities, error against reject."""

import numpy as np
import pytest

from urfr_tf.errors import UrfrError
from urfr_tf.metrics import ScoredPairs, calibrate, error_against_reject, tar_at_far, tar_intervals
from urfr_tf.metrics.calibration import assign_halves
from urfr_tf.metrics.reject import errors_left


def people(rng, count=40, images=4):
    """All pairs of a set whose people differ in how well they are recognised."""
    identity = np.repeat(np.arange(count), images)
    first, second = np.triu_indices(count * images, 1)
    same = identity[first] == identity[second]
    hard = rng.normal(0, 1, count)
    scores = np.where(same, 3 + hard[identity[first]], 0) + rng.normal(0, 1, len(first))
    return scores, same, identity[first], identity[second]


def tar_interval(scores, same, a, b, far, **options):
    (interval,) = tar_intervals(ScoredPairs(scores, same), a, b, [far], **options)
    return interval


def test_replicates_equal_repeated_pairs():
    # A replicate's weights are integers, so the weighted TAR is that of a list with each pair repeated.
    scores, same, a, b = people(np.random.default_rng(0), 12, 3)
    interval = tar_interval(scores, same, a, b, 0.05, replicates=1, seed=3, level=0.5)
    draws = np.bincount(np.random.default_rng(3).integers(0, 12, 12), minlength=12)
    times = np.where(same, draws[a], draws[a] * draws[b])
    expected = tar_at_far(np.repeat(scores, times), np.repeat(same, times), 0.05, thin=True)
    assert interval.low == interval.high == expected


def test_interval_holds_the_figure_and_widens_with_the_level():
    scores, same, a, b = people(np.random.default_rng(1))
    tar = tar_at_far(scores, same, 0.01)
    wide = tar_interval(scores, same, a, b, 0.01, replicates=300)
    narrow = tar_interval(scores, same, a, b, 0.01, replicates=300, level=0.5)
    assert wide.low < narrow.low < tar < narrow.high < wide.high
    assert wide == tar_interval(scores, same, a, b, 0.01, replicates=300)


def test_several_fars_share_the_replicates_and_change_no_interval():
    scores, same, a, b = people(np.random.default_rng(5), 12, 3)
    fars = [0.2, 0.05, 0.01]
    at_once = tar_intervals(ScoredPairs(scores, same), a, b, fars, replicates=50, thin=True)
    alone = [tar_interval(scores, same, a, b, far, replicates=50, thin=True) for far in fars]
    assert at_once == alone and len(set(at_once)) > 1
    assert tar_intervals(ScoredPairs(scores, same), a, b, []) == []


def test_identities_that_differ_make_it_wider_than_pairs_would():
    # The binomial spread of the genuine pairs alone would be sqrt(tar (1 - tar) / n); people vary more.
    scores, same, a, b = people(np.random.default_rng(2))
    interval = tar_interval(scores, same, a, b, 0.01, replicates=300)
    tar = tar_at_far(scores, same, 0.01)
    binomial = 2 * 1.96 * np.sqrt(tar * (1 - tar) / same.sum())
    assert interval.high - interval.low > 1.5 * binomial


def test_halves_share_no_identity():
    _, _, a, b = people(np.random.default_rng(3), 10, 2)
    half = assign_halves(a, b)
    first, second = (set(a[half == h]) | set(b[half == h]) for h in (0, 1))
    assert first and second and not first & second
    assert set(half) == {0, 1, -1}


def test_names_and_their_numbers_give_the_same_halves():
    random = np.random.default_rng(4)
    names = np.array([f"p{n:02}" for n in random.permutation(40)])
    a, b = names[random.integers(0, 30, 500)], names[random.integers(10, 40, 500)]
    numbers = {name: 7 * n for n, name in enumerate(sorted({*a, *b}))}  # in their order, with gaps
    ours = [np.array([numbers[name] for name in each]) for each in (a, b)]
    np.testing.assert_array_equal(assign_halves(*ours), assign_halves(a, b))
    np.testing.assert_array_equal(
        assign_halves(ours[0] + (1 << 30), ours[1] + (1 << 30)), assign_halves(a, b)
    )
    assert assign_halves([], []).shape == (0,)


def test_folds_disjoint_by_identity_are_kept_whole():
    # Folds 0 ... 3 of two people each: folds 0 and 1 choose, 2 and 3 are held out, no pair is lost.
    a, b = np.array([0, 2, 4, 6]), np.array([1, 3, 5, 7])
    np.testing.assert_array_equal(assign_halves(a, b, folds=[0, 1, 2, 3]), [0, 0, 1, 1])
    # Person 0 in two folds: the identities are halved instead.
    assert -1 in assign_halves(np.arange(8) * 0, np.arange(1, 9), folds=[0, 0, 0, 0, 1, 1, 1, 1])


def test_calibration_by_hand():
    # Half 0: 100 impostors 0.00 ... 0.99, FAR 0.1 -> 0.90. Half 1: of 4 impostors one is over it, of 2
    # genuine pairs one.
    chosen = np.arange(100) / 100
    scores = np.concatenate([chosen, [0.95, 0.1, 0.2, 0.3], [0.9, 0.5]])
    same = np.arange(106) >= 104
    a = np.concatenate([np.zeros(100), np.full(6, 2)])
    b = np.concatenate([np.ones(100), [3, 3, 3, 3, 2, 2]])
    result = calibrate(scores, same, a, b, 0.1, folds=(np.arange(106) >= 100).astype(int))
    assert result == (0.1, 0.90, 0.25, 0.5, 100, 4)


def test_calibration_reaches_the_far_on_people_it_did_not_see():
    scores, same, a, b = people(np.random.default_rng(4), 60, 4)
    result = calibrate(scores, same, a, b, 0.01)
    assert result.threshold == pytest.approx(2.33, abs=0.15)  # the impostors are N(0, 1)
    assert result.far_reached == pytest.approx(0.01, abs=0.004)
    assert result.chosen_on + result.held_out < (~same).sum()
    with pytest.raises(
        UrfrError, match="no threshold can be calibrated on half of the identities: a FAR of 1e-06"
    ):
        calibrate(scores, same, a, b, 1e-6)


def test_reject_by_hand():
    # Four images, quality 0 ... 3; genuine pairs (0, 1) missed, (2, 3) found; threshold 0.5.
    scores = np.concatenate([[0.1, 0.9], np.full(20, 0.5)])
    same = np.arange(22) < 2
    first, second = np.array([0, 2] + [0] * 20), np.array([1, 3] + [2] * 20)
    curve = error_against_reject(scores, same, first, second, [0, 1, 2, 3], 1.0, rejected=[0, 0.25, 0.75])
    # Nothing left out: 1 of 2 missed. Image 0 left out: only (2, 3). Images 0 to 2: no pair.
    np.testing.assert_array_equal(curve.fnmr, [0.5, 0, np.nan])
    np.testing.assert_array_equal(curve.genuine, [2, 1, 0])


def test_reject_by_what_spoils_scores_beats_random():
    rng = np.random.default_rng(5)
    quality = rng.uniform(0, 1, 400)
    first, second = rng.integers(0, 400, 6000), rng.integers(0, 400, 6000)
    same = np.arange(6000) < 3000
    scores = rng.normal(0, 1, 6000) + np.where(same, 5 * np.minimum(quality[first], quality[second]), 0)
    informed = error_against_reject(scores, same, first, second, quality, 0.01)
    blind = error_against_reject(scores, same, first, second, rng.uniform(0, 1, 400), 0.01)
    assert (np.diff(informed.fnmr) < 0).all()
    assert informed.fnmr[-1] < 0.7 * blind.fnmr[-1]
    with pytest.raises(UrfrError, match="images below 3"):
        error_against_reject(scores, same, first, second, [1, 2, 3], 0.01)


def test_errors_left_of_probes_by_hand():
    # Three probes of quality 3, 1, 2; the second is wrong. The worst third left out: no error is left.
    curve = errors_left([False, True, False], [[0, 1, 2]], [3, 1, 2], rejected=[0, 1 / 3])
    np.testing.assert_allclose(curve.fnmr, [1 / 3, 0])
    with pytest.raises(UrfrError, match="items for each of 2 decisions"):
        errors_left([False, True], [[0]], [1.0])
