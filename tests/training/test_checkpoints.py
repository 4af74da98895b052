"""Checkpoints in a folder: their order, and which of them are damaged."""

import tensorflow as tf

from urfr_tf.training.checkpoints import find_damage, list_checkpoints


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


def test_a_byte_that_changed_is_damage(tmp_path):
    path = tf.train.Checkpoint(value=tf.Variable(tf.range(100.0))).write(str(tmp_path / "step-1"))
    assert find_damage(path) is None
    data = tmp_path / "step-1.data-00000-of-00001"
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 0xFF
    data.write_bytes(bytes(content))
    assert find_damage(path) is not None
