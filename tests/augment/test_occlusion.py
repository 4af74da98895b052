import numpy as np
import pytest
import tensorflow as tf

from urfr_tf.augment.occlusion import GRID, black_out, draw_rectangle


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_blackens_the_cells_and_nothing_else(dtype):
    images = np.random.default_rng(0).integers(1, 256, [3, 28, 21, 3]).astype(dtype)
    rectangle = np.array([[0, 0, 1, 1], [2, 3, 5, 7], [0, 0, 7, 7]], np.int32)
    got = black_out(tf.constant(images), tf.constant(rectangle)).numpy()
    expected = images.copy()
    # 28 rows are cells of 4, 21 columns cells of 3.
    expected[0, 0:4, 0:3] = 0
    expected[1, 8:20, 9:21] = 0
    expected[2] = 0
    assert got.dtype == dtype
    np.testing.assert_array_equal(got, expected)


def test_cells_of_100_pixels_end_where_the_seventh_parts_round():
    # i * 100 / 7 = 14.29, 28.57, 42.86, 57.14, 71.43, 85.71
    ends = [0, 14, 29, 43, 57, 71, 86, 100]
    cells = tf.constant([[i, 0, i + 1, GRID] for i in range(GRID)])
    dark = black_out(tf.ones([GRID, 100, 100, 1]), cells).numpy()[:, :, 0, 0] == 0
    for i in range(GRID):
        np.testing.assert_array_equal(np.flatnonzero(dark[i]), np.arange(ends[i], ends[i + 1]))


def test_rectangles_are_drawn_evenly_and_by_seed_alone():
    drawn = draw_rectangle(7840, tf.constant([1, 2])).numpy()
    top, left, bottom, right = drawn.T
    assert drawn.dtype == np.int32
    assert ((top >= 0) & (top < bottom) & (bottom <= GRID)).all()
    assert ((left >= 0) & (left < right) & (right <= GRID)).all()
    # Each of 28 spans of an axis: mean 280, sd sqrt(7840 / 28 * 27 / 28) = 16.4; five of them are 82.
    for first, last in ((top, bottom), (left, right)):
        count = np.bincount(first * 8 + last, minlength=64)
        assert (count > 0).sum() == 28
        assert (np.abs(count[count > 0] - 280) <= 82).all()
    # Rows and columns do not follow one another: 7840 / 784 = 10 squares of each kind, 280 equal spans in
    # all.
    assert abs(((top == left) & (bottom == right)).sum() - 280) <= 82
    np.testing.assert_array_equal(drawn, draw_rectangle(7840, tf.constant([1, 2])))
    assert (drawn != draw_rectangle(7840, tf.constant([1, 3])).numpy()).any()


def test_inside_a_dataset_it_is_the_same():
    images = np.full([4, 14, 14, 3], 9, np.uint8)
    seed = tf.constant([5, 6])

    def hide(batch):
        return black_out(batch, draw_rectangle(4, seed))

    mapped = next(iter(tf.data.Dataset.from_tensors(images).map(hide)))
    np.testing.assert_array_equal(mapped, hide(tf.constant(images)))
    assert (mapped.numpy() == 0).any(axis=(1, 2, 3)).all()
