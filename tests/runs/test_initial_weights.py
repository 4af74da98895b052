"""`initial_weights`: a wider embedding starts as the narrower one; everything else as it was or anew."""

import numpy as np
import pytest

from urfr_tf import keys
from urfr_tf.config.load_config import load_config, read_run_config
from urfr_tf.errors import UrfrError
from urfr_tf.keras2 import keras
from urfr_tf.layers import SubEmbedding
from urfr_tf.models.inference_graph import build_inference
from urfr_tf.models.urface import embedding_network
from urfr_tf.runs.initial_weights import can_widen, copy_initial_weights, widen_embedding
from urfr_tf.runs.network_weights import WEIGHTS


def head(groups, dim, features, seed, **settings):
    """A head whose kernel, statistics and offset are drawn."""
    layer = SubEmbedding(groups, dim, **settings)
    layer.build([None, features])
    random = np.random.default_rng(seed)
    for weight in layer.weights:
        low = 0.5 if "variance" in weight.name else -1.0
        weight.assign(random.uniform(low, 1.5, weight.shape))
    return layer


@pytest.mark.parametrize("batch_norm", [True, False])
def test_products_of_embeddings_stay_when_the_head_is_made_wider(batch_norm):
    narrow, wide = head(1, 6, 10, 0, batch_norm=batch_norm), head(4, 8, 10, 1)
    x = np.random.default_rng(2).normal(size=[7, 10]).astype(np.float32)
    widen_embedding(narrow, wide, np.random.default_rng(3))
    before, after = np.float64(narrow.flat(x)), np.float64(wide.flat(x))
    assert after.shape == (7, 32)
    np.testing.assert_allclose(after @ after.T, before @ before.T, rtol=1e-4, atol=1e-4)
    # A group alone is a projection of 6 numbers onto 8 that spans them: it is not 0, and groups differ.
    groups = after.reshape(7, 4, 8)
    assert np.linalg.norm(groups, axis=-1).min() > 0
    assert np.abs(groups[:, 0] - groups[:, 1]).max() > 0.1


def test_what_cannot_be_made_wider():
    features = head(1, 6, 10, 0)
    assert can_widen(features, head(1, 7, 10, 0))
    assert not can_widen(features, head(1, 6, 10, 0))
    assert not can_widen(features, head(2, 2, 10, 0))
    assert not can_widen(features, head(1, 7, 11, 0))
    assert not can_widen(features, head(1, 7, 10, 0, batch_norm=False))


def test_a_run_of_another_zero_is_refused(tiny_config, tiny_run):
    config = load_config(tiny_config, [f"initial_weights={tiny_run}", "model.zero_pixel=black"])
    network = embedding_network(config.model, config.confidence)
    with pytest.raises(UrfrError, match="has model.zero_pixel: gray, .* need --set model.zero_pixel=gray"):
        copy_initial_weights(network, config)


def test_a_run_goes_on_with_more_numbers_a_face(tiny_config, tiny_run, capsys):
    theirs = read_run_config(tiny_run)
    dim, groups = theirs.model.embedding_dim, theirs.model.groups
    wider = f"model.embedding_dim={4 * dim}"
    config = load_config(tiny_config, [f"initial_weights={tiny_run}", wider, "head.start=class_means"])
    network = embedding_network(config.model, config.confidence)
    copy_initial_weights(network, config)
    assert f"embedding {dim} wide made {4 * dim} wide" in capsys.readouterr().out
    source = build_inference(theirs)
    source.load_weights(str(tiny_run / WEIGHTS))
    size = theirs.model.input_size
    images = np.random.default_rng(0).uniform(0, 255, [5, size, size, 3]).astype(np.float32)

    def flat(model):
        layer = model.get_layer(keys.EMBEDDING)
        return np.float64(keras.Model(model.input, layer.flat(layer.input))({keys.IMAGE: images}))

    before, after = flat(source), flat(network)
    assert before.shape == (5, dim) and after.shape == (5, 4 * dim) and groups == config.model.groups
    np.testing.assert_allclose(after @ after.T, before @ before.T, rtol=1e-3, atol=1e-3)
    again = embedding_network(config.model, config.confidence)
    copy_initial_weights(again, config)
    np.testing.assert_array_equal(flat(again), after)  # drawn by the seed
