"""ROC, TAR at FAR, ten folds: answers by hand, and against plain loops."""

import numpy as np
import pytest

from urfr_tf.errors import UrfrError
from urfr_tf.metrics import roc, tar_at_far, ten_fold_accuracy
from urfr_tf.metrics.folds import best_threshold


def many(rng, genuine=300, impostor=2000):
    scores = np.concatenate([rng.normal(1, 1, genuine), rng.normal(-1, 1, impostor)]).round(2)  # ties
    same = np.arange(genuine + impostor) < genuine
    order = rng.permutation(len(same))
    return scores[order], same[order]


def test_tar_by_hand():
    # 100 impostors 0.00 ... 0.99. FAR 0.1 -> the 10th largest, 0.90. Genuine 0.95, 0.90, 0.89, 0.1: 2 of 4.
    impostor = np.arange(100) / 100
    scores = np.concatenate([impostor, [0.95, 0.90, 0.89, 0.1]])
    same = np.arange(104) >= 100
    tar = tar_at_far(scores, same, 0.1)
    assert tar == 0.5 and tar.threshold == 0.90 and tar.reached == 0.10
    assert tar.behind == 10 and not tar.thin


def test_ties_at_the_threshold_are_accepted_and_said():
    # The 10 largest of 100 impostors are ten of twelve equal scores: all 12 pass.
    scores = np.concatenate([np.full(12, 0.9), np.zeros(88), [0.9]])
    tar = tar_at_far(scores, np.arange(101) == 100, 0.1)
    assert tar == 1 and tar.reached == 0.12


def test_thin_far_is_refused_by_name_or_marked():
    scores, same = np.concatenate([np.arange(100) / 100, [0.985, 2.0]]), np.arange(102) >= 100
    with pytest.raises(UrfrError, match=r"a FAR of 0\.02 needs .* 500 impostor pairs, but there are 100;"):
        tar_at_far(scores, same, 0.02)
    thin = tar_at_far(scores, same, 0.02, thin=True)
    assert thin == 1 and thin.thin and thin.behind == 2 and thin.threshold == 0.98
    # None behind it: above every impostor, never between scores.
    none = tar_at_far(scores, same, 1e-4, thin=True)
    assert none == 0.5 and none.thin and none.reached == 0


def test_no_embedding_is_never_accepted():
    # 10 of 20 impostors have no embedding; FAR 1 asks for all 20, and -inf still does not pass.
    scores = np.concatenate([np.full(10, -np.inf), np.zeros(10), [-np.inf, 1.0]])
    tar = tar_at_far(scores, np.arange(22) >= 20, 1.0)
    assert tar == 0.5 and tar.reached == 0.5
    curve = roc(scores, np.arange(22) >= 20)
    assert curve.far[-1] == 0.5 and curve.tar[-1] == 0.5


def test_roc_against_counting():
    scores, same = many(np.random.default_rng(0))
    curve = roc(scores, same)
    assert curve.far[0] == curve.tar[0] == 0 and curve.far[-1] == curve.tar[-1] == 1
    assert (np.diff(curve.threshold) < 0).all() and len(curve.threshold) == len(np.unique(scores)) + 1
    for place in range(1, len(curve.threshold), 50):
        t = curve.threshold[place]
        assert curve.tar[place] == (scores[same] >= t).mean()
        assert curve.far[place] == (scores[~same] >= t).mean()


@pytest.mark.parametrize("far", [0.5, 0.1, 0.01, 0.005])
def test_tar_against_sorting(far):
    scores, same = many(np.random.default_rng(1))
    threshold = sorted(scores[~same])[::-1][round(2000 * far) - 1]
    assert tar_at_far(scores, same, far) == (scores[same] >= threshold).mean()


def test_best_threshold_by_hand_and_by_trying_all():
    # Separable: anything in (0.2, 0.8] is right 4 times; halfway is 0.5.
    assert best_threshold(np.array([0.1, 0.2, 0.8, 0.9]), np.array([False, False, True, True])) == 0.5
    scores, same = many(np.random.default_rng(2), 60, 90)
    threshold = best_threshold(scores, same)
    best = max(((scores >= t) == same).mean() for t in [*scores, np.inf])
    assert ((scores >= threshold) == same).mean() == best


def test_accepting_none_or_all_can_be_best():
    # More impostors, all above the genuine pair: accept nothing. The other way round: accept everything.
    scores = np.array([0.1, 0.5, 0.6, 0.7])
    assert best_threshold(scores, np.array([True, False, False, False])) > 0.7
    assert best_threshold(scores, np.array([True, True, True, False])) <= 0.1


def test_ten_folds_by_hand():
    # Folds 0 ... 9, each a genuine pair of 1 and an impostor of 0, but fold 3's impostor scores 2.
    # Elsewhere the threshold is 0.5 (halfway of 0 and 1) whether fold 3 is among the nine or not, since 19
    # or 18 of 19 pairs are right there. Fold 3 gets 1 of 2, the others 2 of 2: mean 0.95; the deviations
    # are 9 x 0.05^2 + 0.45^2 = 0.225, so s = sqrt(0.225 / 9) and the standard error 0.05.
    scores = np.tile([1.0, 0.0], 10)
    scores[7] = 2
    result = ten_fold_accuracy(scores, np.tile([1, 0], 10))
    np.testing.assert_allclose(result[:2], [0.95, 0.05])
    np.testing.assert_allclose(result.thresholds, 0.5)


def test_thresholds_are_not_chosen_on_the_fold_they_score():
    # Fold 1's scores are all 10 higher: a threshold of its own would be perfect, that of fold 0 is not.
    scores = np.array([0.0, 1.0, 10.0, 11.0])
    result = ten_fold_accuracy(scores, [0, 1, 0, 1], folds=[0, 0, 1, 1])
    np.testing.assert_allclose(result.thresholds, [10.5, 0.5])
    assert result.accuracy == 0.5  # accepts nothing of fold 0, everything of fold 1


@pytest.mark.parametrize(
    "scores, same, sentence",
    [
        ([0.1, np.nan], [0, 1], "score 1 is NaN"),
        ([0.1, 0.2], [1, 1], "no impostor pair among 2"),
        ([0.1, 0.2], [0, 0], "no genuine pair among 2"),
        ([0.1, 0.2], [0, 2], "0 .different people. and 1"),
        ([0.1], [0, 1], "1 scores and 2 labels"),
    ],
)
def test_bad_input_is_a_sentence(scores, same, sentence):
    for metric in (roc, ten_fold_accuracy, lambda s, y: tar_at_far(s, y, 0.1)):
        with pytest.raises(UrfrError, match=sentence):
            metric(scores, same)


def test_bad_folds_and_fars_are_sentences():
    with pytest.raises(UrfrError, match="at least two folds"):
        ten_fold_accuracy([0, 1], [0, 1], folds=[0, 0])
    with pytest.raises(UrfrError, match="outside of fold 0"):
        ten_fold_accuracy([0, 1, 1], [0, 1, 1], folds=[0, 1, 1])
    with pytest.raises(UrfrError, match="FAR above 0 and up to 1, but got 0"):
        tar_at_far([0, 1], [0, 1], 0)
