"""Reads the training stream from a tf.data service: workers decode and vary, this process only trains.

Worker w of W makes every W-th step. Each worker has a job, and so a connection, of its own, and their steps
are taken in turn: the stream is that of the local pipeline bit for bit, and a slow worker is waited for
instead of being overtaken. tf.data service alone promises less: a worker that is started again begins its
share anew (static sharding) or loses what it had in hand (dynamic sharding), and an answer may get lost on
the way. So every batch carries its step; when another step comes than the one that is due, the job is thrown
away and a new one begins at that step. Skipping to it decodes nothing.
"""

import queue
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from urfr_tf.errors import UrfrError, reason_of

Batch = Any  # whatever `make` makes: a structure of tensors
Job = Callable[[int, int, int], Iterator[tuple[tf.Tensor, Batch]]]

_HINT = tf.data.experimental.SHARD_HINT
# Numbers that are dealt out to the workers to learn how many there are; two must fall on each of them.
_DEALT = 4096
_ATTEMPTS = 20
_NOTICE, _PATIENCE = 60.0, 600.0


def served(
    address: str,
    every: Callable[[int, int], tf.data.Dataset],
    make: Callable[..., Any],
    start_step: int,
    element_spec: Any,
) -> tf.data.Dataset:
    """The endless stream from `start_step` on, made by the workers of a tf.data service.

    Args:
        address: HOST:PORT of the dispatcher.
        every: (first, stride) -> endless dataset of (step int64, ...) of the steps first, first + stride,
            ...; a function of its arguments alone, cheap for each step.
        make: an element of `every` -> the batch; this is what the workers share.
        start_step: the first step.
        element_spec: of the batches.

    Returns:
        A dataset of the batches in order. While it runs it fails with UnknownError, whose message ends with a
        sentence, when the service fails or gives nothing for ten minutes.

    Raises:
        UrfrError: nothing answers at the address.
    """
    address = host_and_port(address, "the data service")
    _check_answers(address)

    def job(step: int, turn: int, workers: int) -> Iterator[tuple[tf.Tensor, Any]]:
        mine = tf.data.Dataset.range(workers).shard(_HINT, _HINT).filter(lambda index: index == turn)
        steps = mine.flat_map(lambda _: every(step, workers))
        batches = steps.map(
            lambda step, *rest: (step, make(step, *rest)), num_parallel_calls=tf.data.AUTOTUNE
        )
        return iter(_distributed(batches.prefetch(tf.data.AUTOTUNE), address))

    def batches() -> Iterator[Any]:
        ready: queue.Queue[Any] = queue.Queue(maxsize=2)
        stop = threading.Event()
        reader = threading.Thread(target=_read, args=(address, job, start_step, ready, stop), daemon=True)
        reader.start()
        try:
            while True:
                batch = _next(ready, address)
                if isinstance(batch, BaseException):
                    raise batch
                yield batch
        finally:
            stop.set()

    # Named like the stream that it replaces; with several replicas each takes its share of every batch.
    return tf.data.Dataset.from_generator(batches, output_signature=element_spec)


def host_and_port(text: str, what: str) -> str:
    """An address as HOST:PORT, without grpc:// before it.

    Raises:
        UrfrError: it has another form; the sentence names it as `what`.
    """
    host, _, port = text.strip().removeprefix("grpc://").rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise UrfrError(f"expected {what} as HOST:PORT, but got {text!r}")
    return f"{host}:{port}"


def _check_answers(address: str) -> None:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
    except OSError as error:
        raise UrfrError(
            f"expected a data service at {address} (urfr data-service dispatcher), "
            f"but nothing answers: {error.strerror or error}"
        ) from error


def _distributed(dataset: tf.data.Dataset, address: str) -> tf.data.Dataset:
    options = tf.data.Options()
    options.deterministic = True
    return dataset.with_options(options).apply(
        tf.data.experimental.service.distribute(
            processing_mode=tf.data.experimental.service.ShardingPolicy.HINT,
            service=f"grpc://{address}",
            target_workers="ANY",
            max_outstanding_requests=2,
            compression=None,
        )
    )


def _count_workers(address: str) -> int:
    """Deals numbers out to the workers in turn; the distance between two of one worker is their number."""
    dealt = tf.data.Dataset.range(_DEALT).shard(_HINT, _HINT).take(2).batch(2)
    try:
        first, second = next(iter(_distributed(dealt, address))).numpy().tolist()
    except (tf.errors.OpError, StopIteration, ValueError) as error:
        raise UrfrError(
            f"expected a data service at {address} with a list of at most {_DEALT // 2} workers, "
            f"but {reason_of(error)}"
        ) from error
    return int(second - first)


def _read(
    address: str,
    job: Job,
    step: int,
    ready: "queue.Queue[Any]",
    stop: threading.Event,
) -> None:
    """Takes the steps from the workers in turn and hands them on; an exception is handed on, too."""
    try:
        workers = _count_workers(address)
        # All begin at once: each fills its shuffle buffer first.
        jobs = {turn: job(step + turn, turn, workers) for turn in range(workers)}
        first = step
        while not stop.is_set():
            turn = (step - first) % workers
            _put(ready, _due(step, turn, workers, jobs, job, address), stop)
            step += 1
    except BaseException as error:
        _put(ready, error, stop)


def _due(
    step: int,
    turn: int,
    workers: int,
    jobs: dict[int, Iterator[tuple[tf.Tensor, Batch]]],
    job: Job,
    address: str,
) -> Any:
    """The batch of a step, from the worker whose turn it is."""
    problem = ""
    for attempt in range(_ATTEMPTS):
        try:
            received, batch = next(jobs[turn])
            if int(received) == step:
                return batch
            problem = f"step {int(received)} came for step {step}"
        except (tf.errors.OpError, StopIteration) as error:
            problem = reason_of(error)
            time.sleep(min(attempt, 10))
        jobs[turn] = job(step, turn, workers)
    raise UrfrError(f"the data service at {address} failed {_ATTEMPTS} times on end: {problem}")


def _put(ready: "queue.Queue[Any]", value: Any, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            ready.put(value, timeout=1)
            return
        except queue.Full:
            continue


def _next(ready: "queue.Queue[Any]", address: str) -> Any:
    waited = 0.0
    while waited < _PATIENCE:
        try:
            return ready.get(timeout=_NOTICE)
        except queue.Empty:
            waited += _NOTICE
            print(
                f"waiting since {waited:.0f} s for the data service at {address}; "
                "a worker that is down must be started again at its address",
                file=sys.stderr,
                flush=True,
            )
    raise UrfrError(f"the data service at {address} gave nothing for {_PATIENCE:.0f} s")
