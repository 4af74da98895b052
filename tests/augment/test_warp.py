import numpy as np
import pytest
import tensorflow as tf

from urfr_tf.augment import warp


@pytest.mark.parametrize("size", [33, 50, 56, 112])
def test_spread_is_exact_for_what_is_bilinear(size):
    # x, y, x y and 1 are bilinear in every cell: what is read off at the nodes comes back at the pixels.
    def of(x, y):
        return 3.0 - 0.5 * x + 0.25 * y + 0.01 * x * y

    x, y = np.moveaxis(warp.nodes(size).numpy()[0].astype(np.float64), -1, 0)
    assert x.max() >= size - 1 and len(x) == warp.node_count(size) ** 2
    got = warp.whole([warp.spread(tf.constant(of(x, y)[None], tf.float32), size)], size).numpy()
    line = np.arange(size, dtype=np.float64)
    expected = of(*np.meshgrid(line, line))
    assert got.shape == (1, size, size, 1)
    # Values up to about 200; three lerps in float32: 200 * 3 * 2^-23 = 7e-5.
    np.testing.assert_allclose(got[0, ..., 0], expected, rtol=0, atol=2e-4)


def bilinear(image, x, y):
    """One place at a time, float64; places outside are clipped to the image."""
    size = len(image)
    x, y = min(max(x, 0), size - 1.001), min(max(y, 0), size - 1.001)
    i, j = int(y), int(x)
    s, t = x - j, y - i
    return (
        image[i, j] * (1 - s) * (1 - t)
        + image[i, j + 1] * s * (1 - t)
        + image[i + 1, j] * (1 - s) * t
        + image[i + 1, j + 1] * s * t
    )


def test_sample_is_bilinear_interpolation_of_each_image():
    random = np.random.default_rng(0)
    size = 20
    images = random.integers(0, 256, [3, size, size, 3]).astype(np.float64)
    x, y = random.uniform(-2, size + 1, [2, 3, 40])
    pixels = warp.packed(tf.constant(images, tf.float32))
    got = warp.sample(pixels, tf.constant(x, tf.float32), tf.constant(y, tf.float32), size)
    for k in range(3):
        expected = [bilinear(images[k], *at) for at in zip(x[k], y[k], strict=True)]
        # Integers pack exactly; a place is known to 20 * 2^-24 and a slope is at most 255 a pixel, twice.
        np.testing.assert_allclose(np.stack([c[k] for c in got], -1), expected, rtol=0, atol=2e-3)


def test_packing_rounds_to_quarters_and_clips():
    images = tf.constant([[[[-3.0, 0.1, 0.13], [254.9, 255.0, 300.0]]]])
    quarters = [[0.0, 0.0, 0.25], [255.0, 255.0, 255.0]]  # 0.1 -> 0, 0.13 -> 0.25, 254.9 -> 255
    packed = warp.packed(images).numpy()
    got = [[(value >> shift & 1023) / 4 for shift in (0, 10, 20)] for value in packed]
    assert got == quarters


def test_bilinear_reads_each_picture_of_a_table_and_stays_inside():
    random = np.random.default_rng(1)
    width = 6
    pictures = random.normal(size=[4, width, width, 2])
    start = np.array([[2], [0]]) * width**2
    column, row = random.uniform(-1, width, [2, 2, 9])
    got = warp.bilinear(
        tf.constant(pictures.reshape(-1, 2), tf.float32),
        tf.constant(column, tf.float32),
        tf.constant(row, tf.float32),
        tf.constant(start, tf.int32),
        width,
        width,
    )
    for k, picture in enumerate(pictures[[2, 0]]):
        expected = [bilinear(picture, *at) for at in zip(column[k], row[k], strict=True)]
        np.testing.assert_allclose(got[k], expected, rtol=0, atol=1e-4)
