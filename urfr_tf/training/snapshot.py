"""The network as it would be served now: the inference graph with the weights of the model in training."""

import contextlib
from pathlib import Path

import numpy as np
import tensorflow as tf

from urfr_tf import keys
from urfr_tf.keras2 import keras
from urfr_tf.layers.cpu.fused_forward import fused_forward
from urfr_tf.metrics.arrays import Float32s
from urfr_tf.runs.network_weights import save_network_weights
from urfr_tf.training.tasks.task import TrainingModel


class Snapshot:
    """A copy of the inference graph outside any strategy, refreshed from the model in training.

    Where the optimizer keeps a moving average, the averaged weights are copied. Validation, the saved weights
    and every export then use the same network.

    Args:
        model: the model in training.
        inference: the inference graph over the layers of `model`.
        inference_copy: the same graph with weights of its own.
    """

    def __init__(self, model: TrainingModel, inference: keras.Model, inference_copy: keras.Model) -> None:
        self._model = model
        self._sources = inference.weights
        self._copy = inference_copy

        def run(image: tf.Tensor) -> dict[str, tf.Tensor]:
            return fused_forward(inference_copy, {keys.IMAGE: image}, training=False)

        self._run = tf.function(run, autograph=False)

    def refresh(self) -> None:
        """Copies the weights as they are now."""
        optimizer = getattr(self._model.optimizer, "inner_optimizer", self._model.optimizer)
        has_average = "average" in optimizer.get_slot_names()
        values = []
        for variable in self._sources:
            source = variable
            if has_average and variable.trainable:
                # A weight that has been frozen since the start has no average yet.
                with contextlib.suppress(KeyError):
                    source = optimizer.get_slot(variable, "average")
            values.append(np.asarray(source.read_value()))
        self._copy.set_weights(values)

    def save(self, write_dir: Path) -> None:
        """Writes inference.weights.h5 as of the last refresh, whole or not at all."""
        save_network_weights(self._copy, write_dir)

    def embed(self, images: Float32s) -> dict[str, Float32s]:
        """Returns the outputs of the inference graph for images float32 [B, S, S, 3] in 0..255."""
        return {name: value.numpy() for name, value in self._run(images).items()}
