import numpy as np
import pytest

from urfr_tf.errors import UrfrError
from urfr_tf.visualize.curve_figures import draw_cmc, draw_det, draw_histogram, draw_roc

FAR = np.array([0.0, 0.01, 0.1, 1.0])
TAR = np.array([0.2, 0.6, 0.9, 1.0])


def test_roc_draws_the_positive_fars_as_steps():
    axes = draw_roc({"trained": (FAR, TAR), "untrained": (FAR, TAR / 2)}, impostors=1000).axes[0]
    line = axes.lines[0]
    # FAR 0 has no place on a logarithmic axis; the other three points are there unchanged.
    np.testing.assert_array_equal(line.get_xdata(), FAR[1:])
    np.testing.assert_array_equal(line.get_ydata(), TAR[1:])
    assert line.get_drawstyle() == "steps-post"
    assert axes.get_xscale() == "log"
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels[:2] == ["trained", "untrained"]


def test_fars_of_fewer_than_ten_impostors_are_shaded():
    # 10 / 200 = 0.05: the shade reaches from the axis' left end to there.
    axes = draw_roc({"trained": (FAR, TAR)}, impostors=200).axes[0]
    shade = axes.patches[0].get_path().get_extents(axes.patches[0].get_patch_transform())
    assert shade.x0 == pytest.approx(0.01) and shade.x1 == pytest.approx(0.05)
    # With 1,000 impostors the edge 10 / 1000 = 0.01 lies at the left end: nothing to shade.
    assert not draw_roc({"trained": (FAR, TAR)}, impostors=1000).axes[0].patches


def test_det_is_one_minus_tar():
    axes = draw_det({"trained": (FAR, TAR)}).axes[0]
    # 1 - 0.6, 1 - 0.9, and nothing where TAR is 1.
    np.testing.assert_allclose(axes.lines[0].get_ydata(), [0.4, 0.1, np.nan])
    assert axes.get_yscale() == axes.get_xscale() == "log"


def test_many_points_are_thinned_but_keep_their_ends():
    far = np.linspace(0, 1, 200_001)
    x = draw_roc({"a": (far, far)}).axes[0].lines[0].get_xdata()
    assert len(x) <= 4000
    assert x[0] == far[1] and x[-1] == 1.0


def test_cmc_is_drawn_at_its_ranks():
    axes = draw_cmc({"trained": (np.array([1, 5, 10]), np.array([0.5, 0.7, 0.9]))}).axes[0]
    assert axes.get_xticks().tolist() == [1, 5, 10]
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), [0.5, 0.7, 0.9])


def test_many_ranks_are_marked_by_whole_numbers():
    axes = draw_cmc({"trained": (np.arange(1, 21), np.linspace(0.5, 0.9, 20))}).axes[0]
    ticks = axes.get_xticks()
    assert len(ticks) > 3
    np.testing.assert_array_equal(ticks, ticks.round())


def test_histogram_separates_the_two_kinds():
    scores = np.array([0.9, 0.8, 0.1, 0.2, 0.15])
    axes = draw_histogram(scores, [True, True, False, False, False], threshold=0.5).axes[0]
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["genuine (2 pairs)", "impostor (3 pairs)", "threshold 0.5"]
    # Densities: the area of each is 1, with 50 bins of width 0.8 / 50 between 0.1 and 0.9.
    for filled in axes.patches[0::2]:
        heights = filled.get_xy()[1:101:2, 1]
        assert heights.sum() * 0.8 / 50 == pytest.approx(1.0)


def test_scores_that_are_all_equal_still_draw():
    assert draw_histogram(np.ones(4), [True, True, False, False]).axes


@pytest.mark.parametrize(
    ("curves", "sentence"),
    [
        ({}, "at least one curve"),
        ({"a": (FAR, TAR[:2])}, "ROC of a"),
        ({"a": (FAR, TAR * np.nan)}, "finite"),
        ({"a": (np.zeros(2), np.ones(2))}, "positive FAR"),
    ],
)
def test_other_points_are_refused(curves, sentence):
    with pytest.raises(UrfrError, match=sentence):
        draw_roc(curves)


@pytest.mark.parametrize(
    ("scores", "same", "sentence"),
    [
        (np.ones(3), [True, False], r"got \(3,\) and \(2,\)"),
        (np.array([1.0, np.nan]), [True, False], "finite"),
        (np.ones(2), [True, True], "one kind only"),
    ],
)
def test_other_scores_are_refused(scores, same, sentence):
    with pytest.raises(UrfrError, match=sentence):
        draw_histogram(scores, same)
