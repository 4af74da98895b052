"""What happens around `model.fit`: stop on a non-finite loss, validate, log, checkpoint.

The order in `train.py` matters: validation fills the logs, then they are written, then the checkpoint
says that the epoch is done.
"""

import math
import sys
import time
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from urfr_tf.errors import UrfrError
from urfr_tf.runs.folder import EpochLog
from urfr_tf.training.optimizers import rate_at
from urfr_tf.training.snapshot import Snapshot


class StopOnNonFinite(keras.callbacks.Callback):
    """Raises at the first batch whose loss is not finite, and names the layer; nothing is saved after it.

    Args:
        steps_per_epoch: steps of an epoch.
        last_good: the path of the last checkpoint, or None.
        culprit: step -> what was not finite in the step that led there.
    """

    def __init__(
        self, steps_per_epoch: int, last_good: Callable[[], str | None], culprit: Callable[[int], str]
    ) -> None:
        super().__init__()
        self.steps_per_epoch = steps_per_epoch
        self.last_good = last_good
        self.culprit = culprit

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Looks at the running means: once one is not finite it stays so."""
        bad = [name for name, value in (logs or {}).items() if not math.isfinite(value)]
        if bad:
            step = int(self.model.step.numpy())
            epoch, number = divmod(step - 1, self.steps_per_epoch)
            good = self.last_good()
            kept = f"the last good checkpoint is {good}" if good else "there was no checkpoint yet"
            raise UrfrError(
                f"{', '.join(bad)} not finite at step {step} (epoch {epoch + 1}, batch {number + 1} of "
                f"{self.steps_per_epoch}): {self.culprit(step)}; {kept}; lower optimizer.learning_rate, set optimizer.clip_norm, "
                "or hold the confidences longer (confidence.hold_steps)"
            )


class Validate(keras.callbacks.Callback):
    """Puts `val_*` metrics of a verification protocol on people outside training into the logs."""

    def __init__(
        self,
        snapshot: Snapshot,
        measure: Callable[[Callable[..., Any]], dict[str, float]],
        every: int,
        last: int,
    ) -> None:
        super().__init__()
        self.snapshot = snapshot
        self.measure = measure
        self.every = every
        self.last = last

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Measures at every `every`-th epoch and at the last."""
        if logs is not None and ((epoch + 1) % self.every == 0 or epoch + 1 == self.last):
            self.snapshot.refresh()
            logs.update({f"val_{name}": value for name, value in self.measure(self.snapshot.embed).items()})


class LogEpoch(keras.callbacks.Callback):
    """One row of log.csv and one plain line an epoch; names a collapse of the confidences."""

    SHOWN = ("loss", "identification", "accuracy", "confidence_mean")

    def __init__(self, log: EpochLog, schedule: Any, initial: float | None) -> None:
        """`initial` is the start of the confidences where they are learned, else None."""
        super().__init__()
        self.log = log
        self.schedule = schedule
        self.initial = initial
        self.started = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Starts the clock."""
        self.started = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes the row; warns where s has fallen to a tenth of its start."""
        logs = logs if logs is not None else {}
        step = int(self.model.step.numpy())
        # With several workers Keras adds up what each of them logged; the metrics themselves are right.
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
    """Saves everything that training depends on at each epoch, and every `every` steps if asked for."""

    def __init__(
        self, manager: tf.train.CheckpointManager, snapshot: Snapshot, run_dir: Any, every: int
    ) -> None:
        super().__init__()
        self.manager = manager
        self.snapshot = snapshot
        self.run_dir = run_dir
        self.every = every

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Saves inside an epoch; its last step is left to `on_epoch_end`, so that its row is in the log."""
        inside = batch + 1 < self.params["steps"]
        if inside and self.every and int(self.model.step.numpy()) % self.every == 0:
            save_checkpoint(self.manager, int(self.model.step.numpy()))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Saves the inference weights, then the checkpoint that says the epoch is done."""
        self.snapshot.refresh()
        self.snapshot.save(self.run_dir)
        save_checkpoint(self.manager, int(self.model.step.numpy()))


def save_checkpoint(manager: tf.train.CheckpointManager, step: int) -> None:
    """Saves; the checkpoint before stays valid when this one fails.

    Raises:
        UrfrError: the checkpoint could not be written (disk full, no permission).
    """
    try:
        manager.save(checkpoint_number=step)
    except (tf.errors.OpError, OSError) as error:
        reason = str(getattr(error, "message", error)).splitlines()[0]
        good = manager.latest_checkpoint
        raise UrfrError(
            f"could not write the checkpoint of step {step} in {manager.directory}: {reason}; "
            + (f"the last good checkpoint is {good}" if good else "there is no earlier one")
        ) from error
