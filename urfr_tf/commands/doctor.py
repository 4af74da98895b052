"""`urfr doctor`: what this installation and this machine are, and what is wrong with them."""

import argparse

HELP = "show versions, cores, memory, instruction sets and extras, and what is wrong with them"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Prints one screen; returns 0, or 1 where something is wrong."""
    import json

    from urfr_tf.doctor import describe, diagnose

    diagnosis = diagnose()
    print(json.dumps(diagnosis) if args.json else "\n".join(describe(diagnosis)))
    return 1 if diagnosis["problems"] else 0
