"""The one module that imports tensorflow-addons, which has reached its end of life.

It gives SGD with decoupled weight decay, the moving average of weights, and the progress bar.
It imports up to TensorFlow 2.15; beyond, the same comes from `urfr_tf.training.without_addons`.
"""

import functools
import warnings
from collections.abc import Mapping
from typing import Any, TypeAlias

import tensorflow as tf

from urfr_tf.keras2 import KERAS_2_IS_TF_KERAS, keras


def _find_classes() -> tuple[Any, Any, Any]:
    """SGDW, and what builds a moving average and a progress bar; the same arguments on both."""
    if KERAS_2_IS_TF_KERAS:
        from urfr_tf.training.without_addons import SGDW, MovingAverage, ProgressBar

        return SGDW, MovingAverage, ProgressBar
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its end-of-life notice, printed at every import
        import tensorflow_addons as tfa
    average = functools.partial(tfa.optimizers.MovingAverage, dynamic_decay=True)
    return (
        tfa.optimizers.SGDW,
        average,
        functools.partial(tfa.callbacks.TQDMProgressBar, show_overall_progress=False),
    )


_SGDW: Any
_SGDW, _MovingAverage, _ProgressBar = _find_classes()

LearningRate: TypeAlias = keras.optimizers.schedules.LearningRateSchedule | float
# What a legacy Keras optimizer computes once for each (device, type): the rate, the decay and so on.
ApplyState: TypeAlias = Mapping[tuple[str, tf.DType], dict[str, tf.Tensor]]


@keras.saving.register_keras_serializable(package="urfr_tf")
class Scaled(keras.optimizers.schedules.LearningRateSchedule):
    """A learning-rate schedule times a constant, because decoupled weight decay must follow the rate.

    Args:
        schedule: the learning rate.
        factor: the constant.
    """

    def __init__(self, schedule: LearningRate, factor: float) -> None:
        self.schedule = schedule
        self.factor = factor

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """Returns the value at `step`, a float32 scalar."""
        rate = self.schedule(step) if callable(self.schedule) else self.schedule
        return self.factor * tf.cast(rate, tf.float32)

    def get_config(self) -> dict[str, object]:
        """Returns the constructor's arguments."""
        return {"schedule": self.schedule, "factor": self.factor}


@keras.saving.register_keras_serializable(package="urfr_tf")
class NamedSGDW(_SGDW):
    """SGD with decoupled weight decay that spares variables by name.

    tensorflow-addons compares references. Under MirroredStrategy it meets a mirrored variable's component,
    finds it in no list, and decays nothing. A name is the same on every replica. Batch norms, PReLU slopes
    and biases are spared.

    Args:
        weight_decay: the decoupled factor, a schedule or a number.
        layer_rates: name of a layer, with which its variables' names begin -> factor on the learning rate and
            on the decay, which follows it; 1 where it is not named.
        options: the other arguments of tensorflow-addons' SGDW.
    """

    _SPARED = ("gamma", "beta", "alpha", "bias")

    def __init__(
        self, weight_decay: LearningRate, layer_rates: dict[str, float] | None = None, **options: object
    ) -> None:
        super().__init__(weight_decay, **options)
        self.layer_rates = layer_rates or {}

    def get_config(self) -> dict[str, object]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "layer_rates": self.layer_rates}

    def _rate_of(self, var: tf.Variable) -> float:
        return self.layer_rates.get(var.name.split("/")[0], 1.0)

    def _do_use_weight_decay(self, var: tf.Variable) -> bool:
        return not any(word in var.name for word in self._SPARED)

    def _decay_weights_op(self, var: tf.Variable, apply_state: ApplyState | None = None) -> tf.Operation:
        rate = self._rate_of(var)
        if rate == 1.0 or not self._do_use_weight_decay(var):
            return super()._decay_weights_op(var, apply_state=apply_state)
        device, dtype = var.device, var.dtype.base_dtype
        state = (apply_state or {}).get((device, dtype)) or self._fallback_apply_state(device, dtype)
        return var.assign_sub(rate * state["wd_t"] * var, self._use_locking)

    def _resource_apply_dense(
        self, grad: tf.Tensor, var: tf.Variable, apply_state: ApplyState | None = None
    ) -> tf.Operation:
        # Momentum is linear in rate times gradient, so this is a learning rate of its own.
        rate = self._rate_of(var)
        scaled = grad if rate == 1.0 else grad * tf.cast(rate, grad.dtype)
        return super()._resource_apply_dense(scaled, var, apply_state=apply_state)


def sgdw(
    learning_rate: LearningRate,
    *,
    momentum: float,
    nesterov: bool,
    weight_decay: float,
    ema_decay: float = 0.0,
    layer_rates: dict[str, float] | None = None,
) -> keras.optimizers.legacy.Optimizer:
    """Builds SGD with momentum, decoupled weight decay, and optionally a moving average of the weights.

    Args:
        learning_rate: a schedule or a number.
        momentum: 0 <= momentum < 1.
        nesterov: whether the momentum looks ahead.
        weight_decay: in coupled units (the L2 factor of the usual SGD). Coupled decay acts through the
            momentum, 1 / (1 - momentum) times in all, so the decoupled factor is
            learning_rate * weight_decay / (1 - momentum).
        ema_decay: decay of the average per step; 0 for none.
        layer_rates: name of a layer -> factor on its learning rate and decay; 1 where it is not named.
    """
    decay = Scaled(learning_rate, weight_decay / (1.0 - momentum))
    optimizer = NamedSGDW(
        weight_decay=decay,
        learning_rate=learning_rate,
        momentum=momentum,
        nesterov=nesterov,
        layer_rates=layer_rates,
    )
    if ema_decay:
        optimizer = _MovingAverage(optimizer, average_decay=ema_decay)
    return optimizer


def progress_bar() -> keras.callbacks.Callback:
    """Builds the progress bar for a terminal: steps, rate and time left."""
    return _ProgressBar(epoch_bar_format="{n_fmt}/{total_fmt} {bar} {rate_fmt}, {remaining} left")
