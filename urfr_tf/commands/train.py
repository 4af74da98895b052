"""`urfr train`: trains a configuration into a run folder, or goes on with it."""

import argparse

HELP = "train a configuration into a run folder; the same command resumes"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument(
        "--config",
        required=True,
        metavar="PRESET|FILE",
        help="a preset's name (see urfr configs), or a YAML file",
    )
    parser.add_argument("--run-dir", required=True, metavar="RUN", help="folder of the run; made if missing")
    parser.add_argument(
        "--set", action="append", default=[], metavar="A.B=V", help="override one key; may be repeated"
    )


def run(args: argparse.Namespace) -> int:
    """Trains; returns 0."""
    from urfr_tf.config.load_config import load_config

    config = load_config(args.config, args.set)
    from urfr_tf.train import train

    train(config, args.run_dir)
    return 0
