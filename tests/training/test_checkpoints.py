"""Checkpoints in a folder: their order, and which of them are damaged."""

import pytest
import tensorflow as tf

from urfr_tf.errors import UrfrError
from urfr_tf.files import encode_text, write_json
from urfr_tf.system.terminal import accept_any_name
from urfr_tf.training.checkpoints import (
    checkpoint_manager,
    describe_last_good,
    find_damage,
    list_checkpoints,
    restore_latest,
    save_checkpoint,
)


def test_newest_first_by_number_and_nothing_else(tmp_path):
    for name in (
        "step-9.index",
        "step-10.index",
        "step-10.data-00000-of-00001",
        "step-x.index",
        "checkpoint",
    ):
        (tmp_path / name).touch()
    assert list_checkpoints(str(tmp_path)) == [str(tmp_path / "step-10"), str(tmp_path / "step-9")]


@pytest.mark.parametrize("name", ["exp[1]", "a*?", "back\\slash", "caf\udce9", "-x # 'y'", "plain"])
def test_any_folder(tmp_path, name, capsys):
    """TensorFlow reads some names as patterns, and refuses those that are not UTF-8."""
    accept_any_name()
    value = tf.Variable(0)
    model = tf.Module()
    model.value, model.optimizer, model.second_optimizer = value, tf.Module(), None
    manager = checkpoint_manager(model, tmp_path / name, max_to_keep=2)
    for step in (1, 2, 3):
        value.assign(step)
        save_checkpoint(manager, step)
    folder = tmp_path / name / "checkpoints"
    assert list_checkpoints(str(folder)) == [str(folder / "step-3"), str(folder / "step-2")]
    assert describe_last_good(manager) == f"the last good checkpoint is {folder / 'step-3'}"
    value.assign(9)
    (folder / "step-3.data-00000-of-00001").write_bytes(b"")
    assert restore_latest(manager.checkpoint, str(folder)) == str(folder / "step-2")
    assert int(value) == 2
    shown = encode_text(str(folder / "step-3")).decode("utf-8")
    assert f"the checkpoint {shown} is damaged" in capsys.readouterr().err
    # A manager of a later process finds them, and removes the oldest.
    again = checkpoint_manager(model, tmp_path / name, max_to_keep=2)
    save_checkpoint(again, 4)
    assert (
        list_checkpoints(str(folder))[0] == str(folder / "step-4") and len(list_checkpoints(str(folder))) == 2
    )


@pytest.mark.parametrize("version", [None, "2.3.4"])
def test_a_checkpoint_of_another_network_and_of_another_tensorflow(tmp_path, version):
    model = tf.Module()
    model.value, model.optimizer, model.second_optimizer = tf.Variable([1.0, 2.0]), tf.Module(), None
    save_checkpoint(checkpoint_manager(model, tmp_path, max_to_keep=1), 1)
    write_json(tmp_path / "run.json", {"versions": {"tensorflow": version or tf.__version__}})
    model.value = tf.Variable([1.0, 2.0, 3.0])
    manager = checkpoint_manager(model, tmp_path, max_to_keep=1)
    with pytest.raises(UrfrError, match="does not fit the configured model: .*shape") as refused:
        restore_latest(manager.checkpoint, str(tmp_path / "checkpoints"))
    ending = f"; TensorFlow 2.3.4 wrote it, and this is {tf.__version__}"
    assert str(refused.value).endswith(ending) == bool(version)
    assert ("wrote it" in str(refused.value)) == bool(version)


def test_a_byte_that_changed_is_damage(tmp_path):
    path = tf.train.Checkpoint(value=tf.Variable(tf.range(100.0))).write(str(tmp_path / "step-1"))
    assert find_damage(path) is None
    data = tmp_path / "step-1.data-00000-of-00001"
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 0xFF
    data.write_bytes(bytes(content))
    assert find_damage(path) is not None
