"""What goes wrong around a training: damaged shards and checkpoints, a full disk, Ctrl-C."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import forked
import pytest
from running import begun, start

from urfr_tf.cli import main
from urfr_tf.training.checkpoints import find_damage, list_checkpoints


def error_message(result):
    """The one sentence on standard error of a command that failed."""
    assert result.returncode == 1, result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    return result.stderr


def test_truncated_shard_is_refused_before_anything_starts(tiny_config, shards, tmp_path):
    copy = shutil.copytree(shards, tmp_path / "shards")
    shard = sorted(copy.glob("*.tfrecord"))[0]
    shard.write_bytes(shard.read_bytes()[:-10])
    message = error_message(start(tiny_config, tmp_path / "run", f"data.train={copy}"))
    assert shard.name in message
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_shard_with_a_flipped_byte_stops_training_with_a_sentence(tiny_config, shards, tmp_path):
    copy = shutil.copytree(shards, tmp_path / "shards")
    shard = sorted(copy.glob("*.tfrecord"))[0]
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 0xFF
    shard.write_bytes(bytes(content))
    message = error_message(start(tiny_config, tmp_path / "run", f"data.train={copy}"))
    assert "is damaged" in message
    assert "urfr inspect" in message


def test_one_class_only(tiny_config, people, tmp_path):
    alone = tmp_path / "people"
    shutil.copytree(people / "person_0", alone / "person_0")
    words = ["prepare", "--source", "folder", "--path", str(alone), "--out", str(tmp_path / "out")]
    assert "two people" in error_message(forked.run(main, words))


def test_torn_checkpoint_is_passed_over(tiny_config, tiny_run, tmp_path):
    """The newest is cut short: the one before is taken, and the end is the same."""
    run = shutil.copytree(tiny_run, tmp_path / "run")
    newest, before = list_checkpoints(str(run / "checkpoints"))[:2]
    data = Path(f"{newest}.data-00000-of-00001")
    data.write_bytes(data.read_bytes()[: data.stat().st_size // 2])
    assert find_damage(newest) is not None
    assert find_damage(before) is None
    result = start(tiny_config, run)
    assert result.returncode == 0, result.stderr
    assert "is damaged" in result.stderr
    assert f"resuming from {before}" in result.stdout
    assert find_damage(newest) is None


def test_checkpoint_of_another_model(tiny_config, tiny_run, tmp_path):
    run = shutil.copytree(tiny_run, tmp_path / "run")
    (run / "config.yaml").unlink()
    message = error_message(start(tiny_config, run, "model.width=0.25"))
    assert "does not fit the configured model" in message


@pytest.mark.skipif(os.geteuid() != 0, reason="a full disk needs a tiny tmpfs and so root")
def test_full_disk_keeps_the_last_good_checkpoint(tiny_config, tmp_path):
    """1.2 MB hold the first checkpoint (about half of it) but not all of them."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1200k", "tmpfs", str(disk)], check=False)
    if mounted.returncode:
        pytest.skip("mounting a tmpfs is not allowed here")
    try:
        message = error_message(start(tiny_config, disk / "run", "train.epochs=8"))
        good = list_checkpoints(str(disk / "run" / "checkpoints"))
        whole = [path for path in good if find_damage(path) is None]
        assert "could not write" in message or "disk is full" in message
        assert whole
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.slow
def test_ctrl_c_says_what_is_kept(tiny_config, tmp_path):
    run = tmp_path / "run"
    # It ends by the signal only, however late that comes.
    process = begun(tiny_config, run, "train.epochs=10000")
    deadline = time.monotonic() + 300
    while not (run / "log.csv").exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=100)
    assert process.returncode == 130
    assert "interrupted" in error
    assert "Traceback" not in error
