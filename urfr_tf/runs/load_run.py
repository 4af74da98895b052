"""A run folder -> its network with weights, or a callable."""

import os
from pathlib import Path
from typing import NamedTuple

import tensorflow as tf

from urfr_tf import keys
from urfr_tf.config.load_config import read_run_config
from urfr_tf.config.tree import Experiment
from urfr_tf.keras2 import keras
from urfr_tf.layers.cpu.fused_forward import fused_forward
from urfr_tf.models.inference_graph import build_inference, with_embedding_norm
from urfr_tf.runs.card import ModelCard
from urfr_tf.runs.embedder import Embedder, Outputs
from urfr_tf.runs.fingerprints import fingerprint_run
from urfr_tf.runs.network_weights import load_network_weights
from urfr_tf.runs.run_card import make_run_card


class TrainedNetwork(NamedTuple):
    """The inference model of a run with its weights, the card of the run, and its configuration."""

    network: keras.Model
    card: ModelCard
    config: Experiment


def load_run(run: Path, bulk: bool = False) -> Embedder:
    """Loads a run folder as a callable; see `load_model`.

    Raises:
        UrfrError: no configuration, no weights yet, or weights that do not fit the configuration.
    """
    network, card, _ = load_network(run)
    return make_embedder(run, network, card, bulk)


def load_network(run: str | os.PathLike[str]) -> TrainedNetwork:
    """Builds the inference model that a run folder describes and reads its weights.

    Raises:
        UrfrError: no configuration, no weights yet, or weights that do not fit the configuration.
    """
    config = read_run_config(run)
    network = build_inference(config)
    load_network_weights(network, run)
    return TrainedNetwork(network, make_run_card(Path(run), config), config)


def make_embedder(run: Path, network: keras.Model, card: ModelCard, bulk: bool = False) -> Embedder:
    """Makes a callable of an inference model in memory.

    Args:
        run: the run folder that the network is from.
        network: see `load_network`.
        card: of the run.
        bulk: prepare for many images, see `load_model`.
    """
    size = card["input_size"]
    network_with_norm = with_embedding_norm(network)

    def run_network(image: tf.Tensor) -> dict[str, tf.Tensor]:
        inputs = {keys.IMAGE: image}
        outputs: dict[str, tf.Tensor] = (
            fused_forward(network_with_norm, inputs, training=False)
            if bulk
            else network_with_norm(inputs, training=False)
        )
        return outputs

    embed = tf.function(
        run_network,
        input_signature=[tf.TensorSpec([None, size, size, 3], tf.float32)],
        autograph=False,
    )

    def compute(crops: tf.Tensor) -> Outputs:
        return {name: value.numpy() for name, value in embed(tf.constant(crops)).items()}

    return Embedder(
        path=str(run),
        kind="run",
        input_size=size,
        groups=card["groups"],
        dim=card["dim"],
        fingerprint=fingerprint_run(run),
        compute=compute,
        card=card,
    )
