"""Prototypes at the class means of the embeddings, dense and sampled."""

import numpy as np
import pytest

from urfr_tf import keys
from urfr_tf.config.load_config import load_config
from urfr_tf.data.stream.evaluation_stream import evaluation_dataset
from urfr_tf.errors import UrfrError
from urfr_tf.training.tasks.class_means import class_means
from urfr_tf.training.tasks.recognition import build_recognition_model, start_at_class_means

K, D = 4, 16


def embed(images):
    """D pixels of an image as if they were its embedding."""
    return {keys.EMBEDDING: np.asarray(images)[:, :4, :4, 1].reshape(-1, D)}


@pytest.fixture(scope="module")
def expected(shards):
    """Float64, image by image."""
    sums = np.zeros([4, D])
    for batch in evaluation_dataset(str(shards), batch_size=1, crop_size=32):
        sums[int(batch[keys.LABEL][0])] += embed(batch[keys.IMAGE])[keys.EMBEDDING][0].astype(np.float64)
    groups = sums.reshape(4, K, D // K)
    return (groups / np.linalg.norm(groups, axis=2, keepdims=True)).reshape(4, D)


def test_mean_of_each_class_by_group(shards, expected):
    means = class_means(embed, str(shards), 32, K)
    assert means.dtype == np.float32
    np.testing.assert_allclose(means, expected, atol=1e-6)


@pytest.mark.parametrize("head", ["sample_rate=1.0", "sample_rate=0.5"])
def test_the_prototypes_start_there(tiny_config, tiny_run, expected, head):
    config = load_config(
        tiny_config, ["head.start=class_means", f"initial_weights={tiny_run}", f"head.{head}"]
    )
    model, _ = build_recognition_model(config, 4, synchronized=False)
    start_at_class_means(config, model, embed)
    kernel = model.prototypes.kernel if model.prototypes else model.get_layer(keys.LOGITS).kernel
    np.testing.assert_allclose(kernel.numpy(), expected, atol=1e-6)


def test_needs_weights_to_start_from(tiny_config):
    with pytest.raises(UrfrError, match="class_means needs initial_weights"):
        load_config(tiny_config, ["head.start=class_means"])
