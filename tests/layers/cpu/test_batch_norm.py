"""A frozen batch norm against float64, its gradient, and Keras's own where it learns."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from urfr_tf.layers import BatchNormalization


def filled(cls, shape=(None, 3, 3, 5), seed=0, **words):
    layer = cls(epsilon=1e-3, **words)
    layer.build(shape)
    random = np.random.default_rng(seed)
    layer.set_weights([random.uniform(0.5, 2, weight.shape) for weight in layer.get_weights()])
    return layer


@pytest.mark.parametrize("parts", [{}, {"scale": False}, {"center": False}])
@pytest.mark.parametrize("shape", [(4, 3, 3, 5), (4, 5)])
def test_frozen_values_and_gradient(parts, shape):
    layer = filled(BatchNormalization, (None, *shape[1:]), **parts)
    layer.trainable = False
    x = np.random.default_rng(1).normal(3, 2, shape)
    weights = {weight.name.split(":")[0]: weight.numpy().astype(np.float64) for weight in layer.weights}
    scale = weights.get("gamma", 1.0) / np.sqrt(weights["moving_variance"] + 1e-3)
    expected = (x - weights["moving_mean"]) * scale + weights.get("beta", 0.0)
    inputs = tf.constant(x, tf.float32)
    for training in (True, False):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            output = layer(inputs, training=training)
            loss = tf.reduce_sum(output * tf.range(5.0))
        np.testing.assert_allclose(output, expected, rtol=1e-5, atol=1e-5)
        by_x = np.broadcast_to(np.arange(5) * scale, shape)
        np.testing.assert_allclose(tape.gradient(loss, inputs), by_x, rtol=1e-5)


def test_frozen_in_bfloat16_rounds_once():
    layer = filled(BatchNormalization, dtype="mixed_bfloat16")
    layer.trainable = False
    x = tf.cast(np.random.default_rng(2).normal(0, 2, [4, 3, 3, 5]), tf.bfloat16)
    exact = filled(BatchNormalization)
    exact.trainable = False
    output = layer(x, training=True)
    assert output.dtype == tf.bfloat16
    np.testing.assert_array_equal(output, tf.cast(exact(tf.cast(x, tf.float32), training=True), tf.bfloat16))


def test_where_it_learns_it_is_keras_own():
    ours, theirs = filled(BatchNormalization), filled(keras.layers.BatchNormalization)
    x = tf.random.stateless_normal([8, 3, 3, 5], (1, 2))
    for training in (True, False):
        np.testing.assert_array_equal(ours(x, training=training), theirs(x, training=training))
    for one, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_frozen_one_in_a_model_leaves_its_statistics(tmp_path):
    inputs = keras.Input([6, 6, 2])
    x = keras.layers.Conv2D(3, 3)(inputs)
    norm = BatchNormalization()
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(norm(x)))
    norm.trainable = False
    model.compile("sgd", "mse")
    before = [weight.copy() for weight in norm.get_weights()]
    kernel = model.layers[1].get_weights()[0].copy()
    model.fit(np.random.default_rng(0).normal(size=(8, 6, 6, 2)), np.ones([8, 3]), verbose=0)
    for one, other in zip(norm.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)
    assert np.abs(model.layers[1].get_weights()[0] - kernel).max() > 0
    # The file is the one that Keras's own layer reads and writes: runs of before load.
    model.save_weights(str(tmp_path / "w.weights.h5"))
    x = keras.layers.Conv2D(3, 3)(inputs)
    plain = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(keras.layers.BatchNormalization()(x)))
    plain.load_weights(str(tmp_path / "w.weights.h5"))
    np.testing.assert_array_equal(plain.layers[1].get_weights()[0], model.layers[1].get_weights()[0])
