"""What happens around `model.fit`: stop on a non-finite loss, validate, log, save a checkpoint.

The order in `train.py` matters. Validation fills the logs, then they are written, and the checkpoint comes
last because it says that the epoch is done.
"""

import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import tensorflow as tf

from urfr_tf.errors import UrfrError
from urfr_tf.keras2 import keras
from urfr_tf.runs.epoch_log import EpochLog
from urfr_tf.training.addons import LearningRate
from urfr_tf.training.checkpoints import describe_last_good, save_checkpoint
from urfr_tf.training.optimizers import rate_at
from urfr_tf.training.snapshot import Snapshot
from urfr_tf.training.tasks.task import Measure

# What Keras hands to a callback: the means of the epoch so far by their names.
Logs: TypeAlias = dict[str, float]


class StopOnNonFinite(keras.callbacks.Callback):
    """Raises at the first batch whose loss is not finite, and names the layer. Nothing is saved after it.

    Args:
        steps_per_epoch: steps of an epoch.
        manager: saves the checkpoints; the message names its last one.
        diagnose: step -> what was not finite in the step that led there.
    """

    def __init__(
        self, steps_per_epoch: int, manager: tf.train.CheckpointManager, diagnose: Callable[[int], str]
    ) -> None:
        super().__init__()
        self.steps_per_epoch = steps_per_epoch
        self.manager = manager
        self.diagnose = diagnose

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Looks at the running means: once one of them is not finite, it stays so."""
        bad = [name for name, value in (logs or {}).items() if not math.isfinite(value)]
        if bad:
            step = int(self.model.step.numpy())
            epoch, number = divmod(step - 1, self.steps_per_epoch)
            raise UrfrError(
                f"{', '.join(bad)} not finite at step {step} (epoch {epoch + 1}, batch {number + 1} of "
                f"{self.steps_per_epoch}): {self.diagnose(step)}; {describe_last_good(self.manager)}; "
                "lower optimizer.learning_rate, set optimizer.clip_norm, or hold the confidences longer "
                "(confidence.hold_steps)"
            )


class AfterFirstStep(keras.callbacks.Callback):
    """Does something once, when the first step of this process is done.

    Args:
        act: what to do.
    """

    def __init__(self, act: Callable[[], None]) -> None:
        super().__init__()
        self.act = act
        self.done = False

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Acts at the first call."""
        if not self.done:
            self.act()
            self.done = True


class Validate(keras.callbacks.Callback):
    """Puts the task's metrics of the validation set into the logs, as `val_*`.

    Args:
        snapshot: the network as it would be served now.
        measure: takes the metrics.
        every: it is called after every so many epochs.
        last: the last epoch, after which it is called as well.
    """

    def __init__(self, snapshot: Snapshot, measure: Measure, every: int, last: int) -> None:
        super().__init__()
        self.snapshot = snapshot
        self.measure = measure
        self.every = every
        self.last = last

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Measures after every `every`-th epoch and after the last."""
        if logs is not None and ((epoch + 1) % self.every == 0 or epoch + 1 == self.last):
            self.snapshot.refresh()
            metrics = self.measure(self.snapshot.embed)
            logs.update({f"val_{name}": value for name, value in metrics.items()})


class LogEpoch(keras.callbacks.Callback):
    """Writes a row of log.csv and prints a line for each epoch, and warns when the confidences collapse.

    Args:
        log: writes log.csv.
        schedule: the learning rate.
        initial: what the confidences start with, or None where they are not learned.
    """

    SHOWN = ("loss", "identification", "accuracy", "confidence_mean")

    def __init__(self, log: EpochLog, schedule: LearningRate, initial: float | None) -> None:
        super().__init__()
        self.log = log
        self.schedule = schedule
        self.initial = initial
        self.started = 0.0

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Starts the clock."""
        self.started = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Writes the row, and warns where the mean confidence has fallen to a tenth of its start."""
        logs = logs if logs is not None else {}
        step = int(self.model.step.numpy())
        # With several workers Keras adds up what each of them logged. The metrics themselves are right.
        logs.update({name: float(mean.result()) for name, mean in self.model.means.items()})
        scalars, columns = self.model.log_values()
        logs.update(scalars)
        logs["learning_rate"] = rate_at(self.schedule, step)
        values = {name: round(float(value), 6) for name, value in (logs | columns).items()}
        seconds = round(time.monotonic() - self.started, 3)
        self.log.add({"epoch": epoch + 1, "step": step, **values, "seconds": seconds})
        shown = [n for n in logs if n in self.SHOWN or n.startswith("val_")]
        words = [f"{name} {logs[name]:.4g}" for name in shown]
        print(f"epoch {epoch + 1}: {', '.join(words)}, {seconds:.1f} s", flush=True)
        if self.initial and logs["confidence_mean"] < 0.1 * self.initial:
            print(
                f"warning: the confidences collapsed, mean s {logs['confidence_mean']:.3g} after a start of "
                f"{self.initial:.3g}; hold them longer (confidence.hold_steps), lower confidence.rate, "
                "or lower loss.regularizer",
                file=sys.stderr,
            )


class Checkpoint(keras.callbacks.Callback):
    """Saves everything that training depends on after each epoch, and after every so many steps.

    Args:
        manager: saves the checkpoints.
        snapshot: the network as it would be served now.
        write_dir: where its weights are saved.
        every: steps between checkpoints inside an epoch; 0 for none.
    """

    def __init__(
        self, manager: tf.train.CheckpointManager, snapshot: Snapshot, write_dir: Path, every: int
    ) -> None:
        super().__init__()
        self.manager = manager
        self.snapshot = snapshot
        self.write_dir = write_dir
        self.every = every

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Saves inside an epoch. Its last step is left to `on_epoch_end`, so that its row is in the log."""
        step = int(self.model.step.numpy())
        if batch + 1 < self.params["steps"] and self.every and step % self.every == 0:
            save_checkpoint(self.manager, step)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Saves the inference weights, then the checkpoint that says the epoch is done."""
        self.snapshot.refresh()
        self.snapshot.save(self.write_dir)
        save_checkpoint(self.manager, int(self.model.step.numpy()))
