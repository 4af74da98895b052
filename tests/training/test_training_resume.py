"""No lost work, the hard way: ten kills, other numbers of replicas, sampled and sharded prototypes."""

import random
import shutil
import signal
import time

import pytest
from running import assert_close_state, assert_same_state, begun, cut_back, done, state

from urfr_tf.training.checkpoints import list_checkpoints

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]


def newest(run):
    checkpoints = list_checkpoints(str(run / "checkpoints"))
    return int(checkpoints[0].rsplit("-", 1)[1]) if checkpoints else 0


def test_killed_ten_times_at_random_moments(tiny_config, tmp_path):
    """kill -9 some hundredths after a checkpoint: in a step, in saving, in logging, in the first step again.

    The moments are seeded; a moment before anything was saved is among them. Micro-batches are on as well.
    """
    sets = ("train.epochs=8", "train.checkpoint_steps=3", "train.accumulate=2")
    unbroken, run = tmp_path / "unbroken", tmp_path / "run"
    done(tiny_config, unbroken, *sets)
    moments = random.Random(8)
    kills, resumed_at = 0, []
    while kills < 10:
        wanted = newest(run) + (1 if kills else 0)
        process = begun(tiny_config, run, *sets)
        deadline = time.monotonic() + 500
        while newest(run) < wanted and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(moments.uniform(0, 0.4))
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, f"ended after {kills} kills, resumed at {resumed_at}"
        kills += 1
        resumed_at.append(newest(run))
    print("killed with these checkpoints there:", resumed_at)
    assert "resuming from" in done(tiny_config, run, *sets)
    assert_same_state(unbroken, run)


def test_resumed_on_another_number_of_replicas_is_close(tiny_config, tmp_path):
    """Two of four steps on one replica, two on two: sums are taken in another order, so not bit for bit."""
    sets = ("train.epochs=1", "train.steps_per_epoch=4", "train.checkpoint_steps=2")
    done(tiny_config, tmp_path / "one", *sets, "runtime.replicas=1")
    run = shutil.copytree(tmp_path / "one", tmp_path / "other")
    cut_back(run, 2)
    assert "step 2 of 4" in done(tiny_config, run, *sets, "runtime.replicas=2")
    assert_close_state(tmp_path / "one", run)


@pytest.mark.parametrize("sampled", ["head.sample_rate=0.5", "head.sample_rate=1.0"])
def test_sharded_prototypes_resume(tiny_config, tmp_path, sampled):
    """On as many replicas bit for bit; on another number close where every step compares with all prototypes.

    The draw of sampled prototypes depends on the shard, so on another number of replicas others are drawn.
    """
    sets = (
        "train.epochs=1",
        "train.steps_per_epoch=4",
        "train.checkpoint_steps=2",
        "head.sharded=true",
        sampled,
    )
    done(tiny_config, tmp_path / "unbroken", *sets, "runtime.replicas=2")
    assert any("prototypes" in name for name in state(tmp_path / "unbroken"))
    for replicas in (2, 1):
        run = shutil.copytree(tmp_path / "unbroken", tmp_path / str(replicas))
        cut_back(run, 2)
        assert "step 2 of 4" in done(tiny_config, run, *sets, f"runtime.replicas={replicas}")
        if replicas == 2:
            assert_same_state(tmp_path / "unbroken", run)
        elif sampled.endswith("1.0"):
            assert_close_state(tmp_path / "unbroken", run)
