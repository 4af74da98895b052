import numpy as np
import pytest

from urfr_tf.errors import UrfrError
from urfr_tf.visualize.uncertainty_figure import choose_heatmap_shape, draw_uncertainties, sort_by_uncertainty


def faces(values):
    return np.stack([np.full((6, 6, 3), value, np.uint8) for value in values])


def test_order_is_by_the_geometric_mean():
    # Geometric means: sqrt(1 * 16) = 4, sqrt(3 * 3) = 3, sqrt(5 * 5) = 5; the arithmetic mean (8.5, 3, 5)
    # would put the first image last.
    assert sort_by_uncertainty(np.array([[1.0, 16.0], [3.0, 3.0], [5.0, 5.0]])).tolist() == [1, 0, 2]


@pytest.mark.parametrize(
    ("groups", "shape"), [(16, (4, 4)), (8, (2, 4)), (1, (1, 1)), (5, (1, 5)), (12, (3, 4))]
)
def test_the_heatmap_is_as_square_as_k_allows(groups, shape):
    assert choose_heatmap_shape(groups) == shape


def test_each_face_stands_beside_its_own_variances():
    variance = np.array([[0.04, 0.04, 0.04, 0.04], [0.01, 0.02, 0.03, 0.04], [0.5, 0.5, 0.5, 0.5]])
    figure = draw_uncertainties(faces([10, 20, 30]), variance)
    panels = [axes for axes in figure.axes if axes.get_visible() and axes.images]
    # Surest first: image 1 (pixels 20), then 0 (10), then 2 (30).
    assert [int(axes.images[0].get_array()[0, 0, 0]) for axes in panels[0::2]] == [20, 10, 30]
    np.testing.assert_allclose(panels[1].images[0].get_array(), [[0.01, 0.02], [0.03, 0.04]])
    scales = {(axes.images[0].norm.vmin, axes.images[0].norm.vmax) for axes in panels[1::2]}
    assert scales == {(0.01, 0.5)}


def test_only_so_many_faces_spread_over_the_order():
    # 9 images sorted already; 3 of them evenly spread are the first, the middle and the last.
    variance = np.linspace(0.1, 0.9, 9)[:, None] * np.ones(4)
    figure = draw_uncertainties(faces(range(9)), variance, limit=3)
    shown = [axes for axes in figure.axes if axes.get_visible() and axes.images][0::2]
    assert [int(axes.images[0].get_array()[0, 0, 0]) for axes in shown] == [0, 4, 8]


@pytest.mark.parametrize(
    ("variance", "sentence"),
    [
        (np.ones(3), r"\[N, K\]"),
        (np.zeros((3, 4)), "positive"),
        (np.full((3, 4), np.inf), "finite"),
        (np.ones((2, 4)), "got 3 and 2"),
    ],
)
def test_other_variances_are_refused(variance, sentence):
    with pytest.raises(UrfrError, match=sentence):
        draw_uncertainties(faces([1, 2, 3]), variance)
