"""The `urfr` command: finds the subcommand, and turns errors into one sentence and an exit code.

Each subcommand is a module of `urfr_tf.commands` with `HELP`, `arguments(parser)` and `run(args)`;
those modules import TensorFlow only inside `run`, so `urfr --help` answers at once.
"""

import argparse
import importlib
import sys

from urfr_tf import __version__
from urfr_tf.errors import UrfrError
from urfr_tf.system.extras import name_missing_extra
from urfr_tf.system.quiet import leave_out_keras_3, quiet_libraries
from urfr_tf.system.terminal import accept_any_name

COMMANDS = (
    "prepare",
    "inspect",
    "turn",
    "data-service",
    "train",
    "mine",
    "evaluate",
    "report",
    "export",
    "embed",
    "compare",
    "gallery",
    "import",
    "mix",
    "plan",
    "configs",
    "bench",
    "doctor",
    "completion",
)

# The subcommands whose name is no name of a module.
_MODULES = {"import": "import_weights", "data-service": "data_service"}


def build_parser() -> argparse.ArgumentParser:
    """The parser of every subcommand; imports nothing heavy."""
    parser = argparse.ArgumentParser(
        prog="urfr", description="Universal face representations: prepare, train, evaluate, export."
    )
    parser.add_argument("--version", action="version", version=f"urfr {__version__}")
    parser.add_argument("--debug", action="store_true", help="show the stack trace of an error")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in COMMANDS:
        module = importlib.import_module(f"urfr_tf.commands.{_MODULES.get(name, name)}")
        subparser = subparsers.add_parser(name, help=module.HELP, description=module.HELP)
        module.arguments(subparser)
        subparser.set_defaults(command_run=module.run)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Runs one command line.

    Args:
        argv: the words after `urfr`; None is this program's own command line.

    Returns:
        The exit code: 0 done, 1 failed with a sentence, 2 wrong usage, 75 try again, 130 interrupted.
    """
    if argv is None:
        leave_out_keras_3()
    quiet_libraries()
    accept_any_name()
    args = build_parser().parse_args(argv)
    try:
        with name_missing_extra("this command"):
            return args.command_run(args) or 0
    except UrfrError as error:
        if args.debug:
            raise
        print(f"urfr {args.command}: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(
            f"urfr {args.command}: interrupted; what was finished is kept, the same command continues",
            file=sys.stderr,
        )
        return 130
    except BrokenPipeError:
        return 1


if __name__ == "__main__":
    sys.exit(main())
