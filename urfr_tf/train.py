"""Training, in the order in which things happen; `python -m urfr_tf.train` is `urfr train`."""

import sys

if __name__ == "__main__":  # Before TensorFlow is imported, which reads its log level only once.
    from urfr_tf.cli import main

    sys.exit(main(["train", *sys.argv[1:]]))

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from urfr_tf import keys
from urfr_tf.config.tree import Experiment
from urfr_tf.data.manifest import Manifest, load_manifest
from urfr_tf.data.stream.pipeline import steps_per_pass
from urfr_tf.errors import TryAgainError, UrfrError, reason_of
from urfr_tf.models.diagnose_nan import non_finite
from urfr_tf.runs.folder import EpochLog, open_run
from urfr_tf.system.quiet import quiet_compiler
from urfr_tf.training.addons import progress_bar
from urfr_tf.training.batch_layout import spell_batch
from urfr_tf.training.callbacks import Checkpoint, LogEpoch, StopOnNonFinite, Validate
from urfr_tf.training.checkpoints import restore_latest
from urfr_tf.training.optimizers import build_schedule
from urfr_tf.training.precision import resolve
from urfr_tf.training.preemption import Preemption, StopWhenAsked
from urfr_tf.training.snapshot import Snapshot
from urfr_tf.training.strategy import set_up
from urfr_tf.training.tasks import attributes, recognition
from urfr_tf.training.tasks import uncertainty_stage as uncertainty
from urfr_tf.training.tasks.task import Parts
from urfr_tf.training.workers import Workers

TASKS = {
    "recognition": recognition.build,
    "attributes": attributes.build,
    "uncertainty": uncertainty.build,
}


def train(config: Experiment, run_dir: str | Path) -> Path:
    """Trains, or goes on with what the run folder holds; returns the run folder.

    The batches are a function of the seed and the step, and the checkpoint holds everything else, so
    an interrupted run ends with the weights of an unbroken one.

    Raises:
        UrfrError: bad data, a run folder of another configuration, a loss that is not finite, a full
            disk. What was finished is kept.
        TryAgainError: SIGTERM came, and the checkpoint of the step at hand is saved; or another worker is
            gone.
    """
    run_dir = Path(run_dir)
    config, why = resolve(config, run_dir)
    strategy = set_up(config.runtime, config.seed)
    quiet_compiler()
    workers = Workers(strategy)
    with Preemption() as preemption, workers.folder(run_dir) as own:
        _train(config, why, strategy, workers, preemption, run_dir, own)
    return run_dir


def _train(
    config: Experiment,
    why: str,
    strategy: tf.distribute.Strategy,
    workers: Workers,
    preemption: Preemption,
    run_dir: Path,
    own: Path,
) -> None:
    """As `train`.

    Args:
        config: with a precision that is named.
        why: it is that precision.
        strategy: that is set up.
        workers: the processes.
        preemption: what SIGTERM is noted in.
        run_dir: where the checkpoints to be restored are.
        own: where this process writes; the run folder if it is the only one or the chief.
    """
    manifest = load_manifest(config.data.train)
    if manifest.classes < 2:
        raise UrfrError(
            f"expected at least two identities in {config.data.train}, but it holds {manifest.classes}"
        )
    groups = config.uncertainty.grouping if config.task == "uncertainty" else {}
    steps_per_epoch = config.train.steps_per_epoch or steps_per_pass(
        config.data.train, config.data.batch_size, parts=config.data.worker_shares, **groups
    )
    total_steps = steps_per_epoch * config.train.epochs
    description = describe(config, manifest, steps_per_epoch, strategy.num_replicas_in_sync)
    schedule = build_schedule(config.optimizer, total_steps)
    parts = TASKS[config.task](config, manifest, schedule, strategy)
    facts: dict[str, Any] = {"classes": manifest.classes, "images": manifest.images, "steps": total_steps}
    facts |= {"precision": f"{config.runtime.precision}: {why}"}
    facts |= {"image_size": manifest.image_size, "template": manifest.raw.get("template")}
    open_run(own, config, facts)

    model = parts.model
    snapshot = Snapshot(model, parts.shared, parts.fresh)
    checkpoint = tf.train.Checkpoint(model=model, optimizer=model.optimizer)
    if model.second_optimizer is not None:
        checkpoint.second_optimizer = model.second_optimizer
    manager = tf.train.CheckpointManager(
        checkpoint,
        str(own / "checkpoints"),
        max_to_keep=config.train.keep_checkpoints,
        checkpoint_name="step",
    )
    restored = restore_latest(checkpoint, str(run_dir / "checkpoints"))
    step = int(model.step.numpy())
    if restored and step >= total_steps:
        print(f"{run_dir} is complete: {step} steps; nothing to do")
        return
    if restored:
        print(f"resuming from {restored}: step {step} of {total_steps}")
    print(f"precision {config.runtime.precision}: {why}")
    print(description, flush=True)

    if parts.begin and not restored:
        snapshot.refresh()
        parts.begin(snapshot.embed)
    if parts.measure and parts.measure_first and not restored:
        snapshot.refresh()
        print(f"before: {_spell(parts.measure(snapshot.embed))}")
    callbacks = build_callbacks(config, parts, schedule, snapshot, manager, own, steps_per_epoch)
    callbacks.append(
        StopWhenAsked(preemption, manager, config.train.epochs, workers.any, workers.check_steps)
    )
    frozen = config.train.freeze_backbone_epochs
    for initial, last, steps in segments(step, steps_per_epoch, config.train.epochs, frozen):
        if frozen:
            model.freeze_backbone(initial < frozen)
        with strategy.scope():
            model.make_slots()
        try:
            model.fit(
                workers.batches(partial(parts.batches, int(model.step.numpy()))),
                initial_epoch=initial,
                epochs=last,
                steps_per_epoch=steps,
                callbacks=callbacks,
                verbose=0,
            )
        except (tf.errors.OpError, UrfrError) as error:
            cause = error.__cause__ if isinstance(error, UrfrError) else error
            if cause is not None and workers.lost(cause):
                raise TryAgainError(
                    f"another worker was lost ({reason_of(cause)}); the same command on all workers continues"
                ) from error
            if isinstance(error, UrfrError):
                raise
            raise UrfrError(_plain(error, config.data.train, manager.latest_checkpoint)) from error
    if parts.after:
        parts.after()


