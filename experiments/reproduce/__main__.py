"""The command behind `make reproduce-small` and `make reproduce`.

    python -m experiments.reproduce small --lfw lfw.tar --pairs lfw_pairs.txt --gender GENDER.tsv --cfp cfp_dev.tar
    python -m experiments.reproduce full --ms1m faces_ms1m --celeba CelebA --tinyface TINYFACE --ijbs IJBS ...

Give it again to go on: what is done is skipped, what was interrupted continues.
"""

import argparse
import signal
import subprocess
import sys
from pathlib import Path

from experiments.command import with_sentences
from experiments.reproduce import ablations as causes
from experiments.reproduce.full import TESTS, full_plan
from experiments.reproduce.jobs import (
    LATER,
    STOPPED,
    Ledger,
    Piece,
    check_sources,
    environment,
    keys,
    run_pieces,
    wanted,
)
from experiments.reproduce.options import add_options
from experiments.reproduce.plan import IMPORTED, ROWS, Wish, aliases, suffix
from experiments.reproduce.small import small_plan
from urfr_tf.errors import UrfrError

STAGES = ("data", "train", "evaluate", "results")


@with_sentences("reproduce")
def main(argv: list[str] | None = None) -> int:
    """Runs the pieces and writes the page; 1 if a piece failed, 0 also where only the time was up."""
    args = parsed(argv)
    # Told to end, it first ends the piece under way: two at once would write into one folder.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    small = args.scale == "small"
    names = ("lfw", "pairs", "gender", "cfp", "weights") if small else ("ms1m", "celeba", *TESTS)
    prefix = "small_" if small else ""
    alias = aliases(prefix)
    wish = Wish(
        args.runs or Path("runs") / f"{args.scale}{suffix(args.name)}",
        tuple(args.seeds),
        prefix,
        {name: getattr(args, name) for name in names},
        tuple(args.set),
        tuple(args.attribute_set),
        (args.size or (112 if args.weights else 72)) if small else 110,
        args.people if small else None,
        alias,
    )
    if small and args.causes:
        pieces = causes.causes_plan(wish)
        names = [piece.name for piece in pieces if causes.is_wanted(piece.name, args.only or causes.NAMES)]
    else:
        pieces = small_plan(wish) if small else full_plan(wish)
        rows = [alias.get(row, row) for row in args.only or (IMPORTED, *ROWS)]
        names = [piece.name for piece in pieces if is_wanted(piece.name, rows, args.stage)]
    chosen = wanted(pieces, names)
    if args.list:
        list_pieces(pieces, chosen, wish.runs)
        return 0
    check_sources(pieces, chosen, wish.runs, wish.sources, () if small else TESTS)
    left = run_pieces(pieces, chosen, wish.runs, args.seconds)
    if small and args.causes:
        causes.write(wish.runs, args.docs, args.kept, suffix(args.name))
    elif "results" in (args.stage or STAGES):
        write_page(args, wish.runs)
    return int(any(why not in (STOPPED, LATER) for why in left.values()))


def parsed(argv: list[str] | None) -> argparse.Namespace:
    """The arguments; exits with 2 where --only has names of the other table."""
    found = parser()
    args = found.parse_args(argv)
    if getattr(args, "weights", None):
        args.name = args.name or IMPORTED
    if getattr(args, "causes", False):
        known = causes.NAMES
    else:
        known = (*ROWS, IMPORTED) if getattr(args, "weights", None) else ROWS
    if strangers := [name for name in args.only or () if name not in known]:
        found.error(f"--only: expected some of {', '.join(known)}, got {', '.join(strangers)}")
    return args


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = argparse.ArgumentParser(
        prog="python -m experiments.reproduce",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    scales = found.add_subparsers(dest="scale", required=True)
    small = scales.add_parser("small", help="LFW and CFP, two cores")
    for name in ("lfw", "pairs", "gender", "cfp"):
        small.add_argument(f"--{name}", required=True)
    small.add_argument(
        "--weights",
        help="InsightFace MobileFaceNet that every row goes on from, in place of a start of our own; "
        "--name is imported then, and a row of that name tests the network as it came",
    )
    small.add_argument("--size", type=int, help="side of the crops in pixels (72; 112 with --weights)")
    small.add_argument("--people", type=int, help="a miniature: so many people in training")
    small.add_argument(
        "--causes",
        action="store_true",
        help=f"in place of the rows: why they disagree, on validation people -> {causes.FOLDER}.md",
    )
    full = scales.add_parser("full", help="MS-Celeb-1M and the published tests, GPUs")
    for name in ("ms1m", "celeba"):
        full.add_argument(f"--{name}", required=True)
    for name in TESTS:
        full.add_argument(f"--{name}", help="left out: its figures say 'not run'")
    for each in (small, full):
        each.add_argument(
            "--name",
            default="",
            help="a second reproduction beside the first: runs/small_NAME, results_NAME.md",
        )
        rows = (*ROWS, IMPORTED, *causes.NAMES) if each is small else ROWS
        add_options(each, rows=rows, stages=STAGES, runs="runs/small, runs/full", page="results.md")
        each.add_argument(
            "--attribute-set", action="append", default=[], metavar="A.B=V", help="override, theta_A"
        )
    return found


def is_wanted(piece: str, rows: list[str], stages: list[str] | None) -> bool:
    """Whether a piece was asked for by its stage and row."""
    *_, row, kind = piece.split("/")
    of_a_row = piece.startswith("seed")
    stage = {"train": "train", "evaluate": "evaluate"}[kind] if of_a_row else "data"
    return (stages is None or stage in stages) and (not of_a_row or row in rows)


def list_pieces(pieces: list[Piece], chosen: list[Piece], folder: Path) -> None:
    """One line a piece."""
    ledger, key = Ledger(folder), keys(pieces)
    for piece in chosen:
        print("done" if ledger.is_done(piece, key[piece.name]) else "    ", piece.name)


def write_page(args: argparse.Namespace, runs: Path) -> None:
    """The results page, in a process of its own as TensorFlow and matplotlib are not needed here otherwise.

    Raises:
        UrfrError: it failed.
    """
    words = ["-m", "experiments.reproduce.page", "--scale", args.scale, "--runs", str(runs)]
    words += [
        "--docs",
        str(args.docs),
        "--name",
        args.name,
        *(["--kept", str(args.kept)] if args.kept else []),
    ]
    if subprocess.run([sys.executable, *words], env=environment(), check=False).returncode:
        raise UrfrError(f"the page could not be written: python {' '.join(words)}")


if __name__ == "__main__":
    sys.exit(main())
