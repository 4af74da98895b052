"""A small network with different confidences, and its run folder."""

import numpy as np
import pytest
from small_run import configuration

from urfr_tf import keys
from urfr_tf.config.load_config import to_yaml
from urfr_tf.models.inference_graph import build_inference


@pytest.fixture(scope="session")
def network():
    """A small inference model whose confidences differ (a fresh head gives the same to every image)."""
    network = build_inference(configuration())
    rng = np.random.default_rng(0)
    head = network.get_layer(keys.CONFIDENCE)
    head.dense.kernel.assign(rng.normal(0, 0.05, head.dense.kernel.shape))
    return network


@pytest.fixture(scope="session")
def run(network, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    (folder / "config.yaml").write_text(to_yaml(configuration()))
    network.save_weights(folder / "inference.weights.h5")
    return folder
