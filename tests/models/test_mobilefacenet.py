"""The MobileFaceNet backbone: shapes, parameter counts, padding, replica-safe batch norms."""

import numpy as np
import pytest
import tensorflow as tf

from urfr_tf.keras2 import keras
from urfr_tf.models.mobilefacenet import depthwise, mobilefacenet


def network(size=112, **settings):
    inputs = keras.Input((size, size, 3))
    return keras.Model(inputs, mobilefacenet(inputs, **settings))


def test_parameters_counted_by_hand():
    """Convolutions k*k*in*out (depthwise k*k*c), 4 a channel for each batch norm, 1 for each PReLU.

    Width 1: (in, inside, out, blocks) of the expansion blocks, as InsightFace built it.
    """
    blocks = [(64, 128, 64, 5), (64, 256, 128, 1), (128, 256, 128, 6), (128, 512, 128, 1), (128, 256, 128, 2)]
    expected = 3 * 3 * 3 * 64 + 5 * 64 + 3 * 3 * 64 + 5 * 64
    for before, inside, after, count in blocks:
        one = before * inside + 5 * inside + 9 * inside + 5 * inside + inside * after + 4 * after
        expected += count * one
    expected += 128 * 512 + 5 * 512 + 7 * 7 * 512 + 4 * 512
    assert network().count_params() == expected


@pytest.mark.parametrize(("size", "side"), [(112, 7), (100, 7), (64, 4), (65, 5), (96, 6)])
def test_whole_map_is_reduced(size, side):
    """Side n becomes (n - 1) // 2 + 1 four times: 65 -> 33 -> 17 -> 9 -> 5."""
    model = network(size, width=0.125)
    assert model.output_shape == (None, 1, 1, 64)
    assert model.get_layer("last_prelu").output_shape == (None, side, side, 64)


def test_width_rounds_to_eight_and_keeps_a_floor():
    model = network(64, width=0.3)
    # 64 * .3 = 19.2 -> 16 (19.2 / 8 = 2.4); 128 * .3 = 38.4 -> 40; 512 * .3 = 153.6 -> 152.
    assert model.get_layer("stem_conv").filters == 16
    assert model.get_layer("stage3_block1_project_conv").filters == 40
    assert model.output_shape[-1] == 152
    assert network(64, width=0.01).get_layer("stem_conv").filters == 8


def test_strided_padding_is_symmetric():
    """With an all-ones 3 x 3 kernel on an even map of ones, output [0, 0] sees 2 x 2 ones and [1, 1] sees 9.

    TensorFlow's "same" would give 9 at [0, 0] and 4 at the last place.
    """
    inputs = keras.Input((6, 6, 1))
    model = keras.Model(inputs, depthwise(inputs, "d", lambda x, name: x, stride=2, linear=True))
    model.set_weights([np.ones((3, 3, 1, 1), np.float32)])
    result = model(np.ones((1, 6, 6, 1), np.float32)).numpy()[0, :, :, 0]
    assert result.tolist() == [[4, 6, 6], [6, 9, 9], [6, 9, 9]]


def test_gradients_reach_every_weight():
    model = network(64, width=0.125)
    images = np.random.default_rng(0).normal(size=(4, 64, 64, 3)).astype(np.float32)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(model(images, training=True)[..., ::2] ** 3)
    gradients = tape.gradient(loss, model.trainable_variables)
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        assert gradient is not None, variable.name
        assert np.isfinite(gradient).all(), variable.name
        assert np.abs(gradient).max() > 0, variable.name


def test_mixed_precision_keeps_variables_in_float32():
    previous = keras.mixed_precision.global_policy()
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        model = network(64, width=0.125)
    finally:
        keras.mixed_precision.set_global_policy(previous)
    assert model.output.dtype == tf.bfloat16
    assert {v.dtype for v in model.variables} == {tf.float32}


def test_synchronized_is_passed_on():
    norms = [
        layer
        for layer in network(64, width=0.125, synchronized=True).layers
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    # stem, stem depthwise, 15 blocks of 3, last, global: 2 + 45 + 2.
    assert len(norms) == 49
    assert all(layer.synchronized for layer in norms)


@pytest.mark.parametrize(("shape", "width"), [((48, 48, 3), 1.0), ((112, 96, 3), 1.0), ((112, 112, 3), 0.0)])
def test_impossible_settings_are_refused(shape, width):
    with pytest.raises(ValueError, match="mobilefacenet expects"):
        mobilefacenet(keras.Input(shape), width=width)
