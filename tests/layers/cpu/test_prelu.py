"""PReLU, alone and behind a batch norm that stands still, against float64 and Keras's own layers."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import urfr_tf.layers as layers
from urfr_tf.layers.cpu.prelu import fused_norm_prelu, fused_prelu, in_bulk

TYPES = [("float32", 1e-5), ("bfloat16", 2e-2), ("float16", 2e-3)]
BATCHES = [1, 4, 16, 18]  # the gradient by the slope is added up over 1, 4, 8 and 2 parts


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


def test_prelu_gives_the_same_in_training_as_in_inference_and_as_keras():
    ours, theirs = layers.PReLU(shared_axes=[1, 2]), keras.layers.PReLU(shared_axes=[1, 2])
    x = tf.random.stateless_normal([2, 3, 4, 5], [1, 2])
    for layer in (ours, theirs):
        layer.build(x.shape)
        layer.alpha.assign(tf.random.stateless_normal([1, 1, 5], [3, 4]))
    np.testing.assert_array_equal(ours(x), theirs(x))
    np.testing.assert_allclose(ours(x, training=True), theirs(x), rtol=1e-6)


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


def network(trainable):
    """A batch norm that stands still or not, and a PReLU."""
    inputs = keras.Input([4, 4, 5])
    norm = layers.BatchNormalization()
    outputs = layers.PReLU(shared_axes=[1, 2], alpha_initializer="glorot_uniform")(norm(inputs))
    random = np.random.default_rng(2)
    norm.set_weights([random.uniform(0.5, 2, 5) for _ in range(4)])
    norm.trainable = trainable
    return keras.Model(inputs, outputs)


@pytest.mark.parametrize("words, fused", [({"training": True}, True), ({}, False)])
def test_a_frozen_norm_and_prelu_are_one_pass_in_training(words, fused):
    """The norm's own pass is not read then, and TensorFlow prunes it."""
    model = network(trainable=False)
    x = tf.random.stateless_normal([8, 4, 4, 5], [1, 1])
    graph = tf.function(lambda x: model(x, **words)).get_concrete_function(x)
    passes = [node for node in graph.graph.as_graph_def().node if node.attr["f"].func.name]
    names = [node.attr["f"].func.name for node in passes]
    assert sum("_forward_normalised" in name for name in names) == fused
    np.testing.assert_allclose(graph(x), model(x), rtol=1e-5, atol=1e-6)


def test_in_bulk_the_norm_is_keras_own():
    """Another form would round otherwise, and bulk inference gives the same values."""
    model = network(trainable=False)
    x = tf.random.stateless_normal([8, 4, 4, 5], [1, 1])
    with in_bulk():
        graph = tf.function(lambda x: model(x, training=False)).get_concrete_function(x)
    assert "_forward_normalised" not in str(graph.graph.as_graph_def())
    np.testing.assert_allclose(graph(x), model(x), rtol=1e-6)


def test_a_norm_that_learns_is_not_fused():
    model = network(trainable=True)
    x = tf.random.stateless_normal([8, 4, 4, 5], [1, 1])
    graph = tf.function(lambda x: model(x, training=True)).get_concrete_function(x)
    assert "_forward_normalised" not in str(graph.graph.as_graph_def())


def test_training_through_both_moves_what_comes_before_and_the_slope():
    """Against the same network of Keras's own layers, the norm frozen."""

    def trained(norm, prelu):
        inputs = keras.Input([4, 4, 3])
        conv = keras.layers.Conv2D(5, 3, kernel_initializer=keras.initializers.GlorotUniform(1))
        norm.trainable = False
        outputs = keras.layers.GlobalAveragePooling2D()(prelu(norm(conv(inputs))))
        model = keras.Model(inputs, outputs)
        random = np.random.default_rng(2)
        norm.set_weights([random.uniform(0.5, 2, 5) for _ in range(4)])
        model.compile(keras.optimizers.SGD(0.5), "mse")
        x = random.normal(size=(8, 4, 4, 3)).astype(np.float32)
        model.fit(x, np.ones([8, 5]), epochs=3, batch_size=8, verbose=0)
        return model.get_weights()

    start = {"shared_axes": [1, 2], "alpha_initializer": keras.initializers.Constant(0.25)}
    ours = trained(layers.BatchNormalization(), layers.PReLU(**start))
    theirs = trained(keras.layers.BatchNormalization(), keras.layers.PReLU(**start))
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    assert not np.allclose(ours[-1], 0.25)
