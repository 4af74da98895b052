"""The depthwise convolution in bfloat16: Keras's values, and float32's gradient."""

import numpy as np
import pytest
import tensorflow as tf

from urfr_tf.keras2 import keras
from urfr_tf.layers.cpu.depthwise import convolve_depthwise


def gradients(apply, layer, x, upstream):
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = apply(layer, x)
    return y, tape.gradient(y, [x, layer.depthwise_kernel], output_gradients=tf.cast(upstream, y.dtype))


@pytest.mark.parametrize(
    ("kernel", "strides", "padding", "side"), [(3, 1, "same", 6), (3, 2, "valid", 9), (7, 1, "valid", 7)]
)
@pytest.mark.parametrize("bias", [False, True])
def test_values_are_keras_and_gradients_float32(kernel, strides, padding, side, bias):
    settings = {"strides": strides, "padding": padding, "use_bias": bias}
    half = keras.layers.DepthwiseConv2D(kernel, dtype="mixed_bfloat16", **settings)
    exact = keras.layers.DepthwiseConv2D(kernel, **settings)
    random = np.random.default_rng(0)
    # Numbers that bfloat16 holds, so that all three see the same.
    x = tf.cast(tf.constant(random.normal(size=[2, side, side, 5]), tf.bfloat16), tf.float32)
    weight = tf.cast(tf.constant(random.normal(size=[kernel, kernel, 5, 1]), tf.bfloat16), tf.float32)
    for layer in (half, exact):
        layer.build(x.shape)
        layer.depthwise_kernel.assign(weight)
    upstream = tf.constant(random.integers(-2, 3, exact(x).shape), tf.float32)
    y, (by_x, by_kernel) = gradients(convolve_depthwise, half, tf.cast(x, tf.bfloat16), upstream)
    np.testing.assert_array_equal(y, half(tf.cast(x, tf.bfloat16)))
    assert y.dtype == by_x.dtype == tf.bfloat16 and by_kernel.dtype == tf.float32
    _, (x_exact, kernel_exact) = gradients(keras.layers.DepthwiseConv2D.__call__, exact, x, upstream)
    # 8 bits: one rounding of each result, and of the terms of Keras's own sums where the map is not strided.
    scale = [float(tf.reduce_max(tf.abs(g))) for g in (x_exact, kernel_exact)]
    np.testing.assert_allclose(tf.cast(by_x, tf.float32), x_exact, atol=scale[0] / 128)
    np.testing.assert_allclose(by_kernel, kernel_exact, atol=scale[1] / 128)
