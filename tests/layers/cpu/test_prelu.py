"""PReLU, alone and behind a batch norm that stands still, against float64 and Keras's own layers."""

import numpy as np
import pytest
import tensorflow as tf

from urfr_tf.keras2 import keras
from urfr_tf.layers.cpu.prelu import fused_norm_prelu, fused_prelu, has_slope_per_channel, rectify

TYPES = [("float32", 1e-5), ("bfloat16", 2e-2), ("float16", 2e-3)]
BATCHES = [1, 4, 16, 18]  # the gradient by the slope is added up over 1, 4, 8 and 2 slices


@pytest.mark.parametrize("dtype, tolerance", TYPES)
@pytest.mark.parametrize("batch", BATCHES)
def test_fused_prelu_against_float64(dtype, tolerance, batch):
    random = np.random.default_rng(3)
    x, upstream = (tf.cast(random.normal(size=[batch, 5, 6, 7]), dtype) for _ in range(2))
    slope = tf.cast(random.normal(size=[1, 1, 7]), dtype)  # some above 1, some below 0
    with tf.GradientTape() as tape:
        tape.watch([x, slope])
        y = fused_prelu(x, slope)
    by_x, by_slope = tape.gradient(y, [x, slope], upstream)
    wide, a, up = (tf.cast(t, tf.float64).numpy() for t in (x, slope, upstream))
    assert (y.dtype, by_x.dtype, by_slope.dtype, by_slope.shape) == (x.dtype, x.dtype, x.dtype, slope.shape)
    np.testing.assert_allclose(tf.cast(y, tf.float64), np.where(wide > 0, wide, a * wide), atol=3 * tolerance)
    np.testing.assert_allclose(tf.cast(by_x, tf.float64), up * np.where(wide > 0, 1.0, a), atol=3 * tolerance)
    wanted = (np.minimum(wide, 0) * up).sum((0, 1, 2), keepdims=True)[0]
    np.testing.assert_allclose(tf.cast(by_slope, tf.float64), wanted, rtol=tolerance, atol=20 * tolerance)


def test_it_gives_what_keras_gives():
    layer = keras.layers.PReLU(shared_axes=[1, 2])
    x = tf.random.stateless_normal([2, 3, 4, 5], [1, 2])
    layer.build(x.shape)
    layer.alpha.assign(tf.random.stateless_normal([1, 1, 5], [3, 4]))
    np.testing.assert_allclose(rectify(layer, x), layer(x), rtol=1e-6)


@pytest.mark.parametrize(("shared", "expected"), [([1, 2], True), (None, False), ([1], False)])
def test_a_slope_for_each_channel_is_told_from_others(shared, expected):
    layer = keras.layers.PReLU(shared_axes=shared)
    layer.build([2, 3, 4, 5])
    assert has_slope_per_channel(layer) == expected


@pytest.mark.parametrize("dtype, tolerance", TYPES)
@pytest.mark.parametrize("batch", BATCHES)
def test_fused_norm_and_prelu_against_float64(dtype, tolerance, batch):
    random = np.random.default_rng(4)
    x, upstream = (tf.cast(random.normal(size=[batch, 5, 6, 7]), dtype) for _ in range(2))
    scale, shift = (tf.constant(random.normal(size=7), tf.float32) for _ in range(2))
    slope = tf.cast(random.normal(size=[1, 1, 7]), dtype)
    with tf.GradientTape() as tape:
        tape.watch([x, slope])
        y = fused_norm_prelu(x, scale, shift, slope)
    by_x, by_slope = tape.gradient(y, [x, slope], upstream)
    wide, k, b, a, up = (tf.cast(t, tf.float64).numpy() for t in (x, scale, shift, slope, upstream))
    z = wide * k + b
    assert (y.dtype, by_x.dtype, by_slope.dtype, by_slope.shape) == (x.dtype, x.dtype, x.dtype, slope.shape)
    np.testing.assert_allclose(tf.cast(y, tf.float64), np.where(z > 0, z, a * z), atol=5 * tolerance)
    np.testing.assert_allclose(
        tf.cast(by_x, tf.float64), up * np.where(z > 0, 1.0, a) * k, atol=5 * tolerance
    )
    wanted = (np.minimum(z, 0) * up).sum((0, 1, 2), keepdims=True)[0]
    np.testing.assert_allclose(tf.cast(by_slope, tf.float64), wanted, rtol=tolerance, atol=20 * tolerance)


def test_the_gradient_with_a_batch_of_unknown_size():
    slope = tf.constant([[[0.5, -1.0]]])

    @tf.function(input_signature=[tf.TensorSpec([None, 2, 2, 2])])
    def by_slope(x):
        with tf.GradientTape() as tape:
            tape.watch(slope)
            total = tf.reduce_sum(fused_prelu(x, slope))
        return tape.gradient(total, slope)

    np.testing.assert_array_equal(by_slope(-tf.ones([3, 2, 2, 2])), [[[-12.0, -12.0]]])
