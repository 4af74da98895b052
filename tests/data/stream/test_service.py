"""Batches from a tf.data service are those of the local pipeline, whatever happens to a process of it."""

import itertools
import os
import signal
import socket
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from made_up import numbered_shards
from paths import ROOT
from streams import training_stream

from urfr_tf import keys
from urfr_tf.data.manifest import load_manifest
from urfr_tf.data.stream import service as module
from urfr_tf.data.stream.soft_labels import write_soft_labels
from urfr_tf.errors import UrfrError

IMAGES, SIDE, BATCH = 103, 20, 10
STEPS = 10  # 103 // 10
VARIED = {"blur": 0.3, "occlusion": 0.3, "resolution": 0.3}
service = tf.data.experimental.service


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("localhost", 0))
        return found.getsockname()[1]


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    folder = numbered_shards(tmp_path_factory.mktemp("served"), IMAGES, side=SIDE)
    write_soft_labels(load_manifest(folder), "young", np.arange(IMAGES) / 200)
    return folder


def batches(shards, port=None, step=0, **settings):
    """Batch after batch as (numbers of its images, its bytes); red at the left of row 0 is the number."""
    stream = training_stream(
        shards,
        batch_size=BATCH,
        crop_size=SIDE,
        seed=3,
        start_step=step,
        shuffle_buffer=40,
        **{"flip": False, "service": f"localhost:{port}" if port else "", **settings},
    )
    for inputs, targets in stream.as_numpy_iterator():
        image, label, variation = inputs[keys.IMAGE], inputs[keys.LABEL], targets[keys.VARIATION]
        content = image.tobytes() + label.tobytes() + variation.tobytes()
        yield image[:, 0, 0, 0].astype(int).tolist(), content


def first(stream, count):
    return list(itertools.islice(stream, count))


@pytest.fixture(scope="module")
def cluster():
    """A dispatcher and two workers in this process: its port, and a function that starts a worker anew."""
    ports = [free_port() for _ in range(3)]
    addresses = [f"localhost:{port}" for port in ports]
    dispatcher = service.DispatchServer(
        service.DispatcherConfig(port=ports[0], worker_addresses=addresses[1:], job_gc_timeout_ms=1000)
    )

    def start(number):
        return service.WorkerServer(
            service.WorkerConfig(
                dispatcher_address=addresses[0],
                worker_address=addresses[number],
                port=ports[number],
                heartbeat_interval_ms=100,
            )
        )

    workers = {number: start(number) for number in (1, 2)}

    def restart(number):
        workers.pop(number)._stop()
        workers[number] = start(number)

    yield ports[0], restart
    workers.clear()
    del dispatcher


def test_two_workers_give_the_stream_of_the_local_pipeline(shards, cluster):
    port, _ = cluster
    settings = {"probabilities": {"occlusion": 0.3}, "soft_labels": ("young",), "flip": True}
    local = first(batches(shards, **settings), 25)
    assert first(batches(shards, port, 0, **settings), 25) == local
    assert first(batches(shards, port, 13, **settings), 8) == local[13:21]


@pytest.mark.slow
def test_a_worker_that_begins_anew_repeats_and_loses_nothing(shards, cluster):
    port, restart = cluster
    stream = batches(shards, port)
    held = first(stream, 5)
    restart(2)
    held += first(stream, 2 * STEPS - 5)
    stream.close()
    for one_pass in (held[:STEPS], held[STEPS:]):
        numbers = [number for batch, _ in one_pass for number in batch]
        assert len(numbers) == len(set(numbers)) == STEPS * BATCH
    assert held == first(batches(shards), 2 * STEPS)


def test_a_step_that_does_not_come_is_asked_for_again():
    """One of two workers repeats, then loses a step, then fails: the numbers still come once and in order."""
    asked = []
    faults = {2: iter([(tf.constant(0), "old")]), 4: iter([(tf.constant(6), "too far")]), 6: iter([])}

    def job(step, turn, workers):
        asked.append(step)
        if step in faults:
            return faults.pop(step)
        return ((tf.constant(s), s) for s in itertools.count(step, workers))

    jobs = {0: iter([(tf.constant(0), 0), (tf.constant(0), "again")]), 1: job(1, 1, 2)}
    asked.clear()
    assert [module._due(step, step % 2, 2, jobs, job, "here") for step in range(8)] == list(range(8))
    # Step 2: the first answer repeats step 0, so does that of the second job; the third gives 2, 4, 6.
    assert asked == [2, 2]


