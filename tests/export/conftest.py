"""A network with the real heads on a backbone of two convolutions: it exports in a second."""

import numpy as np
import pytest

from urfr_tf import keys
from urfr_tf.keras2 import keras
from urfr_tf.layers import Confidence, SubEmbedding
from urfr_tf.models.inference_graph import inference_outputs

SIZE, GROUPS, DIM = 32, 4, 16


def tiny_network(extra=None):
    """{image [B, 32, 32, 3]} -> {embedding [B, 16], confidence [B, 4], variance [B, 4]}."""
    keras.utils.set_random_seed(3)
    image = keras.Input([SIZE, SIZE, 3], name=keys.IMAGE)
    x = keras.layers.Rescaling(1 / 128, offset=-127.5 / 128)(image)
    for filters in (8, 12):
        x = keras.layers.Conv2D(filters, 3, 2, use_bias=False)(x)
        x = keras.layers.BatchNormalization()(x)
        x = keras.layers.PReLU(shared_axes=[1, 2], alpha_initializer=keras.initializers.Constant(0.25))(x)
    if extra is not None:
        x = extra(x)
    features = keras.layers.Flatten()(x)
    outputs = {
        keys.EMBEDDING: SubEmbedding(GROUPS, DIM // GROUPS, name=keys.EMBEDDING)(features),
        keys.CONFIDENCE: Confidence(GROUPS, 20.0, name=keys.CONFIDENCE)(features),
    }
    network = keras.Model(image, inference_outputs(keras.Model({keys.IMAGE: image}, outputs)))
    network = keras.Model({keys.IMAGE: image}, network.output)
    random = np.random.default_rng(0)
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.moving_mean.assign(random.normal(0, 0.3, layer.moving_mean.shape))
            layer.moving_variance.assign(random.uniform(0.5, 2, layer.moving_variance.shape))
    # A fresh head gives the same confidence to every image.
    kernel = network.get_layer(keys.CONFIDENCE).dense.kernel
    kernel.assign(random.normal(0, 0.05, kernel.shape))
    return network


@pytest.fixture(scope="session")
def make_network():
    return tiny_network


@pytest.fixture(scope="session")
def network():
    return tiny_network()


@pytest.fixture(scope="session")
def card():
    return {"input_size": SIZE, "groups": GROUPS, "dim": DIM, "name": "tiny"}


@pytest.fixture(scope="session")
def images():
    return np.random.default_rng(1).integers(0, 256, [6, SIZE, SIZE, 3], np.uint8)


@pytest.fixture(scope="session")
def expected(network, images):
    return {name: value.numpy() for name, value in network({keys.IMAGE: images.astype(np.float32)}).items()}
