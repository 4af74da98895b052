"""Finding the newest whole checkpoint, and restoring it."""

import sys
from pathlib import Path
from typing import Any

import tensorflow as tf

from urfr_tf.errors import UrfrError


def restore_latest(checkpoint: tf.train.Checkpoint, folder: str) -> str | None:
    """Restores the newest checkpoint that reads back whole; a torn one is named and passed over.

    Args:
        checkpoint: what to restore.
        folder: where the checkpoints are.

    Returns:
        The path that was restored, or None where there is no checkpoint.

    Raises:
        UrfrError: every checkpoint is torn, or they belong to another model.
    """
    paths = stored(folder)
    for path in paths:
        problem = damage(path)
        if problem:
            print(
                f"warning: the checkpoint {path} is damaged ({problem}); trying the one before",
                file=sys.stderr,
            )
            continue
        try:
            status = checkpoint.restore(path).assert_existing_objects_matched()
            # An optimizer takes its share when it makes its slots; one that never does is nothing to warn of.
            status.expect_partial()
        except (ValueError, AssertionError, tf.errors.OpError) as error:
            raise UrfrError(
                f"the checkpoint {path} does not fit the configured model: {str(error).splitlines()[0]}"
            ) from error
        return path
    if paths:
        raise UrfrError(f"none of the {len(paths)} checkpoints in {folder} reads back whole")
    return None


def stored(folder: str) -> list[str]:
    """Checkpoints that lie in a folder, newest first, whether or not its `checkpoint` file names them.

    TensorFlow renames a checkpoint's index into place first and names it in that file afterwards; a
    process killed in between would lose the newest one.
    """
    found = [path for path in Path(folder).glob("step-*.index") if path.stem.split("-")[-1].isdigit()]
    found.sort(key=lambda path: int(path.stem.split("-")[-1]), reverse=True)
    return [str(path.with_suffix("")) for path in found]


def damage(path: str) -> str | None:
    """Reads every tensor of a checkpoint (TensorFlow checks their CRC); what is wrong, or None."""
    try:
        reader: Any = tf.train.load_checkpoint(path)
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)
    except Exception as error:
        return (str(error).splitlines() or [type(error).__name__])[0]
    return None
