"""SIGTERM, by which clusters announce that a machine is taken away: save a checkpoint, then exit with 75."""

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType

import tensorflow as tf

from urfr_tf.errors import TryAgainError
from urfr_tf.keras2 import keras
from urfr_tf.training.callbacks import Logs
from urfr_tf.training.checkpoints import save_checkpoint
from urfr_tf.training.workers import Workers


class Preemption:
    """Turns SIGTERM into `TryAgainError` within its `with` block, at a moment when no work is lost.

    Python handles signals in the main thread only. In another thread nothing is changed.

    Attributes:
        requested: whether SIGTERM came.
        deferred: whether the signal is only noted, as during `fit`. `StopOnPreemption` then asks `requested`
            after each step. Otherwise the signal raises at once.
    """

    def __init__(self) -> None:
        self.requested = False
        self.deferred = False
        self._previous: Callable[[int, FrameType | None], object] | int | None = None

    def __enter__(self) -> "Preemption":
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.getsignal(signal.SIGTERM) or signal.SIG_DFL
            self.listen()
        return self

    def listen(self) -> None:
        """Installs the handler, again after TensorFlow's coordination of several workers has replaced it."""
        if self._previous is not None:
            signal.signal(signal.SIGTERM, self._receive)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGTERM, self._previous)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.requested = True
        if not self.deferred:
            raise TryAgainError("told to stop (SIGTERM) between steps; the same command continues")


class StopOnPreemption(keras.callbacks.Callback):
    """Saves a checkpoint after the step in which SIGTERM came, and stops.

    After the last step of an epoch, the checkpoint of the epoch is saved already. All workers stop at the
    same step.

    Args:
        preemption: notes whether SIGTERM came.
        manager: saves the checkpoints.
        epochs: epochs of the whole training.
        workers: the processes of the training.
    """

    def __init__(
        self, preemption: Preemption, manager: tf.train.CheckpointManager, epochs: int, workers: Workers
    ) -> None:
        super().__init__()
        self.preemption = preemption
        self.manager = manager
        self.epochs = epochs
        self.workers = workers

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Defers the signal, because from now on there is something to save."""
        self.preemption.deferred = True
        self.preemption.listen()

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Saves and stops inside an epoch.

        Its end is left to `on_epoch_end`, so that the row of the epoch is in the log.
        """
        step = int(self.model.step.numpy())
        inside = batch + 1 < self.params["steps"]
        if inside and step % self.workers.check_steps == 0 and self._is_requested():
            save_checkpoint(self.manager, step)
            self._stop(step)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Stops after the checkpoint of the epoch, but not after the last epoch."""
        if epoch + 1 < self.epochs and self._is_requested():
            self._stop(int(self.model.step.numpy()))

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Lets the signal act at once again: outside `fit` the last checkpoint holds everything."""
        self.preemption.deferred = False

    def _is_requested(self) -> bool:
        return self.workers.any_true(self.preemption.requested)

    def _stop(self, step: int) -> None:
        raise TryAgainError(
            f"told to stop (SIGTERM): checkpoint of step {step} saved; the same command continues"
        )
