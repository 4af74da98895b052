"""The processes of a tf.data service, which make the batches of a training elsewhere."""

import signal
import socket
import threading
from typing import TypeAlias

import tensorflow as tf

from urfr_tf.data.stream.service import host_and_port
from urfr_tf.errors import UrfrError
from urfr_tf.system.allocator import keep_freed_memory

Server: TypeAlias = tf.data.experimental.service.DispatchServer | tf.data.experimental.service.WorkerServer


def start_dispatcher(port: int, workers: str, work_dir: str | None) -> Server:
    """Starts the process that connects the workers with the training.

    Args:
        port: the port it listens on.
        workers: HOST:PORT of each worker, separated by commas. The list must stay the same.
        work_dir: a folder for its journal, with which it can be started again; None for no journal.

    Raises:
        UrfrError: an address that is not HOST:PORT or occurs twice, or a port that is taken.
    """
    _check_port_is_free(port)
    addresses = [host_and_port(text, "a worker") for text in workers.split(",")]
    if len(set(addresses)) != len(addresses):
        raise UrfrError(f"expected every worker once in --workers, but got {workers}")
    service = tf.data.experimental.service
    config = service.DispatcherConfig(
        port=port,
        work_dir=work_dir,
        fault_tolerant_mode=work_dir is not None,
        worker_addresses=addresses,
        # Abandoned jobs hold a shuffle buffer each.
        job_gc_check_interval_ms=10_000,
        job_gc_timeout_ms=60_000,
    )
    try:
        server = service.DispatchServer(config)
    except (tf.errors.OpError, RuntimeError) as error:
        raise _start_error("dispatcher", error) from error
    print(f"dispatcher on port {port} for {len(addresses)} workers", flush=True)
    return server


def start_worker(port: int, dispatcher: str, address: str | None) -> Server:
    """Starts a process that makes batches.

    Args:
        port: the port it listens on.
        dispatcher: HOST:PORT of the dispatcher.
        address: HOST:PORT of this worker as the dispatcher has it in its list; None for localhost.

    Raises:
        UrfrError: an address that is not HOST:PORT, or a port that is taken.
    """
    _check_port_is_free(port)
    keep_freed_memory()
    worker = host_and_port(address or f"localhost:{port}", "the worker")
    service = tf.data.experimental.service
    config = service.WorkerConfig(
        dispatcher_address=host_and_port(dispatcher, "the dispatcher"),
        worker_address=worker,
        port=port,
        heartbeat_interval_ms=2_000,
        dispatcher_timeout_ms=60_000,
    )
    try:
        server = service.WorkerServer(config)
    except (tf.errors.OpError, RuntimeError) as error:
        raise _start_error("worker", error) from error
    print(f"worker {worker} of the dispatcher at {dispatcher}", flush=True)
    return server


def wait_for_stop() -> None:
    """Waits until SIGINT or SIGTERM comes."""
    # The server's own `join` would not see the signals.
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    stop.wait()


def _start_error(role: str, error: Exception) -> UrfrError:
    words = " ".join(str(getattr(error, "message", error)).split())
    return UrfrError(f"the {role} could not start: {words}")


def _check_port_is_free(port: int) -> None:
    """Refuses a port that is taken: gRPC lets several servers share one, and each gets some of the calls."""
    try:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("", port))
    except OSError as error:
        raise UrfrError(f"expected port {port} to be free, but it is not: {error.strerror}") from error
