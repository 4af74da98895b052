"""What a task hands to `train.py`, and the types that tasks, callbacks and measures share."""

import dataclasses
from collections.abc import Callable
from typing import Protocol, TypeAlias

import tensorflow as tf

from urfr_tf.data.stream.record_store import Tensors
from urfr_tf.keras2 import keras
from urfr_tf.metrics.arrays import Float32s

# ({image, label, ...}, {variation, ...}) of one step, as the pipeline gives it and `train_step` takes it.
Batch: TypeAlias = tuple[Tensors, Tensors]
# float32 images [B, S, S, 3] in 0..255 -> the outputs of the inference graph by their names.
Embed: TypeAlias = Callable[[Float32s], dict[str, Float32s]]
# Takes an `Embed` and returns metrics by their names.
Measure: TypeAlias = Callable[[Embed], dict[str, float]]


class TrainingModel(Protocol):
    """A compiled Keras model in training, as `train.py`, its callbacks and the planner use it.

    `fit`, `optimizer`, `layers` and `weights` are those of `keras.Model`. `tf.train.Checkpoint` follows the
    attributes of the model by their names, so a renamed attribute makes old checkpoints unreadable.

    Attributes:
        optimizer: the optimizer of `theta`.
        second_optimizer: the optimizer of an adversary or classifier that learns as well, or None.
        layers: the layers of the graph.
        weights: all variables.
        trainable_variables: the variables that learn now.
        means: running means of the epoch by their names in the log.
    """

    optimizer: keras.optimizers.legacy.Optimizer
    second_optimizer: keras.optimizers.legacy.Optimizer | None
    layers: list[keras.layers.Layer]
    weights: list[tf.Variable]
    trainable_variables: list[tf.Variable]
    means: dict[str, keras.metrics.Metric]

    @property
    def step(self) -> tf.Variable:
        """The number of updates so far."""

    @property
    def theta(self) -> list[tf.Variable]:
        """The variables that `optimizer` moves now."""

    def make_slots(self) -> None:
        """Creates the optimizers' variables for what learns now. Call it in the strategy's scope."""

    def log_values(self) -> tuple[dict[str, float], dict[str, float]]:
        """Returns what the log says of the epoch besides the means: (scalars, columns of single groups)."""

    def train_step(self, data: Batch) -> Tensors:
        """Makes one update and returns the means by their names."""

    def get_layer(self, name: str) -> keras.layers.Layer:
        """Returns the layer of that name."""

    def fit(
        self,
        x: tf.data.Dataset,
        *,
        initial_epoch: int,
        epochs: int,
        steps_per_epoch: int,
        callbacks: list[keras.callbacks.Callback],
        verbose: int,
    ) -> keras.callbacks.History:
        """Trains as `keras.Model.fit` does."""


class MakeBatches(Protocol):
    """Makes the endless stream of training batches from any step on."""

    def __call__(self, start_step: int, worker: int = 0, workers: int = 1) -> tf.data.Dataset:
        """Returns a dataset of `Batch`.

        Args:
            start_step: the first step of the stream.
            worker: which of the `workers`.
            workers: number of processes; each takes its own places of the global batches.
        """


@dataclasses.dataclass(frozen=True)
class Task:
    """A compiled training model and what goes with it.

    Attributes:
        model: the compiled model.
        inference: the inference graph over the layers of `model`.
        inference_copy: the same graph with weights of its own, outside any strategy.
        batches: makes the stream of training batches.
        before_first_step: called before the first step of a new run with the `Embed` of `inference_copy`.
        measure: the metrics of the validation set.
        measure_first: whether `measure` is also taken before the first step of a new run, and printed.
        after_last_step: called once after the last step.
        freeze_backbone: called with whether the heads learn alone from the next call of `fit` on; None in a
            task that cannot do this.
    """

    model: TrainingModel
    inference: keras.Model
    inference_copy: keras.Model
    batches: MakeBatches
    before_first_step: Callable[[Embed], None] | None = None
    measure: Measure | None = None
    measure_first: bool = False
    after_last_step: Callable[[], None] | None = None
    freeze_backbone: Callable[[bool], None] | None = None
