"""SIGTERM, by which clusters announce that a machine is taken away: checkpoint, then a code of its own."""

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

import keras
import tensorflow as tf

from urfr_tf.errors import TryAgainError
from urfr_tf.training.callbacks import save_checkpoint


class Preemption:
    """Within its `with` block SIGTERM ends the process with `TryAgainError` as soon as nothing is lost by it.

    While `held` is set, as it is during `fit`, the signal is only noted, and whoever holds it asks `asked`.
    Signals reach the main thread only; in another one nothing is changed.
    """

    def __init__(self) -> None:
        self.asked = False
        self.held = False
        self._before: Any = None

    def __enter__(self) -> "Preemption":
        if threading.current_thread() is threading.main_thread():
            self._before = signal.getsignal(signal.SIGTERM) or signal.SIG_DFL
            self.listen()
        return self

    def listen(self) -> None:
        """Takes the signal (again): TensorFlow's coordination of several workers takes it for itself."""
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._received)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)

    def _received(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        if not self.held:
            raise TryAgainError("told to stop (SIGTERM) between steps; the same command continues")


class StopWhenAsked(keras.callbacks.Callback):
    """Saves after the step in which SIGTERM came, or after the epoch if it was its last, and stops.

    Args:
        preemption: what the signal is noted in.
        manager: of the checkpoints.
        epochs: of the whole run.
        agree: whether any worker was asked, from whether this one was; all workers must stop at the same step.
        every: in how many steps the workers ask one another.
    """

    def __init__(
        self,
        preemption: Preemption,
        manager: tf.train.CheckpointManager,
        epochs: int,
        agree: Callable[[bool], bool] = bool,
        every: int = 1,
    ) -> None:
        super().__init__()
        self.preemption = preemption
        self.manager = manager
        self.epochs = epochs
        self.agree = agree
        self.every = every

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """From now on there is something to save."""
        self.preemption.held = True
        self.preemption.listen()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """The end of an epoch is left to `on_epoch_end`, so that its row is in the log."""
        step = int(self.model.step.numpy())
        if batch + 1 < self.params["steps"] and step % self.every == 0 and self.agree(self.preemption.asked):
            save_checkpoint(self.manager, step)
            self._stop(step)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """To be called after the epoch's own checkpoint; the last epoch ends as if nothing had come."""
        if epoch + 1 < self.epochs and self.agree(self.preemption.asked):
            self._stop(int(self.model.step.numpy()))

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Outside `fit` the last checkpoint holds everything."""
        self.preemption.held = False

    def _stop(self, step: int) -> None:
        raise TryAgainError(
            f"told to stop (SIGTERM): checkpoint of step {step} saved; the same command continues"
        )
