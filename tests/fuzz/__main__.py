"""Reads mutated files of every format that comes from outside: make fuzz, or python tests/fuzz --help.

A file either reads or is refused by one sentence of ours. Any other exception, a crash of the process, a
reader that does not come back or that takes more memory than it should is a failure; its input is kept.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from formats import FORMATS
from run import fuzz


def main() -> int:
    parser = argparse.ArgumentParser(prog="python tests/fuzz", description=__doc__)
    parser.add_argument("--mutations", type=int, default=10_000, help="of each format (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="(%(default)s)")
    parser.add_argument(
        "--formats", nargs="*", choices=list(FORMATS), default=list(FORMATS), metavar="FORMAT"
    )
    parser.add_argument("--first", type=int, default=0, help="number of the first mutation (%(default)s)")
    parser.add_argument(
        "--failures", type=Path, default=Path("runs/fuzz"), help="folder for inputs (%(default)s)"
    )
    args = parser.parse_args()
    print(f"seed {args.seed}, {args.mutations} mutations of each of {len(args.formats)} formats", flush=True)
    failed = 0
    for result in fuzz(args.formats, args.mutations, args.seed, args.failures, args.first):
        print(result.line(), flush=True)
        failed += len(result.failures)
        for failure in result.failures:
            print(f"  {failure}", flush=True)
    if failed:
        print(f"{failed} failures; inputs are in {args.failures}")
        print("one of them again: --formats FORMAT --first NUMBER --mutations 1")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
