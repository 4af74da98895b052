"""`urfr data-service`: the processes of a tf.data service, which make the batches of training elsewhere."""

import argparse

HELP = "serve training batches from other processes or machines: a dispatcher and its workers"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    roles = parser.add_subparsers(dest="role", required=True, metavar="ROLE")
    dispatcher = roles.add_parser("dispatcher", help="tells workers and training of each other; one of them")
    dispatcher.add_argument("--port", type=_port, required=True)
    dispatcher.add_argument(
        "--workers", required=True, metavar="HOST:PORT,...", help="where the workers are, for ever, in order"
    )
    dispatcher.add_argument(
        "--work-dir", metavar="DIR", help="keep a journal here, with which it can be started again"
    )
    worker = roles.add_parser("worker", help="makes batches; one for each machine")
    worker.add_argument("--port", type=_port, required=True)
    worker.add_argument("--dispatcher", required=True, metavar="HOST:PORT")
    worker.add_argument(
        "--address", metavar="HOST:PORT", help="as the dispatcher has it in its list (localhost:PORT)"
    )


def run(args: argparse.Namespace) -> int:
    """Serves until it is told to stop; raises UrfrError with a sentence."""
    import signal
    import threading

    import tensorflow as tf

    from urfr_tf.data.stream.service import host_and_port
    from urfr_tf.errors import UrfrError
    from urfr_tf.system.allocator import keep_freed_memory

    service = tf.data.experimental.service
    _check_free(args.port)
    try:
        if args.role == "dispatcher":
            workers = [host_and_port(text, "a worker") for text in args.workers.split(",")]
            if len(set(workers)) != len(workers):
                raise UrfrError(f"expected every worker once in --workers, but got {args.workers}")
            config = service.DispatcherConfig(
                port=args.port,
                work_dir=args.work_dir,
                fault_tolerant_mode=args.work_dir is not None,
                worker_addresses=workers,
                # Abandoned jobs hold a shuffle buffer each.
                job_gc_check_interval_ms=10_000,
                job_gc_timeout_ms=60_000,
            )
            server = service.DispatchServer(config)
            print(f"dispatcher on port {args.port} for {len(workers)} workers", flush=True)
        else:
            keep_freed_memory()
            address = host_and_port(args.address or f"localhost:{args.port}", "the worker")
            config = service.WorkerConfig(
                dispatcher_address=host_and_port(args.dispatcher, "the dispatcher"),
                worker_address=address,
                port=args.port,
                heartbeat_interval_ms=2_000,
                dispatcher_timeout_ms=60_000,
            )
            server = service.WorkerServer(config)
            print(f"worker {address} of the dispatcher at {args.dispatcher}", flush=True)
    except (tf.errors.OpError, RuntimeError) as error:
        words = " ".join(str(getattr(error, "message", error)).split())
        raise UrfrError(f"the {args.role} could not start: {words}") from error
    # Not join(): it would not see the signals.
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    stop.wait()
    del server
    return 0


def _check_free(port: int) -> None:
    """gRPC lets several servers share a port, each of which then gets some of the calls."""
    import socket

    from urfr_tf.errors import UrfrError

    try:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("", port))
    except OSError as error:
        raise UrfrError(f"expected port {port} to be free, but it is not: {error.strerror}") from error


def _port(text: str) -> int:
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"expected a port from 1 to 65535, but got {text}")
    return int(text)
