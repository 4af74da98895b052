"""Training for real, in processes: killed and resumed, on one and two devices, stopped by NaN."""

import csv
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from urfr_tf.train import segments

ROOT = Path(__file__).resolve().parents[1]


def command(config, run, *overrides):
    sets = [part for override in overrides for part in ("--set", override)]
    return [sys.executable, "-m", "urfr_tf.train", "--config", str(config), "--run-dir", str(run), *sets]


def start(config, run, *overrides):
    return subprocess.run(
        command(config, run, *overrides), cwd=ROOT, capture_output=True, text=True, timeout=400
    )


def state(run):
    """Every tensor of the newest checkpoint: weights, momenta, averages, masks, counters."""
    reader = tf.train.load_checkpoint(tf.train.latest_checkpoint(str(run / "checkpoints")))
    # Running means of the log start anew at each epoch; the counter counts saves, not steps.
    passing = (
        "_CHECKPOINTABLE_OBJECT_GRAPH",
        "save_counter",
        "model/means",
        "model/moments",
        "model/readable",
    )
    names = [n for n in reader.get_variable_to_shape_map() if not n.startswith(passing)]
    return {name: reader.get_tensor(name) for name in names}


def rows(run):
    with open(run / "log.csv", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("checkpoint_steps", [4, pytest.param(0, marks=pytest.mark.slow)])
def test_killed_in_epoch_two_ends_with_the_same_state_bit_for_bit(
    tiny_config, tiny_run, tmp_path, checkpoint_steps
):
    """kill -9 in epoch 2; with checkpoint_steps the run goes on inside the epoch."""
    run = tmp_path / "broken"
    process = subprocess.Popen(
        command(tiny_config, run, f"train.checkpoint_steps={checkpoint_steps}"),
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wanted = run / "checkpoints" / f"step-{12 if checkpoint_steps else 10}.index"
    deadline = time.monotonic() + 300
    while not wanted.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "the run ended before it could be killed"
    assert len(rows(run)) < 3
    again = start(tiny_config, run, f"train.checkpoint_steps={checkpoint_steps}")
    assert again.returncode == 0, again.stderr
    assert "resuming from" in again.stdout
    unbroken, resumed = state(tiny_run), state(run)
    assert unbroken.keys() == resumed.keys()
    assert len([n for n in unbroken if "momentum" in n]) > 10
    assert len([n for n in unbroken if "average" in n]) > 10
    assert any("masks" in n for n in unbroken)
    for name, value in unbroken.items():
        np.testing.assert_array_equal(resumed[name], value, err_msg=name)
    assert [row["epoch"] for row in rows(run)] == ["1", "2", "3"]
    assert rows(run)[2]["loss"] == rows(tiny_run)[2]["loss"]


def test_finished_run_is_reused(tiny_config, tiny_run):
    again = start(tiny_config, tiny_run)
    assert again.returncode == 0
    assert "is complete" in again.stdout


def test_another_configuration_in_the_same_folder_is_refused(tiny_config, tiny_run):
    other = start(tiny_config, tiny_run, "loss.margin=5")
    assert other.returncode == 1
    assert "loss.margin: 2.0, but 5" in other.stderr
    assert "Traceback" not in other.stderr


def test_one_and_two_devices_agree(tiny_config, tmp_path):
    """Five steps, so that rounding has no time to grow; synchronised batch norms, a global batch of 8."""
    short = ("train.epochs=1", "train.steps_per_epoch=5")
    for replicas in (1, 2):
        done = start(tiny_config, tmp_path / str(replicas), *short, f"runtime.replicas={replicas}")
        assert done.returncode == 0, done.stderr
    one, two = (rows(tmp_path / n)[0] for n in "12")
    assert float(one["loss"]) == pytest.approx(float(two["loss"]), rel=1e-5)
    first, second = (state(tmp_path / n) for n in "12")
    assert first.keys() == second.keys()
    for name, value in first.items():
        np.testing.assert_allclose(second[name], value, atol=1e-5, rtol=1e-4, err_msg=name)


def test_a_loss_that_is_not_finite_stops_with_step_and_batch(tiny_config, tmp_path):
    result = start(
        tiny_config,
        tmp_path / "nan",
        "optimizer.learning_rate.cosine.initial_learning_rate=1.0e+30",
        "optimizer.clip_norm=0.0",
        "optimizer.weight_decay=0.0",
    )
    assert result.returncode == 1
    assert "not finite at step" in result.stderr
    assert "batch" in result.stderr
    assert "Traceback" not in result.stderr


def test_log_holds_every_term_and_each_confidence(tiny_run):
    row = rows(tiny_run)[-1]
    for name in ("identification", "regularizer", "cls", "adv", "classifier_loss", "margin", "learning_rate"):
        assert np.isfinite(float(row[name])), name
    assert {f"confidence_mean_{k}" for k in range(4)} <= row.keys()
    assert {"readable_0_0", "readable_0_1", "readable_1_1"} <= row.keys()
    total = (
        float(row["identification"])
        + 0.001 * float(row["regularizer"])
        + 2 * float(row["cls"])
        + 2 * float(row["adv"])
    )
    assert float(row["loss"]) == pytest.approx(total, rel=1e-4)


def test_segments_finish_the_broken_epoch_first():
    assert segments(0, 10, 3) == [(0, 3, 10)]
    assert segments(10, 10, 3) == [(1, 3, 10)]
    assert segments(14, 10, 3) == [(1, 2, 6), (2, 3, 10)]
    assert segments(27, 10, 3) == [(2, 3, 3)]
