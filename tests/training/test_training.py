"""Training for real, in processes: killed and resumed, on one and two devices, stopped by NaN."""

import re
import shutil
import signal
import time

import numpy as np
import pytest
from running import (
    SHORT,
    assert_close_state,
    assert_same_state,
    begun,
    cut_back,
    done,
    rows,
    start,
    start_program,
)

pytestmark = pytest.mark.timeout(3000)


@pytest.mark.parametrize("checkpoint_steps", [4, pytest.param(0, marks=pytest.mark.slow)])
def test_killed_in_epoch_two_ends_with_the_same_state_bit_for_bit(
    tiny_config, tiny_run, tmp_path, checkpoint_steps
):
    """kill -9 in epoch 2; with checkpoint_steps the run goes on inside the epoch, in a new interpreter."""
    run, sets = tmp_path / "broken", (f"train.checkpoint_steps={checkpoint_steps}",)
    process = begun(tiny_config, run, *sets)
    wanted = run / "checkpoints" / f"step-{12 if checkpoint_steps else 10}.index"
    deadline = time.monotonic() + 300
    while not wanted.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "the run ended before it could be killed"
    assert len(rows(run)) < 3
    again = start_program(tiny_config, run, *sets)
    assert again.returncode == 0, again.stderr
    assert "XLA" not in again.stderr  # it prints past every log level
    assert "resuming from" in again.stdout
    assert_same_state(tiny_run, run)
    assert [row["epoch"] for row in rows(run)] == ["1", "2", "3"]
    assert rows(run)[2]["loss"] == rows(tiny_run)[2]["loss"]


def test_sigterm_saves_the_step_and_exits_with_its_own_code(tiny_config, tiny_run, tmp_path):
    """No checkpoint_steps: what is resumed inside the second epoch was saved by the signal."""
    run = tmp_path / "preempted"
    process = begun(tiny_config, run)
    deadline = time.monotonic() + 300
    while not (run / "log.csv").exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGTERM)
    _, message = process.communicate(timeout=300)
    assert process.returncode == 75, message
    assert "told to stop (SIGTERM)" in message
    assert "Traceback" not in message
    again = start(tiny_config, run)
    assert again.returncode == 0, again.stderr
    saved = int(again.stdout.split("/checkpoints/step-")[1].split(":")[0])
    assert 10 <= saved < 30
    assert_same_state(tiny_run, run)
    assert [row["epoch"] for row in rows(run)] == ["1", "2", "3"]


@pytest.fixture(scope="module")
def unfrozen(tiny_config, tmp_path_factory):
    """A finished run of two epochs of 4 steps, heads alone in the first, with a checkpoint of each step."""
    sets = ("train.epochs=2", "train.steps_per_epoch=4", "train.freeze_backbone_epochs=1")
    sets += ("train.checkpoint_steps=1", "train.keep_checkpoints=9", "optimizer.layer_rates.backbone=0.1")
    run = tmp_path_factory.mktemp("unfrozen") / "unbroken"
    done(tiny_config, run, *sets)
    return run, sets


@pytest.mark.parametrize("step", [2, *[pytest.param(step, marks=pytest.mark.slow) for step in (4, 6)]])
def test_the_unfreezing_resumes_bit_for_bit(unfrozen, tiny_config, tmp_path, step):
    """From inside the epoch of the heads alone, from its end, and from after it."""
    unbroken, sets = unfrozen
    run = shutil.copytree(unbroken, tmp_path / str(step))
    cut_back(run, step)
    assert f"step {step} of 8" in done(tiny_config, run, *sets)
    assert_same_state(unbroken, run)


def test_finished_run_is_reused(tiny_config, tiny_run):
    again = start(tiny_config, tiny_run)
    assert (again.returncode, again.stderr) == (0, "")
    assert "is complete" in again.stdout


def test_another_configuration_in_the_same_folder_is_refused(tiny_config, tiny_run):
    other = start(tiny_config, tiny_run, "loss.margin=5")
    assert other.returncode == 1
    assert "loss.margin: 2.0, but 5" in other.stderr
    assert "Traceback" not in other.stderr


def test_one_and_two_devices_agree(four_shards, one_replica, tmp_path):
    """Synchronized batch norms, a global batch of 8."""
    two = tmp_path / "two"
    done(four_shards, two, *SHORT, "runtime.replicas=2")
    losses = [float(rows(run)[0]["loss"]) for run in (one_replica, two)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert_close_state(one_replica, two)


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
    assert re.search(r"(output|weights|gradient) of layer \w+", result.stderr)
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