def _spell(values: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in values.items())


def _plain(error: tf.errors.OpError, shards: str, good: str | None) -> str:
    kept = f"the last good checkpoint is {good}" if good else "there was no checkpoint yet"
    if isinstance(error, tf.errors.DataLossError):
        return (
            f"a shard in {shards} is damaged ({reason_of(error)}); {kept}; 'urfr inspect {shards}' names it"
        )
    return f"training stopped: {reason_of(error)}; {kept}"


def build_callbacks(
    config: Experiment,
    parts: Parts,
    schedule: Any,
    snapshot: Snapshot,
    manager: tf.train.CheckpointManager,
    run_dir: Path,
    steps_per_epoch: int,
) -> list[keras.callbacks.Callback]:
    """Callbacks in the order in which they must act at the end of an epoch."""
    callbacks: list[keras.callbacks.Callback] = [
        StopOnNonFinite(
            steps_per_epoch,
            lambda: manager.latest_checkpoint,
            lambda step: non_finite(parts.model, next(iter(parts.batches(step - 1)))),
        )
    ]
    if sys.stdout.isatty():  # First, so that its line is closed before the epoch's figures are printed.
        callbacks.append(progress_bar())
    if parts.measure:
        callbacks.append(Validate(snapshot, parts.measure, config.train.validate_every, config.train.epochs))
    finished = int(parts.model.step.numpy()) // steps_per_epoch
    log = EpochLog(run_dir / "log.csv", finished)
    learned = config.task == "recognition" and config.confidence.learned
    initial = config.confidence.initial if learned else None
    callbacks.append(LogEpoch(log, schedule, initial))
    if config.train.tensorboard:
        from urfr_tf.training.tensorboard import WriteTensorBoard  # brings matplotlib

        callbacks.append(
            WriteTensorBoard(run_dir / "tensorboard", snapshot, sample_batch(parts), config.variations)
        )
    callbacks.append(Checkpoint(manager, snapshot, run_dir, config.train.checkpoint_steps))
    return callbacks


def sample_batch(parts: Parts) -> Callable[[], tuple[np.ndarray, np.ndarray]]:
    """A function that gives the first training batch after augmentation: images, variation labels."""

    def sample() -> tuple[np.ndarray, np.ndarray]:
        inputs, targets = next(iter(parts.batches(0)))
        return inputs[keys.IMAGE].numpy(), targets[keys.VARIATION].numpy()

    return sample


def segments(step: int, steps_per_epoch: int, epochs: int, frozen: int = 0) -> list[tuple[int, int, int]]:
    """(initial_epoch, epochs, steps_per_epoch) of each call of fit.

    The rest of a broken epoch comes first; no call goes over the end of the first `frozen` epochs.
    """
    epoch, inside = divmod(step, steps_per_epoch)
    calls = []
    if inside:
        calls.append((epoch, epoch + 1, steps_per_epoch - inside))
        epoch += 1
    for end in sorted({min(frozen, epochs), epochs}):
        if epoch < end:
            calls.append((epoch, end, steps_per_epoch))
            epoch = end
    return calls


def describe(config: Experiment, manifest: Manifest, steps_per_epoch: int, replicas: int) -> str:
    """What is about to be trained, in one line."""
    model = config.model
    network = f"{model.backbone} at {model.input_size} px, D {model.embedding_dim}, K {model.groups}"
    if config.task == "attributes":
        network = f"theta_A at {model.input_size} px for {', '.join(config.attribute_targets)}"
    return (
        f"training {config.name}: {manifest.images} images of {manifest.classes} identities, {network}, "
        f"{config.runtime.precision}, {spell_batch(config, replicas)}, "
        f"{config.train.epochs} epochs of {steps_per_epoch} steps"
    )
