"""`urfr data-service`: the processes of a tf.data service, which make the batches of training elsewhere."""

import argparse

HELP = "serve training batches from other processes or machines: a dispatcher and its workers"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    roles = parser.add_subparsers(dest="role", required=True, metavar="ROLE")
    dispatcher = roles.add_parser("dispatcher", help="connects the workers with the training; one of them")
    dispatcher.add_argument("--port", type=_port, required=True, help="port to listen on")
    dispatcher.add_argument(
        "--workers",
        required=True,
        metavar="HOST:PORT,...",
        help="addresses of all workers, always in the same order",
    )
    dispatcher.add_argument(
        "--work-dir", metavar="DIR", help="keep a journal here, with which it can be started again"
    )
    worker = roles.add_parser("worker", help="makes batches; one for each machine")
    worker.add_argument("--port", type=_port, required=True, help="port to listen on")
    worker.add_argument("--dispatcher", required=True, metavar="HOST:PORT", help="address of the dispatcher")
    worker.add_argument(
        "--address", metavar="HOST:PORT", help="as the dispatcher has it in its list (localhost:PORT)"
    )


def run(args: argparse.Namespace) -> int:
    """Serves until SIGINT or SIGTERM comes; returns 0.

    Raises:
        UrfrError: what `urfr_tf.training.data_service` refuses.
    """
    from urfr_tf.training.data_service import start_dispatcher, start_worker, wait_for_stop

    if args.role == "dispatcher":
        server = start_dispatcher(args.port, args.workers, args.work_dir)
    else:
        server = start_worker(args.port, args.dispatcher, args.address)
    wait_for_stop()
    del server  # It served as long as there was a reference to it.
    return 0


def _port(text: str) -> int:
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"expected a port from 1 to 65535, but got {text}")
    return int(text)
