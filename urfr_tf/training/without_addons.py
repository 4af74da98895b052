"""What `urfr_tf.training.addons` takes from tensorflow-addons, where that no longer imports.

The optimizers compute the same numbers, and a checkpoint holds them under the same names.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

import tensorflow as tf
from tqdm.auto import tqdm

from urfr_tf.keras2 import keras

# What a legacy Keras optimizer computes once for each (device, type): the rate, the decay and so on.
ApplyState: TypeAlias = Mapping[tuple[str, tf.DType], dict[str, tf.Tensor]]


class SGDW(keras.optimizers.legacy.SGD):
    """SGD with decoupled weight decay (Loshchilov and Hutter, 2019): weights shrink before the step.

    Args:
        weight_decay: a schedule or a number.
        name: as Keras names it.
        options: the arguments of Keras's SGD.
    """

    def __init__(
        self, weight_decay: Callable[[tf.Tensor], tf.Tensor] | float, name: str = "SGDW", **options: object
    ) -> None:
        super().__init__(name=name, **options)
        self._set_hyper("weight_decay", weight_decay)

    def get_config(self) -> dict[str, object]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "weight_decay": self._serialize_hyperparameter("weight_decay")}

    def _prepare_local(self, var_device: str, var_dtype: tf.DType, apply_state: ApplyState) -> None:
        super()._prepare_local(var_device, var_dtype, apply_state)
        decay = self._get_hyper("weight_decay", var_dtype)
        if isinstance(decay, keras.optimizers.schedules.LearningRateSchedule):
            decay = tf.cast(decay(self.iterations), var_dtype)
        apply_state[(var_device, var_dtype)]["wd_t"] = tf.identity(decay)

    def _do_use_weight_decay(self, var: tf.Variable) -> bool:
        """Whether a variable decays; all do, unless a subclass spares some."""
        return True

    def _decay_weights_op(self, var: tf.Variable, apply_state: ApplyState | None = None) -> tf.Operation:
        if not self._do_use_weight_decay(var):
            return tf.no_op()
        device, dtype = var.device, var.dtype.base_dtype
        state = (apply_state or {}).get((device, dtype)) or self._fallback_apply_state(device, dtype)
        return var.assign_sub(state["wd_t"] * var, self._use_locking)

    def _resource_apply_dense(
        self, grad: tf.Tensor, var: tf.Variable, apply_state: ApplyState | None = None
    ) -> tf.Operation:
        with tf.control_dependencies([self._decay_weights_op(var, apply_state=apply_state)]):
            return super()._resource_apply_dense(grad, var, apply_state=apply_state)


class MovingAverage(keras.optimizers.legacy.Optimizer):
    """Another optimizer, and a moving average of every weight that it moves, in the slot `average`.

    Args:
        optimizer: what moves the weights.
        average_decay: decay of the average per step. The first steps use (1 + step) / (10 + step) where that
            is smaller, so that the average forgets the initial weights sooner.
        name: as Keras names it.
    """

    def __init__(
        self,
        optimizer: keras.optimizers.legacy.Optimizer,
        average_decay: float,
        name: str = "MovingAverage",
    ) -> None:
        super().__init__(name)
        self._optimizer = optimizer
        self._track_trackable(optimizer, "awg_optimizer")
        self._set_hyper("average_decay", average_decay)

    def get_config(self) -> dict[str, object]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "optimizer": keras.optimizers.serialize(self._optimizer),
            "average_decay": self._serialize_hyperparameter("average_decay"),
        }

    def apply_gradients(
        self,
        grads_and_vars: Iterable[tuple[tf.Tensor, tf.Variable]],
        name: str | None = None,
        **options: object,
    ) -> tf.Operation:
        """Moves the weights, then their averages; as Keras's optimizers do it."""
        self._optimizer._iterations = self.iterations
        return super().apply_gradients(grads_and_vars, name, **options)

    @property
    def weights(self) -> list[tf.Variable]:
        """The variables of both: the step, the averages, and the other optimizer's."""
        return [*self._weights, *self._optimizer.weights]

    @property
    def learning_rate(self) -> object:
        """The other optimizer's, a schedule or a variable."""
        return self._optimizer._get_hyper("learning_rate")

    def _create_slots(self, var_list: list[tf.Variable]) -> None:
        self._optimizer._create_slots(var_list=var_list)
        for var in var_list:
            self.add_slot(var, "average", var.read_value())

    def _create_hypers(self) -> None:
        self._optimizer._create_hypers()

    def _prepare_local(self, var_device: str, var_dtype: tf.DType, apply_state: ApplyState) -> None:
        self._optimizer._prepare_local(var_device, var_dtype, apply_state)
        step = tf.cast(self._optimizer.iterations, tf.float32)
        decay = self._get_hyper("average_decay", tf.float32)
        apply_state[(var_device, var_dtype)]["average_decay"] = tf.minimum(
            decay, (1.0 + step) / (10.0 + step)
        )

    def _resource_apply_dense(
        self, grad: tf.Tensor, var: tf.Variable, apply_state: ApplyState | None = None
    ) -> tf.Operation:
        moved = self._optimizer._resource_apply_dense(grad, var, apply_state=apply_state)
        device, dtype = var.device, var.dtype.base_dtype
        state = (apply_state or {}).get((device, dtype)) or self._fallback_apply_state(device, dtype)
        average = self.get_slot(var, "average")
        return tf.group(moved, keras.backend.moving_average_update(average, var, state["average_decay"]))


class ProgressBar(keras.callbacks.Callback):
    """One bar an epoch.

    Args:
        epoch_bar_format: as tqdm reads it.
    """

    def __init__(self, epoch_bar_format: str) -> None:
        super().__init__()
        self._format = epoch_bar_format
        self._bar: tqdm[None] | None = None

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Begins the bar of an epoch, below its number."""
        print(f"Epoch {epoch + 1}/{self.params['epochs']}")
        self._bar = tqdm(
            total=self.params["steps"], bar_format=self._format, dynamic_ncols=True, unit="steps"
        )

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Moves the bar by a step."""
        if self._bar:
            self._bar.update()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Closes the bar, so that the next line is below it."""
        if self._bar:
            self._bar.close()
