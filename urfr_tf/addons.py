"""The one module that imports tensorflow-addons, which has reached its end of life.

Taken from it: SGD with decoupled weight decay, the moving average of weights, and the progress bar.
"""

import warnings

import keras
import tensorflow as tf

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its end-of-life notice, printed at every import
    import tensorflow_addons as tfa


@keras.saving.register_keras_serializable(package="urfr_tf")
class Scaled(tf.keras.optimizers.schedules.LearningRateSchedule):
    """A learning-rate schedule times a constant: decoupled weight decay must follow the rate."""

    def __init__(self, schedule: tf.keras.optimizers.schedules.LearningRateSchedule | float, factor: float):
        self.schedule = schedule
        self.factor = factor

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """The value at `step`, a float32 scalar."""
        rate = self.schedule(step) if callable(self.schedule) else self.schedule
        return self.factor * tf.cast(rate, tf.float32)

    def get_config(self) -> dict[str, object]:
        """The constructor's arguments."""
        return {"schedule": self.schedule, "factor": self.factor}


@keras.saving.register_keras_serializable(package="urfr_tf")
class NamedSGDW(tfa.optimizers.SGDW):
    """SGD with decoupled weight decay that spares variables by name.

    The original compares references: under MirroredStrategy it meets a mirrored variable's component,
    finds it in no list, and decays nothing. A name is the same on every replica. Batch norms, PReLU
    slopes and biases are spared.
    """

    _SPARED = ("gamma", "beta", "alpha", "bias")

    def _do_use_weight_decay(self, var: tf.Variable) -> bool:
        return not any(part in var.name for part in self._SPARED)


def sgdw(
    learning_rate: tf.keras.optimizers.schedules.LearningRateSchedule | float,
    *,
    momentum: float,
    nesterov: bool,
    weight_decay: float,
    ema_decay: float = 0.0,
) -> tf.keras.optimizers.legacy.Optimizer:
    """SGD with momentum and decoupled weight decay, and optionally a moving average of the weights.

    Args:
        learning_rate: a schedule or a number.
        momentum: 0 <= momentum < 1.
        nesterov: whether the momentum looks ahead.
        weight_decay: in coupled units (the L2 factor of the usual SGD). Coupled decay acts through the
            momentum, 1 / (1 - momentum) times in all, so the decoupled factor is
            learning_rate * weight_decay / (1 - momentum).
        ema_decay: decay of the average per step; 0 for none.
    """
    decay = Scaled(learning_rate, weight_decay / (1.0 - momentum))
    optimizer = NamedSGDW(
        weight_decay=decay, learning_rate=learning_rate, momentum=momentum, nesterov=nesterov
    )
    if ema_decay:
        optimizer = tfa.optimizers.MovingAverage(optimizer, average_decay=ema_decay, dynamic_decay=True)
    return optimizer


def progress_bar() -> tf.keras.callbacks.Callback:
    """The progress bar for a terminal: steps, rate, time left; the figures follow at the epoch's end."""
    return tfa.callbacks.TQDMProgressBar(
        show_overall_progress=False,
        epoch_bar_format="{n_fmt}/{total_fmt} {bar} {rate_fmt}, {remaining} left",
    )
