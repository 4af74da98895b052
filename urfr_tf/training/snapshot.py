"""The model as it would be served now: the inference graph with (averaged) weights of a training."""

import contextlib
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from urfr_tf import keys
from urfr_tf.layers.cpu.prelu import in_bulk
from urfr_tf.runs.network_weights import save_network_weights


class Snapshot:
    """A copy of the inference graph outside any strategy, refreshed from the model in training.

    With a moving average in the optimizer the averaged weights are taken, so that validation, the
    saved weights and every export are of the same network.
    """

    def __init__(self, model: Any, shared: keras.Model, fresh: keras.Model) -> None:
        """Takes the model in training, the inference graph over its layers, and one of its own."""
        self._model = model
        self._sources = shared.weights
        self.inference = fresh

        def run(image: tf.Tensor) -> dict[str, tf.Tensor]:
            with in_bulk():
                return fresh({keys.IMAGE: image}, training=False)

        self._run = tf.function(run, autograph=False)

    def refresh(self) -> None:
        """Copies the weights as they are now."""
        optimizer = self._inner_optimizer()
        has_average = "average" in optimizer.get_slot_names()
        values = []
        for variable in self._sources:
            source: Any = variable
            if has_average and variable.trainable:
                # A weight that has been frozen since the start has no average yet.
                with contextlib.suppress(KeyError):
                    source = optimizer.get_slot(variable, "average")
            values.append(np.asarray(source.read_value()))
        self.inference.set_weights(values)

    def _inner_optimizer(self) -> Any:
        optimizer = self._model.optimizer
        return getattr(optimizer, "inner_optimizer", optimizer)

    def save(self, run_dir: Path) -> None:
        """Writes inference.weights.h5 of the last refresh, whole or not at all."""
        save_network_weights(self.inference, run_dir)

    def embed(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """float32 [B, S, S, 3] -> the outputs of the inference graph."""
        return {name: value.numpy() for name, value in self._run(images).items()}
