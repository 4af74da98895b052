"""`urfr mix`: averages a fine-tuned run with the weights that it started from."""

import argparse

from urfr_tf.system.folder_lock import lock_folder

HELP = "average a fine-tuned run with the weights it started from, to lose less on other images"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument("--run", required=True, dest="run_dir", metavar="RUN", help="the fine-tuned run")
    parser.add_argument(
        "--share",
        required=True,
        type=float,
        metavar="X",
        help="share of the starting weights in the average, from 0 to 1",
    )
    parser.add_argument(
        "--out", required=True, metavar="RUN", help="folder of the new run; created if missing"
    )


def run(args: argparse.Namespace) -> int:
    """Averages; raises UrfrError with a sentence."""
    with lock_folder(args.out, "another urfr mix"):
        return _mix(args)


def _mix(args: argparse.Namespace) -> int:
    from pathlib import Path

    from urfr_tf.runs.average import average_with_start

    facts = average_with_start(Path(args.run_dir), args.share, Path(args.out))
    print(f"{args.out}: {1 - args.share:g} of {args.run_dir} and {args.share:g} of {facts['start']}")
    return 0
