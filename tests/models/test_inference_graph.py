"""The inference graph: its weight file is one of Keras's layers; the embedding's length."""

import h5py
import numpy as np
import pytest
import tensorflow as tf

from urfr_tf import keys
from urfr_tf.config.load_config import from_dict
from urfr_tf.keras2 import keras
from urfr_tf.models.inference_graph import build_inference, with_embedding_norm


def inference(backbone, size):
    model = {"backbone": backbone, "width": 0.125, "input_size": size, "embedding_dim": 16, "groups": 4}
    return build_inference(
        from_dict({"model": model, "optimizer": {"learning_rate": {"type": "constant"}}}, "t")
    )


@pytest.mark.parametrize(("backbone", "size"), [("ir10", 32), ("mobilefacenet", 64)])
def test_a_weight_file_names_keras_layers(backbone, size, tmp_path):
    """Keras names a group after its layer's class: these names are in every run folder that was written."""
    network = inference(backbone, size)
    network.save_weights(str(tmp_path / "a.weights.h5"))
    with h5py.File(tmp_path / "a.weights.h5") as file:
        groups = set(file["layers"])
    expected = {
        "batch_normalization",
        "conv2d",
        "p_re_lu",
        "sub_embedding",
        "confidence",
        "join_groups",
        "reciprocal",
    }
    expected |= {"depthwise_conv2d"} if backbone == "mobilefacenet" else set()
    assert groups >= expected
    kinds = {type(layer) for layer in network.layers if isinstance(layer, keras.layers.PReLU)}
    assert kinds == {keras.layers.PReLU}


def test_the_embeddings_length():
    network = inference("ir10", 32)
    images = np.random.default_rng(0).uniform(0, 255, [2, 32, 32, 3]).astype(np.float32)
    head = network.get_layer(keys.EMBEDDING)
    features = keras.Model(network.input, head.input)(images)
    outputs = with_embedding_norm(network)({keys.IMAGE: images})
    length = tf.norm(head.norm(head.dense(features)), axis=1)
    np.testing.assert_allclose(outputs[keys.NORM], length, rtol=1e-6)
    for name, value in network({keys.IMAGE: images}).items():
        np.testing.assert_array_equal(outputs[name], value)
