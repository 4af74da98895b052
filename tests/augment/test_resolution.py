import numpy as np
import pytest
import tensorflow as tf

from urfr_tf.augment.resolution import LARGEST, SMALLEST, draw_size, lower_resolution

SIDE = 70


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).uniform(0, 255, [3, SIDE, SIDE, 3]).astype(np.float32)


def weights(outputs, inputs):
    """The triangle filter in float64, one output at a time: half-pixel centres, wider when it shrinks."""
    scale = inputs / outputs
    reach = max(1.0, scale)
    table = np.zeros([outputs, inputs])
    for o in range(outputs):
        for i in range(inputs):
            table[o, i] = max(0.0, 1 - abs((o + 0.5) * scale - (i + 0.5)) / reach)
        table[o] /= table[o].sum()
    return table


@pytest.mark.parametrize("size", [SMALLEST, 37, LARGEST])
def test_is_the_float64_way_down_and_up(images, size):
    there_and_back = weights(SIDE, size) @ weights(size, SIDE)
    expected = np.einsum("ij,bjkc,lk->bilc", there_and_back, images, there_and_back)
    got = lower_resolution(tf.constant(images), tf.fill([3], size)).numpy()
    # Four sums in float32 of at most 11 positive weights, whose places are rounded to 2^-18 pixels:
    # 4 * 12 * 255 * 2^-24 + 4 * 255 * 2^-18 = 4.6e-3.
    np.testing.assert_allclose(got, expected, rtol=0, atol=5e-3)


def test_is_what_resizing_twice_does_and_sizes_mix(images):
    sizes = (16, 41, 64)
    got = lower_resolution(tf.constant(images), tf.constant(sizes)).numpy()
    for image, size, result in zip(images, sizes, got, strict=True):
        small = tf.image.resize(image, [size, size], antialias=True)
        np.testing.assert_allclose(result, tf.image.resize(small, [SIDE, SIDE]), rtol=0, atol=3e-3)


def test_bytes_are_rounded_once_at_the_end(images):
    sizes = tf.constant([16, 41, 64])
    whole = np.rint(images).astype(np.uint8)
    exact = lower_resolution(tf.constant(whole, tf.float32), sizes).numpy()
    got = lower_resolution(tf.constant(whole), sizes).numpy()
    assert got.dtype == np.uint8
    assert np.abs(got - exact).max() <= 0.5001


def test_sizes_are_drawn_evenly_and_by_seed_alone():
    drawn = draw_size(9800, tf.constant([1, 1]), 100).numpy()
    # Each of 49 sizes: mean 200, standard deviation sqrt(200 * 48 / 49) = 14; five of them are 70.
    counts = np.bincount(drawn)
    assert drawn.min() == SMALLEST and drawn.max() == LARGEST
    assert (np.abs(counts[SMALLEST:] - 200) <= 70).all()
    np.testing.assert_array_equal(drawn, draw_size(9800, tf.constant([1, 1]), 100))


def test_a_small_image_is_not_enlarged_on_the_way():
    drawn = draw_size(500, tf.constant([1, 1]), 20).numpy()
    assert set(drawn) == {16, 17, 18, 19, 20}


def test_inside_a_dataset_it_is_the_same(images):
    sizes = np.array([16, 30, 64], np.int32)
    mapped = next(iter(tf.data.Dataset.from_tensors((images, sizes)).map(lower_resolution)))
    np.testing.assert_array_equal(mapped, lower_resolution(tf.constant(images), tf.constant(sizes)))


def test_another_range_is_drawn_evenly():
    drawn = draw_size(6600, tf.constant([1, 1]), 100, 8, 40).numpy()
    # Each of 33 sizes: mean 200, standard deviation sqrt(200 * 32 / 33) = 14; five of them are 70.
    counts = np.bincount(drawn)
    assert drawn.min() == 8 and drawn.max() == 40
    assert (np.abs(counts[8:] - 200) <= 70).all()


def test_a_graph_takes_images_of_several_sizes():
    graph = tf.function(lower_resolution, autograph=False, reduce_retracing=True)
    random = np.random.default_rng(4)
    for side in (40, 32, 36, 50):
        crops = random.uniform(0, 255, [2, side, side, 3]).astype(np.float32)
        sizes = tf.constant([16, 24])
        np.testing.assert_allclose(
            graph(crops, sizes), lower_resolution(tf.constant(crops), sizes), atol=1e-3
        )
