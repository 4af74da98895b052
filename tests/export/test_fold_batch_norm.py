"""Batch norms folded into convolutions: the same function, without a batch norm left in the units."""

from collections import Counter

import numpy as np
import pytest
import tensorflow as tf

from urfr_tf.export.fold_batch_norm import PRELUS, fold_batch_norm
from urfr_tf.keras2 import keras
from urfr_tf.models.ir import ir_network
from urfr_tf.models.mobilefacenet import mobilefacenet


def network_of(backbone, size, slope=0.25, beta=0.4):
    """A backbone whose batch norms do something: gamma, beta, mean and variance drawn at random."""
    keras.utils.set_random_seed(5)
    image = keras.Input([size, size, 3], name="image")
    network = keras.Model({"image": image}, {"out": backbone(image)})
    random = np.random.default_rng(0)
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            shape = layer.gamma.shape
            layer.gamma.assign(random.uniform(0.5, 1.5, shape) * random.choice([-1, 1], shape))
            layer.beta.assign(random.normal(0, beta, shape))
            layer.moving_mean.assign(random.normal(0, 0.5, shape))
            layer.moving_variance.assign(random.uniform(0.5, 2, shape))
        if isinstance(layer, keras.layers.PReLU):
            layer.alpha.assign(random.uniform(-0.3, slope, layer.alpha.shape))
    return network


def small_ir(image):
    return ir_network(image, "ir18", width=0.125)


def small_mobile(image):
    return mobilefacenet(image, width=0.125)


@pytest.mark.parametrize(("backbone", "size"), [(small_ir, 33), (small_mobile, 64)])
def test_the_function_stays(backbone, size):
    """Borders included: an odd side has every kind of padding, and the shifts are not small."""
    network = network_of(backbone, size)
    images = tf.constant(np.random.default_rng(1).normal(0, 1, [2, size, size, 3]), tf.float32)
    expected = np.float64(network({"image": images})["out"])
    for prelu in PRELUS:  # each finds that the one before has left nothing behind
        found = np.float64(fold_batch_norm(network, prelu=prelu)({"image": images})["out"])
        # float32 through 17 or more layers of another order of sums
        assert np.abs(found - expected).max() < 2e-4 * np.abs(expected).max(), prelu


def test_what_is_left():
    counts = Counter(type(layer).__name__ for layer in fold_batch_norm(network_of(small_ir, 32)).layers)
    # The last batch norm has no convolution after it; the first PReLU's output is shifted by an addition.
    assert (counts["BatchNormalization"], counts["Shift"]) == (1, 1)
    # 8 units of 2 convolutions, 4 shortcuts, 1 stem; a PReLU in each unit and the stem
    assert (counts["Conv2D"], counts["PReLU"], counts["Add"]) == (21, 9, 8)
    counts = Counter(type(layer).__name__ for layer in fold_batch_norm(network_of(small_mobile, 64)).layers)
    assert counts["BatchNormalization"] == counts["Shift"] == 0


def test_prelu_of_a_slope_above_one_stays():
    network = network_of(small_ir, 32)
    steep = network.get_layer("layer1_0_prelu")
    steep.alpha.assign(np.full(steep.alpha.shape, 1.5))
    counts = Counter(type(layer).__name__ for layer in fold_batch_norm(network, prelu="maximum").layers)
    assert (counts["PReLU"], counts["Maximum"], counts["Scale"]) == (1, 8, 8)
    counts = Counter(type(layer).__name__ for layer in fold_batch_norm(network, prelu="sum").layers)
    # 8 sums of PReLU beside those of the 8 units
    assert (counts["PReLU"], counts["ReLU"], counts["Scale"], counts["Add"]) == (1, 8, 8, 16)


def test_bfloat16_is_what_stands_between_the_pixels_and_the_heads():
    network = network_of(small_ir, 32)
    folded = fold_batch_norm(network, prelu="maximum", dtype="bfloat16")
    kept = {layer.name for layer in folded.layers if layer.compute_dtype == "float32"}
    assert kept == {"image", "bn2"}  # the last batch norm gives the heads their features
    assert folded.output["out"].dtype == "float32"
    images = tf.constant(np.random.default_rng(1).normal(0, 1, [4, 32, 32, 3]), tf.float32)
    expected, found = (each({"image": images})["out"].numpy().reshape(4, -1) for each in (network, folded))
    cosine = np.sum(expected * found, 1) / np.linalg.norm(expected, axis=1) / np.linalg.norm(found, axis=1)
    # Each of 21 convolutions rounds to 8 bits, 0.2 % of a number at random: 0.2 % sqrt(2 x 21) = 1.3 % of the
    # map, whose cosine is 1 - 0.013^2 / 2; ten times that angle is allowed.
    assert cosine.min() > 1 - 0.13**2 / 2


@pytest.mark.parametrize("gamma", [0.0, 1e-6])
def test_a_dead_channel_keeps_its_batch_norm(gamma):
    """A factor near 0 would need a shift without bound: that batch norm stays, and so does the function."""
    network = network_of(small_ir, 32)
    norm = network.get_layer("layer3_1_bn1")
    values = norm.gamma.numpy()
    values[2] = gamma
    norm.gamma.assign(values)
    folded = fold_batch_norm(network)
    assert sum(isinstance(layer, keras.layers.BatchNormalization) for layer in folded.layers) == 2
    images = tf.constant(np.random.default_rng(1).normal(0, 1, [2, 32, 32, 3]), tf.float32)
    expected, found = (np.float64(each({"image": images})["out"]) for each in (network, folded))
    assert np.abs(found - expected).max() < 2e-4 * np.abs(expected).max()
