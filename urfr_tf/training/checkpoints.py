"""Checkpoints of a training: what they hold, saving them, and restoring the newest whole one."""

import os
import sys
from pathlib import Path

import tensorflow as tf

from urfr_tf.errors import UrfrError, reason_of
from urfr_tf.runs.folder import name_other_tensorflow
from urfr_tf.system.plain_paths import plain_path, real_path
from urfr_tf.training.tasks.task import TrainingModel


def checkpoint_manager(model: TrainingModel, write_dir: Path, max_to_keep: int) -> tf.train.CheckpointManager:
    """Returns what saves the model and its optimizers as `checkpoints/step-N` in a folder."""
    checkpoint = tf.train.Checkpoint(model=model, optimizer=model.optimizer)
    if model.second_optimizer is not None:
        checkpoint.second_optimizer = model.second_optimizer
    folder = write_dir / "checkpoints"
    folder.mkdir(parents=True, exist_ok=True)
    return tf.train.CheckpointManager(
        checkpoint, plain_path(folder), max_to_keep=max_to_keep, checkpoint_name="step"
    )


def save_checkpoint(manager: tf.train.CheckpointManager, step: int) -> None:
    """Saves the checkpoint of a step. The one before stays valid when this one fails.

    Raises:
        UrfrError: the checkpoint could not be written (disk full, no permission).
    """
    try:
        manager.save(checkpoint_number=step)
    except (tf.errors.OpError, OSError) as error:
        raise UrfrError(
            f"could not write the checkpoint of step {step} in {real_path(manager.directory)}: "
            f"{reason_of(error)}; {describe_last_good(manager)}"
        ) from error


def restore_latest(checkpoint: tf.train.Checkpoint, folder: str) -> str | None:
    """Restores the newest checkpoint that reads back whole. A damaged one is named and skipped.

    Args:
        checkpoint: what to restore.
        folder: the folder of the checkpoints, in that of the run.

    Returns:
        The path that was restored, or None where there is no checkpoint.

    Raises:
        UrfrError: every checkpoint is damaged, or they belong to another model.
    """
    paths = list_checkpoints(folder)
    for path in paths:
        damage = find_damage(path)
        if damage:
            print(
                f"warning: the checkpoint {path} is damaged ({damage}); trying the one before",
                file=sys.stderr,
            )
            continue
        try:
            status = checkpoint.restore(_plain_prefix(path)).assert_existing_objects_matched()
            # An optimizer restores its slots when it creates them. One that never does is nothing to warn of.
            status.expect_partial()
        except (ValueError, AssertionError, tf.errors.OpError) as error:
            other = name_other_tensorflow(Path(folder).parent)
            raise UrfrError(
                f"the checkpoint {path} does not fit the configured model: {reason_of(error)}{other}"
            ) from error
        return path
    if paths:
        raise UrfrError(f"none of the {len(paths)} checkpoints in {folder} reads back whole")
    return None


def describe_last_good(manager: tf.train.CheckpointManager) -> str:
    """Returns which checkpoint a training that failed can continue from."""
    path = manager.latest_checkpoint
    return f"the last good checkpoint is {real_path(path)}" if path else "there was no checkpoint yet"


def list_checkpoints(folder: str) -> list[str]:
    """Returns the checkpoints in a folder, newest first, whether or not its `checkpoint` file names them.

    TensorFlow renames a checkpoint's index into place first and names it in that file afterwards. A process
    killed in between would lose the newest one.
    """
    indices = [path for path in Path(folder).glob("step-*.index") if path.stem.split("-")[-1].isdigit()]
    indices.sort(key=lambda path: int(path.stem.split("-")[-1]), reverse=True)
    return [str(path.with_suffix("")) for path in indices]


def find_damage(path: str) -> str | None:
    """Reads every tensor of a checkpoint, whose CRC TensorFlow checks; returns what is wrong, or None."""
    try:
        reader = tf.train.load_checkpoint(_plain_prefix(path))
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)
    except Exception as error:  # Whatever TensorFlow raises on damage is the answer here.
        return reason_of(error)
    return None


def _plain_prefix(path: str) -> str:
    """The path of a checkpoint without its endings, as TensorFlow takes it."""
    folder, name = os.path.split(path)
    return os.path.join(plain_path(folder or os.curdir), name)
