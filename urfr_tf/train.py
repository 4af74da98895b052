"""Training, in the order in which things happen; `python -m urfr_tf.train` is `urfr train`."""

import sys

if __name__ == "__main__":  # Before TensorFlow is imported, which reads its log level only once.
    from urfr_tf.cli import main
    from urfr_tf.system.quiet import leave_out_keras_3

    leave_out_keras_3()
    sys.exit(main(["train", *sys.argv[1:]]))

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path

import tensorflow as tf

from urfr_tf import keys
from urfr_tf.config.tree import Experiment
from urfr_tf.errors import TryAgainError, UrfrError, reason_of
from urfr_tf.keras2 import keras
from urfr_tf.metrics.arrays import Float32s
from urfr_tf.models.diagnose_nan import describe_non_finite
from urfr_tf.runs.epoch_log import EpochLog
from urfr_tf.runs.folder import INPUTS, check_run, collect_facts, write_run
from urfr_tf.runs.inputs import Inputs, check_inputs
from urfr_tf.system.quiet import quiet_compiler
from urfr_tf.training.addons import LearningRate, progress_bar
from urfr_tf.training.callbacks import AfterFirstStep, Checkpoint, LogEpoch, StopOnNonFinite, Validate
from urfr_tf.training.checkpoints import checkpoint_manager, describe_last_good, restore_latest
from urfr_tf.training.continuation import warn_of_changes
from urfr_tf.training.description import describe_training
from urfr_tf.training.optimizers import build_schedule
from urfr_tf.training.precision import resolve_precision
from urfr_tf.training.preemption import Preemption, StopOnPreemption
from urfr_tf.training.segments import Segment, split_into_segments
from urfr_tf.training.snapshot import Snapshot
from urfr_tf.training.strategy import set_up_strategy
from urfr_tf.training.tasks import attributes, recognition, uncertainty_stage
from urfr_tf.training.tasks.task import Task
from urfr_tf.training.workers import Workers

TASKS = {
    "recognition": recognition.build_task,
    "attributes": attributes.build_task,
    "uncertainty": uncertainty_stage.build_task,
}


@dataclasses.dataclass(frozen=True)
class Process:
    """One of the processes of a training.

    Attributes:
        run_dir: the run folder; its checkpoints are restored.
        write_dir: where this process writes; the run folder if it is the only process or the chief.
        strategy: the distribution strategy.
        workers: all processes of the training.
        preemption: notes whether SIGTERM came.
    """

    run_dir: Path
    write_dir: Path
    strategy: tf.distribute.Strategy
    workers: Workers
    preemption: Preemption


@dataclasses.dataclass(frozen=True)
class Loop:
    """What the calls of `fit` and their callbacks share.

    Attributes:
        config: the configuration, with a precision that is named.
        task: the model in training and what goes with it.
        schedule: the learning rate.
        steps_per_epoch: steps of an epoch.
        snapshot: the network as it would be served now.
        manager: saves the checkpoints.
    """

    config: Experiment
    task: Task
    schedule: LearningRate
    steps_per_epoch: int
    snapshot: Snapshot
    manager: tf.train.CheckpointManager


def train(config: Experiment, run_dir: str | Path) -> Path:
    """Trains a configuration, or continues the training in the run folder; returns the run folder.

    The batches are a function of the seed and the step, and the checkpoint holds everything else. An
    interrupted run therefore ends with the weights of an unbroken one.

    Raises:
        UrfrError: bad data, a run folder of another configuration, a loss that is not finite, or a full
            disk. What was finished is kept.
        TryAgainError: SIGTERM came and the checkpoint of the current step is saved, or another worker was
            lost.
    """
    run_dir = Path(run_dir)
    config, precision_reason = resolve_precision(config, run_dir)
    inputs = check_inputs(config)
    strategy = set_up_strategy(config.runtime, config.seed)
    quiet_compiler()
    workers = Workers(strategy)
    with Preemption() as preemption, workers.write_dir(run_dir) as write_dir:
        process = Process(run_dir, write_dir, strategy, workers, preemption)
        run_training(config, inputs, f"{config.runtime.precision}: {precision_reason}", process)
    return run_dir


def run_training(config: Experiment, inputs: Inputs, precision: str, process: Process) -> None:
    """Trains as `train` does.

    Args:
        config: the configuration, with a precision that is named.
        inputs: what it reads.
        precision: its precision and why it was chosen, for the log.
        process: this process.
    """
    before = check_run(process.run_dir, config, inputs)
    manifest = inputs.manifest
    steps_per_epoch = config.train.steps_per_epoch or inputs.steps_per_pass
    total_steps = steps_per_epoch * config.train.epochs
    description = describe_training(config, manifest, steps_per_epoch, process.strategy.num_replicas_in_sync)
    schedule = build_schedule(config.optimizer, total_steps)
    task = TASKS[config.task](config, manifest, schedule, process.strategy)

    snapshot = Snapshot(task.model, task.inference, task.inference_copy)
    manager = checkpoint_manager(task.model, process.write_dir, config.train.keep_checkpoints)
    restored = restore_latest(manager.checkpoint, str(process.run_dir / "checkpoints"))
    step = int(task.model.step.numpy())
    if restored and step >= total_steps:
        print(f"{process.run_dir} is complete: {step} steps; nothing to do")
        return
    if restored:
        print(f"resuming from {restored}: step {step} of {total_steps}")
        if before and process.workers.index == 0:
            warn_of_changes(before, config, steps_per_epoch, step)
    print(f"precision {precision}")
    print(description, flush=True)

    if not restored:
        begin_run(task, snapshot)
    loop = Loop(config, task, schedule, steps_per_epoch, snapshot, manager)
    facts = collect_facts(config, run_facts(inputs, total_steps, precision))
    callbacks = build_callbacks(loop, process, partial(write_run, process.write_dir, config, facts))
    for segment in split_into_segments(
        step, steps_per_epoch, config.train.epochs, config.train.freeze_backbone_epochs
    ):
        fit_segment(loop, process, callbacks, segment)
    if task.after_last_step:
        task.after_last_step()


