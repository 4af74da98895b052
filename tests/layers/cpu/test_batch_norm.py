"""A frozen batch norm against float64, its gradient, and Keras's own where it learns."""

import numpy as np
import pytest
import tensorflow as tf

from urfr_tf.keras2 import keras
from urfr_tf.layers.cpu.batch_norm import normalize_batch


def filled(shape=(None, 3, 3, 5), seed=0, **words):
    layer = keras.layers.BatchNormalization(epsilon=1e-3, **words)
    layer.build(shape)
    random = np.random.default_rng(seed)
    layer.set_weights([random.uniform(0.5, 2, weight.shape) for weight in layer.get_weights()])
    return layer


@pytest.mark.parametrize("words", [{}, {"scale": False}, {"center": False}])
@pytest.mark.parametrize("shape", [(4, 3, 3, 5), (4, 5)])
def test_frozen_values_and_gradient(words, shape):
    layer = filled((None, *shape[1:]), **words)
    layer.trainable = False
    x = np.random.default_rng(1).normal(3, 2, shape)
    weights = {weight.name.split(":")[0]: weight.numpy().astype(np.float64) for weight in layer.weights}
    scale = weights.get("gamma", 1.0) / np.sqrt(weights["moving_variance"] + 1e-3)
    expected = (x - weights["moving_mean"]) * scale + weights.get("beta", 0.0)
    inputs = tf.constant(x, tf.float32)
    for training in (True, False):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            output = normalize_batch(layer, inputs, training)
            loss = tf.reduce_sum(output * tf.range(5.0))
        np.testing.assert_allclose(output, expected, rtol=1e-5, atol=1e-5)
        by_x = np.broadcast_to(np.arange(5) * scale, shape)
        np.testing.assert_allclose(tape.gradient(loss, inputs), by_x, rtol=1e-5)


def test_frozen_in_bfloat16_rounds_once():
    layer = filled(dtype="mixed_bfloat16")
    layer.trainable = False
    x = tf.cast(np.random.default_rng(2).normal(0, 2, [4, 3, 3, 5]), tf.bfloat16)
    exact = filled()
    exact.trainable = False
    output = normalize_batch(layer, x, True)
    assert output.dtype == tf.bfloat16
    wide = normalize_batch(exact, tf.cast(x, tf.float32), True)
    np.testing.assert_array_equal(output, tf.cast(wide, tf.bfloat16))


def test_where_it_learns_it_is_keras_own():
    ours, theirs = filled(), filled()
    x = tf.random.stateless_normal([8, 3, 3, 5], (1, 2))
    for training in (True, False):
        np.testing.assert_array_equal(normalize_batch(ours, x, training), theirs(x, training=training))
    for one, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
