"""A list of scored pairs is checked and split once, and gives every rate that the functions give."""

import numpy as np
import pytest

from urfr_tf.errors import UrfrError
from urfr_tf.metrics import ScoredPairs, calibrate, tar_at_far
from urfr_tf.metrics.calibration import HalvedPairs, assign_halves
from urfr_tf.metrics.rates import threshold_at


def random_pairs(genuine=200, impostors=3000):
    rng = np.random.default_rng(0)
    scores = np.concatenate([rng.normal(1, 1, genuine), rng.normal(-1, 1, impostors)])
    order = rng.permutation(len(scores))
    return scores[order], (np.arange(len(scores)) < genuine)[order]


def test_pairs_are_split_in_the_order_of_the_list():
    pairs = ScoredPairs([0.5, -np.inf, 0.2, 0.9], [1, 0, 0, 1])
    assert pairs.genuine.tolist() == [0.5, 0.9] and pairs.impostors.tolist() == [-np.inf, 0.2]
    assert pairs.scores.dtype == np.float64 and pairs.same.dtype == bool
    assert pairs.missed_at(0.6).tolist() == [True, False]


def test_every_far_of_one_list_is_that_of_the_function():
    scores, same = random_pairs()
    pairs = ScoredPairs(scores, same)
    for far in (0.5, 0.1, 0.01, 0.004):
        one, other = pairs.tar_at_far(far), tar_at_far(scores, same, far)
        assert (one, one.threshold, one.reached, one.behind) == (
            other,
            other.threshold,
            other.reached,
            other.behind,
        )
        # The definition: the round(impostors x FAR)-th largest impostor score.
        assert one.threshold == np.sort(scores[~same])[-round(3000 * far)]
        assert one.threshold == threshold_at(pairs.impostors, one.behind)


def test_every_threshold_of_one_list_is_that_of_the_function():
    scores, same = random_pairs()
    people = np.random.default_rng(1).integers(0, 40, (2, len(scores)))
    halved = HalvedPairs(ScoredPairs(scores, same), assign_halves(*people))
    for far in (0.1, 0.05):
        assert halved.calibrate(far) == calibrate(scores, same, *people, far)


def test_one_kind_of_pair_is_refused_when_a_rate_is_asked_for():
    for same, missing in (([1, 1], "impostor"), ([0, 0], "genuine")):
        pairs = ScoredPairs([0.1, 0.2], same)
        with pytest.raises(UrfrError, match=f"there is no {missing} pair among 2"):
            pairs.tar_at_far(0.5, thin=True)
    with pytest.raises(UrfrError, match="score 1 is NaN"):
        ScoredPairs([0.1, np.nan], [0, 1])
