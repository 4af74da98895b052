"""Channels before a depthwise convolution get one range; the function stays; int8 has its resolution back."""

import numpy as np
import pytest

from urfr_tf.export.equalize import LEAST, equalize_channels, find_depthwise_pairs
from urfr_tf.export.fold_batch_norm import fold_batch_norm
from urfr_tf.keras2 import keras
from urfr_tf.models.mobilefacenet import mobilefacenet

IMAGES = np.random.default_rng(2).normal(0, 1, [4, 64, 64, 3]).astype(np.float32)


@pytest.fixture()
def folded():
    """A narrow MobileFaceNet whose batch norms and slopes are drawn at random, folded."""
    keras.utils.set_random_seed(5)
    image = keras.Input([64, 64, 3], name="image")
    network = keras.Model({"image": image}, {"out": mobilefacenet(image, width=0.125)})
    random = np.random.default_rng(0)
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.gamma.assign(random.uniform(0.1, 2, layer.gamma.shape))
            layer.beta.assign(random.normal(0, 0.3, layer.beta.shape))
        if isinstance(layer, keras.layers.PReLU):
            layer.alpha.assign(random.uniform(-1, 2, layer.alpha.shape))
    return fold_batch_norm(network)


def test_the_function_stays_and_the_ranges_meet(folded):
    # The stem, three halving blocks, 4 + 6 + 2 residual ones, and the last convolution before the global one.
    assert len(find_depthwise_pairs(folded)) == 1 + 3 + 12 + 1
    before = folded({"image": IMAGES})["out"].numpy()
    assert equalize_channels(folded, IMAGES) == 17
    after = folded({"image": IMAGES})["out"].numpy()
    assert np.abs(after - before).max() < 2e-4 * np.abs(before).max()
    maps = keras.Model(folded.input, [conv.output for conv, _ in find_depthwise_pairs(folded)])
    for value in maps({"image": IMAGES}):
        reach = np.abs(value.numpy()).max(axis=(0, 1, 2))
        assert reach.min() > 0.999 * reach.max() > 0


def test_a_dead_channel_stays_finite(folded):
    conv, depthwise = find_depthwise_pairs(folded)[0]
    kernel, bias = conv.get_weights()
    kernel[..., 1], bias[1] = 0, 0
    conv.set_weights([kernel, bias])
    taken = depthwise.get_weights()[0][:, :, 1].copy()
    equalize_channels(folded, IMAGES)
    np.testing.assert_allclose(depthwise.get_weights()[0][:, :, 1], taken * LEAST, rtol=1e-6)
    assert np.isfinite(folded({"image": IMAGES})["out"].numpy()).all()


def test_nothing_without_depthwise_convolutions(network):
    folded = fold_batch_norm(network)
    kept = folded.get_weights()
    assert equalize_channels(folded, np.zeros([1, 32, 32, 3], np.float32)) == 0
    for a, b in zip(kept, folded.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_layer_that_departs_is_found_beside_residual_sums():
    """In the file a sum writes over the convolution that only it reads: the sum is compared in its place."""
    from urfr_tf.export.first_difference import find_difference_of_file
    from urfr_tf.export.tflite import convert_to_tflite

    keras.utils.set_random_seed(5)
    image = keras.Input([64, 64, 3], name="image")
    features = keras.layers.Flatten()(mobilefacenet(image, width=0.125))
    network = keras.Model({"image": image}, {"embedding": features})
    content = convert_to_tflite(network, {})
    assert find_difference_of_file(network, content, IMAGES, 0.999).startswith(
        "no layer of the backbone differs"
    )
    layer = network.get_layer("stage3_block2_project_conv")
    layer.kernel.assign(-layer.kernel)
    clause = find_difference_of_file(network, content, IMAGES, 0.999)
    assert clause.startswith("stage3_block2_add is the first layer that differs")
