"""Options that every long job of jobs has."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from experiments.reproduce.collect import FIGURES
from experiments.reproduce.jobs import REPOSITORY


def add_options(
    parser: argparse.ArgumentParser, *, rows: Sequence[str], stages: Sequence[str], runs: str, page: str
) -> None:
    """Adds --runs, --docs, --earlier-figures, --seeds, --only, --stage, --seconds, --set and --list.

    Args:
        rows: names that --only takes. stages: those that --stage takes.
        runs: what help calls the default of --runs, which is None here. page: the file that is written to
            --docs.
    """
    parser.add_argument("--runs", type=Path, help=f"folder of everything that is made ({runs})")
    parser.add_argument("--docs", type=Path, default=REPOSITORY / "docs", help=f"where {page} is written")
    parser.add_argument(
        "--earlier-figures",
        type=Path,
        metavar="FILE",
        help=f"{FIGURES}/*.json of a machine whose runs are not here: they count as well",
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--only", nargs="+", choices=rows, metavar="ROW", help=f"some of {', '.join(rows)}")
    parser.add_argument("--stage", nargs="+", choices=stages, help="some stages, and what they need")
    parser.add_argument(
        "--seconds", type=float, help="stop when so much time is used; the same command goes on"
    )
    parser.add_argument("--set", action="append", default=[], metavar="A.B=V", help="override, all rows")
    parser.add_argument("--list", action="store_true", help="list the jobs and what is done; run nothing")