def test_a_service_that_only_fails_is_a_sentence(monkeypatch):
    monkeypatch.setattr(module, "_ATTEMPTS", 3)
    monkeypatch.setattr(module.time, "sleep", lambda seconds: None)
    with pytest.raises(UrfrError, match="at here failed 3 times on end: StopIteration"):
        module._due(4, 0, 1, {0: iter([])}, lambda *_: iter([]), "here")


def test_a_service_that_gives_nothing_is_said_and_given_up(monkeypatch, capsys):
    import queue

    monkeypatch.setattr(module, "_NOTICE", 0.01)
    monkeypatch.setattr(module, "_PATIENCE", 0.02)
    with pytest.raises(UrfrError, match="gave nothing"):
        module._next(queue.Queue(), "here:1")
    assert "for the data service at here:1; a worker that is down must" in capsys.readouterr().err


def test_wrong_places_are_sentences(shards):
    with pytest.raises(UrfrError, match="HOST:PORT, but got 'here'"):
        next(batches(shards, port=None, service="here"))
    port = free_port()
    with pytest.raises(UrfrError, match=f"at localhost:{port} .* nothing answers: Connection refused"):
        next(batches(shards, port))
    with pytest.raises(UrfrError, match="but both were asked for"):
        next(batches(shards, port, cache=True))


def test_servers_that_cannot_start_are_sentences(cluster, capsys):
    from urfr_tf.cli import main

    port, _ = cluster
    command = ["data-service", "dispatcher", "--port"]
    assert main([*command, str(port), "--workers", "localhost:1"]) == 1
    assert f"port {port} to be free" in capsys.readouterr().err
    for workers, words in (("here", "HOST:PORT, but got 'here'"), ("a:1,a:1", "every worker once")):
        assert main([*command, str(free_port()), "--workers", workers]) == 1
        assert words in capsys.readouterr().err


def urfr(*arguments):
    """A process of the command that has said its first line."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}
    process = subprocess.Popen(
        [sys.executable, "-m", "urfr_tf.cli", "data-service", *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    process.said = process.stdout.readline()
    return process


@pytest.mark.slow
@pytest.mark.parametrize("killed", ["worker", "dispatcher", "dispatcher without a journal"])
def test_processes_are_killed_and_started_again(shards, tmp_path, killed):
    """Three processes of `urfr data-service`; SIGKILL in the midst of the second pass."""
    ports = [free_port() for _ in range(3)]
    places = [f"localhost:{port}" for port in ports]
    roles = {
        "dispatcher": ["dispatcher", "--port", str(ports[0]), "--workers", ",".join(places[1:])],
        **{f"worker {n}": ["worker", "--port", str(ports[n]), "--dispatcher", places[0]] for n in (1, 2)},
    }
    if "without" not in killed:
        roles["dispatcher"] += ["--work-dir", str(tmp_path / "journal")]
    running = {}
    try:
        for role, arguments in roles.items():
            running[role] = urfr(*arguments)
        assert running["worker 2"].said == f"worker {places[2]} of the dispatcher at {places[0]}\n"
        stream = batches(shards, ports[0], probabilities=VARIED)
        held = first(stream, 14)
        victim = "worker 2" if killed == "worker" else "dispatcher"
        os.kill(running[victim].pid, signal.SIGKILL)
        assert running[victim].wait() == -signal.SIGKILL
        running[victim] = urfr(*roles[victim])
        held += first(stream, 200 - len(held))
        stream.close()
        assert held == first(batches(shards, probabilities=VARIED), 200)
        running["worker 1"].terminate()
        assert running["worker 1"].wait(timeout=30) == 0
    finally:
        for process in running.values():
            process.kill()
            process.wait()
