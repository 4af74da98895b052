"""The fused pass over a network against Keras's own: values, gradients, what is fused and what is not."""

import numpy as np
import pytest
import tensorflow as tf

from urfr_tf.keras2 import keras
from urfr_tf.layers.cpu.fused_forward import fused_forward


def network(trainable):
    """A batch norm that is frozen or not, and a PReLU."""
    inputs = keras.Input([4, 4, 5])
    norm = keras.layers.BatchNormalization()
    outputs = keras.layers.PReLU(shared_axes=[1, 2], alpha_initializer="glorot_uniform")(norm(inputs))
    random = np.random.default_rng(2)
    norm.set_weights([random.uniform(0.5, 2, 5) for _ in range(4)])
    norm.trainable = trainable
    return keras.Model({"x": inputs}, {"y": outputs})


def graph_of(model, x, training):
    """The traced fused pass, and the names of the XLA functions that it calls."""
    run = tf.function(lambda x: fused_forward(model, {"x": x}, training=training)["y"], autograph=False)
    graph = run.get_concrete_function(x)
    return graph, [node.attr["f"].func.name for node in graph.graph.as_graph_def().node]


@pytest.mark.parametrize("training", [True, False])
def test_a_frozen_norm_and_prelu_are_one_pass_in_training_alone(training):
    """The norm's own pass is not read then, and TensorFlow prunes it.

    In inference the norm is Keras's own: another form would round otherwise.
    """
    model = network(trainable=False)
    x = tf.random.stateless_normal([8, 4, 4, 5], [1, 1])
    graph, names = graph_of(model, x, training)
    assert sum("_forward_normalized" in name for name in names) == training
    tolerance = {"rtol": 1e-5, "atol": 1e-6} if training else {"rtol": 1e-6}
    np.testing.assert_allclose(graph(x), model({"x": x})["y"], **tolerance)


def test_a_prelu_is_fused_in_inference_too():
    model = network(trainable=True)
    _, names = graph_of(model, tf.zeros([8, 4, 4, 5]), training=False)
    assert sum("_forward" in name for name in names) == 1


def test_a_norm_that_learns_is_not_fused():
    _, names = graph_of(network(trainable=True), tf.zeros([8, 4, 4, 5]), training=True)
    assert not any("_forward_normalized" in name for name in names)


class Fused(keras.Model):
    """A functional model that `fit` trains through the fused pass."""

    def call(self, inputs, training=None, mask=None):
        return fused_forward(self, inputs, training=bool(training))


def test_training_moves_what_comes_before_and_the_slope_and_leaves_a_frozen_norm():
    """Against the same network computed by Keras."""

    def trained(cls):
        inputs = keras.Input([4, 4, 3])
        conv = keras.layers.Conv2D(5, 3, kernel_initializer=keras.initializers.GlorotUniform(1))
        norm = keras.layers.BatchNormalization()
        prelu = keras.layers.PReLU(shared_axes=[1, 2], alpha_initializer=keras.initializers.Constant(0.25))
        outputs = keras.layers.GlobalAveragePooling2D()(prelu(norm(conv(inputs))))
        model = cls({"x": inputs}, {"y": outputs})
        norm.trainable = False
        random = np.random.default_rng(2)
        norm.set_weights([random.uniform(0.5, 2, 5) for _ in range(4)])
        before = model.get_weights()
        model.compile(keras.optimizers.SGD(0.5), {"y": "mse"})
        x = random.normal(size=(8, 4, 4, 3)).astype(np.float32)
        model.fit({"x": x}, {"y": np.ones([8, 5])}, epochs=3, batch_size=8, verbose=0)
        return before, model.get_weights()

    before, ours = trained(Fused)
    _, theirs = trained(keras.Model)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    for one, other in zip(ours[2:6], before[2:6], strict=True):
        np.testing.assert_array_equal(one, other)
    assert np.abs(ours[0] - before[0]).max() > 0
    assert not np.allclose(ours[-1], 0.25)


@pytest.mark.parametrize("training", [True, False])
def test_a_branched_network_with_every_kernel(training):
    """Two branches that are added, two outputs, a strided depthwise convolution; all is frozen."""
    image = keras.Input([8, 8, 3], name="image")
    x = keras.layers.Conv2D(4, 1, name="one")(image)
    shortcut = keras.layers.Conv2D(4, 1, strides=2)(x)
    x = keras.layers.PReLU(shared_axes=[1, 2], alpha_initializer="glorot_uniform")(x)
    x = keras.layers.DepthwiseConv2D(3, strides=2, padding="same")(x)
    x = keras.layers.Add()([keras.layers.BatchNormalization(name="norm")(x), shortcut])
    model = keras.Model({"image": image}, {"sum": x, "flat": keras.layers.Flatten()(x)})
    model.trainable = False
    images = {"image": tf.random.stateless_normal([4, 8, 8, 3], [1, 1])}
    ours, theirs = fused_forward(model, images, training=training), model(images, training=training)
    assert set(ours) == {"sum", "flat"}
    for name, value in theirs.items():
        np.testing.assert_allclose(ours[name], value, rtol=1e-5, atol=1e-5)
