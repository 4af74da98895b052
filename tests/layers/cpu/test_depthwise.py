"""The depthwise convolution in bfloat16: Keras's values, and float32's gradient."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from urfr_tf.layers import DepthwiseConv2D


def gradients(layer, x, upstream):
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x, training=True)
    return y, tape.gradient(y, [x, layer.depthwise_kernel], output_gradients=tf.cast(upstream, y.dtype))


@pytest.mark.parametrize(
    ("kernel", "strides", "padding", "side"), [(3, 1, "same", 6), (3, 2, "valid", 9), (7, 1, "valid", 7)]
)
@pytest.mark.parametrize("bias", [False, True])
def test_values_are_keras_and_gradients_float32(kernel, strides, padding, side, bias):
    settings = {"strides": strides, "padding": padding, "use_bias": bias}
    ours = DepthwiseConv2D(kernel, dtype="mixed_bfloat16", **settings)
    keras_own = keras.layers.DepthwiseConv2D(kernel, dtype="mixed_bfloat16", **settings)
    exact = keras.layers.DepthwiseConv2D(kernel, **settings)
    random = np.random.default_rng(0)
    # Numbers that bfloat16 holds, so that all three see the same.
    x = tf.cast(tf.constant(random.normal(size=[2, side, side, 5]), tf.bfloat16), tf.float32)
    weight = tf.cast(tf.constant(random.normal(size=[kernel, kernel, 5, 1]), tf.bfloat16), tf.float32)
    for layer in (ours, keras_own, exact):
        layer.build(x.shape)
        layer.depthwise_kernel.assign(weight)
    upstream = tf.constant(random.integers(-2, 3, exact(x).shape), tf.float32)
    y, (by_x, by_kernel) = gradients(ours, tf.cast(x, tf.bfloat16), upstream)
    np.testing.assert_array_equal(y, keras_own(tf.cast(x, tf.bfloat16)))
    assert y.dtype == by_x.dtype == tf.bfloat16 and by_kernel.dtype == tf.float32
    _, (x_exact, kernel_exact) = gradients(exact, x, upstream)
    # 8 bits: one rounding of each result, and of the terms of Keras's own sums where the map is not strided.
    scale = [float(tf.reduce_max(tf.abs(g))) for g in (x_exact, kernel_exact)]
    np.testing.assert_allclose(tf.cast(by_x, tf.float32), x_exact, atol=scale[0] / 128)
    np.testing.assert_allclose(by_kernel, kernel_exact, atol=scale[1] / 128)


def test_a_network_of_it_is_kerass_in_a_file(tmp_path):
    """Same class name, weights and configuration: files of either are read by the other."""
    mine = keras.Sequential([keras.Input([8, 8, 4]), DepthwiseConv2D(3, strides=2, name="d")])
    theirs = keras.Sequential([keras.Input([8, 8, 4]), keras.layers.DepthwiseConv2D(3, strides=2, name="d")])
    path = str(tmp_path / "w.weights.h5")
    mine.save_weights(path)
    theirs.load_weights(path)
    images = np.random.default_rng(0).normal(size=[2, 8, 8, 4]).astype(np.float32)
    np.testing.assert_array_equal(mine(images), theirs(images))
    assert mine.layers[0].get_config().keys() == theirs.layers[0].get_config().keys()