def run_facts(inputs: Inputs, total_steps: int, precision: str) -> dict[str, object]:
    """Returns what run.json says of the data and of this training."""
    manifest = inputs.manifest
    return {
        "classes": manifest.classes,
        "images": manifest.images,
        "steps": total_steps,
        "precision": precision,
        "image_size": manifest.image_size,
        "template": manifest.raw.get("template"),
        INPUTS: inputs.digests,
    }


def begin_run(task: Task, snapshot: Snapshot) -> None:
    """Does what a task wants before the first step of a new run."""
    if task.before_first_step:
        snapshot.refresh()
        task.before_first_step(snapshot.embed)
    if task.measure and task.measure_first:
        snapshot.refresh()
        metrics = task.measure(snapshot.embed)
        print("before: " + ", ".join(f"{name} {value:.4g}" for name, value in metrics.items()))


def build_callbacks(
    loop: Loop, process: Process, claim: Callable[[], None]
) -> list[keras.callbacks.Callback]:
    """Builds the callbacks in the order in which they must act at the end of an epoch.

    Args:
        loop: what the calls of `fit` share.
        process: this process.
        claim: writes what makes the folder that of this run; called after the first step.
    """
    config, task, snapshot, manager = loop.config, loop.task, loop.snapshot, loop.manager
    callbacks: list[keras.callbacks.Callback] = [
        StopOnNonFinite(
            loop.steps_per_epoch,
            manager,
            lambda step: describe_non_finite(task.model, next(iter(task.batches(step - 1)))),
        ),
        AfterFirstStep(claim),
    ]
    if sys.stdout.isatty():  # Before `LogEpoch`, so that the bar's line is closed when that prints.
        callbacks.append(progress_bar())
    if task.measure:
        callbacks.append(Validate(snapshot, task.measure, config.train.validate_every, config.train.epochs))
    finished = int(task.model.step.numpy()) // loop.steps_per_epoch
    log = EpochLog(process.write_dir / "log.csv", finished)
    learned = config.task == "recognition" and config.confidence.learned
    callbacks.append(LogEpoch(log, loop.schedule, config.confidence.initial if learned else None))
    if config.train.tensorboard:
        from urfr_tf.training.tensorboard import WriteTensorBoard  # It imports matplotlib.

        folder = process.write_dir / "tensorboard"
        callbacks.append(WriteTensorBoard(folder, snapshot, sample_batch(task), config.variations))
    callbacks.append(Checkpoint(manager, snapshot, process.write_dir, config.train.checkpoint_steps))
    callbacks.append(StopOnPreemption(process.preemption, manager, config.train.epochs, process.workers))
    return callbacks


def sample_batch(task: Task) -> Callable[[], tuple[Float32s, Float32s]]:
    """Returns a function that gives images and variation labels of the first batch after augmentation."""

    def sample() -> tuple[Float32s, Float32s]:
        inputs, targets = next(iter(task.batches(0)))
        return inputs[keys.IMAGE].numpy(), targets[keys.VARIATION].numpy()

    return sample


def fit_segment(
    loop: Loop, process: Process, callbacks: list[keras.callbacks.Callback], segment: Segment
) -> None:
    """Trains the epochs of one segment.

    Raises:
        UrfrError: a step failed; the message names the last good checkpoint.
        TryAgainError: another worker was lost, or SIGTERM came.
    """
    task, workers = loop.task, process.workers
    frozen_epochs = loop.config.train.freeze_backbone_epochs
    if task.freeze_backbone and frozen_epochs:
        task.freeze_backbone(segment.first_epoch < frozen_epochs)
    with process.strategy.scope():
        task.model.make_slots()
    try:
        task.model.fit(
            workers.distribute(partial(task.batches, int(task.model.step.numpy()))),
            initial_epoch=segment.first_epoch,
            epochs=segment.end_epoch,
            steps_per_epoch=segment.steps,
            callbacks=callbacks,
            verbose=0,
        )
    except tf.errors.OpError as error:
        if workers.is_loss(error):
            raise lost_worker_error(error) from error
        raise step_error(error, loop.config.data.train, loop.manager) from error
    except UrfrError as error:
        if error.__cause__ is not None and workers.is_loss(error.__cause__):
            raise lost_worker_error(error.__cause__) from error
        raise


def lost_worker_error(cause: BaseException) -> TryAgainError:
    """Returns what is raised where another worker is gone."""
    return TryAgainError(
        f"another worker was lost ({reason_of(cause)}); the same command on all workers continues"
    )


def step_error(error: tf.errors.OpError, shards: str, manager: tf.train.CheckpointManager) -> UrfrError:
    """Returns what is raised where TensorFlow fails in a step, with the checkpoint to continue from."""
    reason, checkpoint = reason_of(error), describe_last_good(manager)
    if isinstance(error, tf.errors.DataLossError):
        return UrfrError(
            f"a shard in {shards} is damaged ({reason}); {checkpoint}; 'urfr inspect {shards}' names it"
        )
    return UrfrError(f"training stopped: {reason}; {checkpoint}")
