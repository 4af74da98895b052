"""Two processes over TF_CONFIG on the loopback: one process's weights; one of them killed, and both go on."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
from paths import ROOT
from running import REAL, SHORT, assert_close_state, assert_same_state, begun, command

pytestmark = pytest.mark.timeout(3000)
TWO = ("data.worker_shares=2", "runtime.strategy=multi_worker_mirrored")
LONG = (*TWO, "train.epochs=4", "train.checkpoint_steps=3", REAL)


def free_ports(count):
    with_port = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in with_port]
    for each in with_port:
        each.close()
    return ports


def started(config, run, sets, before=()):
    """Both workers as processes, their output in files next to the run folder."""
    addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
    workers = []
    for index in range(2):
        task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        env = {"TF_CONFIG": json.dumps(task), "PAUSE": "1"}
        files = [f"{run}.{index}.out", f"{run}.{index}.err"]
        if not before:
            workers.append(begun(config, run, *sets, env=env, files=files))
            continue
        with open(files[0], "w") as out, open(files[1], "w") as err:
            workers.append(
                subprocess.Popen(
                    [*before, *command(config, run, *sets)],
                    cwd=ROOT,
                    env={**os.environ, **env},
                    stdout=out,
                    stderr=err,
                    start_new_session=True,
                )
            )
    return workers


def end(worker):
    """What is still there of a worker, with the script that would start it again."""
    if not isinstance(worker, subprocess.Popen):
        worker.kill()
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(worker.pid, signal.SIGKILL)


def finish(workers, run, timeout=1200):
    try:
        for index, worker in enumerate(workers):
            assert worker.wait(timeout) == 0, Path(f"{run}.{index}.err").read_text()[-3000:]
    finally:
        for worker in workers:
            end(worker)


def test_two_workers_end_with_the_weights_of_one_process(four_shards, one_replica, tmp_path):
    """Synchronised batch norms, the same global batches, gradients summed: equal but for rounding."""
    two = tmp_path / "two"
    finish(started(four_shards, two, (*SHORT, *TWO)), two)
    assert_close_state(one_replica, two)
    # Only the chief writes, and speaks.
    runs = (one_replica, two)
    files = [sorted(p.name for p in run.rglob("*") if not p.name.startswith(".")) for run in runs]
    assert files[0] == files[1]
    assert "2 replica(s) x 4 images" in Path(f"{two}.0.out").read_text()
    assert Path(f"{two}.1.out").read_text() == ""


@pytest.fixture(scope="module")
def unbroken(four_shards, tmp_path_factory):
    """The run that the broken ones must end like."""
    run = tmp_path_factory.mktemp("unbroken") / "run"
    finish(started(four_shards, run, LONG), run)
    return run


def wait_for_checkpoint(run, step):
    deadline = time.monotonic() + 1200
    while not (run / "checkpoints" / f"step-{step}.index").exists():
        assert time.monotonic() < deadline, f"{run} has no checkpoint of step {step}"
        time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.parametrize("victim", [1, 0])
def test_a_killed_worker_is_started_again_and_the_job_ends_the_same(four_shards, unbroken, tmp_path, victim):
    """Each under docs/guides/restart.sh; kill -9 of one after a checkpoint. The other says why."""
    run = tmp_path / "run"
    workers = started(four_shards, run, LONG, before=["sh", str(ROOT / "docs/guides/restart.sh")])
    wait_for_checkpoint(run, 6)
    child = Path(f"/proc/{workers[victim].pid}/task/{workers[victim].pid}/children").read_text().split()[0]
    os.kill(int(child), 9)
    finish(workers, run, timeout=1200)
    messages = [Path(f"{run}.{index}.err").read_text() for index in range(2)]
    assert "exit code 137, starting again" in messages[victim]
    sentence = "urfr train: another worker was lost ("
    assert sentence in messages[1 - victim]
    assert "exit code 75, starting again" in messages[1 - victim].split(sentence)[1]
    assert resumed_at(run) >= 6
    assert_same_state(unbroken, run)


@pytest.mark.slow
def test_sigterm_to_one_worker_stops_both_at_the_same_step(four_shards, tmp_path):
    run = tmp_path / "run"
    workers = started(four_shards, run, (*TWO, "train.epochs=40"))
    deadline = time.monotonic() + 1200
    while not (run / "log.csv").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    workers[1].send_signal(signal.SIGTERM)
    assert [worker.wait(600) for worker in workers] == [75, 75]
    saved = [Path(f"{run}.{i}.err").read_text().split("checkpoint of ")[1].split(" saved")[0] for i in (0, 1)]
    assert saved[0] == saved[1]


@pytest.mark.slow
def test_sigterm_to_both_stops_them_at_the_same_step_and_the_job_ends_the_same(
    four_shards, unbroken, tmp_path
):
    """As a cluster tells them; what goes on from that checkpoint ends bit for bit like the unbroken run."""
    run = tmp_path / "run"
    workers = started(four_shards, run, LONG)
    wait_for_checkpoint(run, 3)
    for worker in workers:
        worker.send_signal(signal.SIGTERM)
    assert [worker.wait(600) for worker in workers] == [75, 75]
    messages = [Path(f"{run}.{i}.err").read_text() for i in range(2)]
    saved = [text.split("checkpoint of step ")[1].split(" saved")[0] for text in messages]
    assert saved[0] == saved[1]
    assert (run / "checkpoints" / f"step-{saved[0]}.index").exists()
    finish(started(four_shards, run, LONG), run)
    assert resumed_at(run) == int(saved[0])
    assert_same_state(unbroken, run)


def resumed_at(run):
    """The step from which the chief went on at last."""
    return int(
        Path(f"{run}.0.out").read_text().split("resuming from ")[-1].split(": step ")[1].split(" of ")[0]
    )
