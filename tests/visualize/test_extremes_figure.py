import numpy as np
import pytest

from urfr_tf.errors import UrfrError
from urfr_tf.visualize.extremes_figure import draw_extremes, find_extremes


def test_the_ends_of_each_sub_embedding():
    # Column 0 rises 1..5, column 1 falls 5..1.
    confidence = np.stack([np.arange(1.0, 6), np.arange(5.0, 0, -1)], axis=1)
    lowest, highest = find_extremes(confidence, 2)
    assert lowest.tolist() == [[0, 1], [4, 3]]
    assert highest.tolist() == [[4, 3], [0, 1]]


def test_the_picture_shows_those_faces():
    faces = np.stack([np.full((4, 4, 3), 10 * value, np.uint8) for value in range(1, 6)])
    confidence = np.stack([np.arange(1.0, 6), np.arange(5.0, 0, -1)], axis=1)
    figure = draw_extremes(faces, confidence, count=2)
    rows = [axes for axes in figure.axes if axes.get_visible()]
    # Two tiles of 4 pixels with a gap of 2: columns 0 and 6 are the first pixels of each.
    shown = [axes.images[0].get_array()[0, [0, 6], 0].tolist() for axes in rows]
    assert shown == [[50, 40], [10, 20], [10, 20], [50, 40]]
    assert [axes.get_xlabel() for axes in rows] == ["s 4 to 5", "s 1 to 2"] * 2


def test_few_images_show_fewer_faces():
    # 3 images leave one at each end.
    figure = draw_extremes(np.zeros((3, 4, 4, 3), np.uint8), np.array([[1.0], [2.0], [3.0]]), count=5)
    assert figure.axes[0].images[0].get_array().shape == (4, 4, 3)


def test_sixteen_sub_embeddings_read_down_two_columns():
    confidence = np.random.default_rng(0).uniform(1, 9, (12, 16))
    figure = draw_extremes(np.zeros((12, 4, 4, 3), np.uint8), confidence)
    labels = [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()]
    # Axes come row by row: row r holds sub-embedding r + 1 on the left and r + 9 on the right.
    assert labels == [str(k) for r in range(1, 9) for k in (r, r + 8)]


def test_too_few_images_and_other_lengths_are_refused():
    with pytest.raises(UrfrError, match="at least 2 images"):
        find_extremes(np.ones((1, 4)), 1)
    with pytest.raises(UrfrError, match="got 2 and 3"):
        draw_extremes(np.zeros((2, 4, 4, 3), np.uint8), np.ones((3, 4)))
