"""The command behind `make reproduce-small` and `make reproduce`.

    python -m experiments.reproduce small --lfw lfw.tar --pairs lfw_pairs.txt --gender GENDER.tsv --cfp
    cfp_dev.tar python -m experiments.reproduce full --ms1m faces_ms1m --celeba CelebA --tinyface TINYFACE
    --ijbs IJBS ...

Give it again to go on: what is done is skipped, what was interrupted continues.
"""

import argparse
import signal
import subprocess
import sys
from pathlib import Path

from experiments.command import with_sentences
from experiments.reproduce import ablations
from experiments.reproduce.full import TESTS, full_plan
from experiments.reproduce.jobs import (
    LATER,
    STOPPED,
    Job,
    Ledger,
    check_sources,
    environment,
    hash_jobs,
    run_jobs,
    select_jobs,
)
from experiments.reproduce.options import add_options
from experiments.reproduce.plan import IMPORTED, ROWS, ReproductionRequest, aliases, suffix
from experiments.reproduce.small import small_plan
from urfr_tf.errors import UrfrError

STAGES = ("data", "train", "evaluate", "results")


@with_sentences("reproduce")
def main(argv: list[str] | None = None) -> int:
    """Runs the jobs and writes the page; 1 if a job failed, 0 also where only the time was up."""
    args = parse_arguments(argv)
    # Told to end, it first ends the job under way: two at once would write into one folder.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    small = args.scale == "small"
    names = ("lfw", "pairs", "gender", "cfp", "weights") if small else ("ms1m", "celeba", *TESTS)
    prefix = "small_" if small else ""
    alias = aliases(prefix)
    request = ReproductionRequest(
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
    if small and args.ablations:
        jobs = ablations.plan_ablations(request)
        names = [job.name for job in jobs if ablations.is_wanted(job.name, args.only or ablations.NAMES)]
    else:
        jobs = small_plan(request) if small else full_plan(request)
        rows = [alias.get(row, row) for row in args.only or (IMPORTED, *ROWS)]
        names = [job.name for job in jobs if is_wanted(job.name, rows, args.stage)]
    chosen = select_jobs(jobs, names)
    if args.list:
        list_jobs(jobs, chosen, request.runs)
        return 0
    check_sources(jobs, chosen, request.runs, request.sources, () if small else TESTS)
    left = run_jobs(jobs, chosen, request.runs, args.seconds)
    if small and args.ablations:
        ablations.write(request.runs, args.docs, args.earlier_figures, suffix(args.name))
    elif "results" in (args.stage or STAGES):
        write_page(args, request.runs)
    return int(any(why not in (STOPPED, LATER) for why in left.values()))


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    """The arguments; exits with 2 where --only has names of the other table."""
    command_line = build_parser()
    args = command_line.parse_args(argv)
    if getattr(args, "weights", None):
        args.name = args.name or IMPORTED
    if getattr(args, "ablations", False):
        known = ablations.NAMES
    else:
        known = (*ROWS, IMPORTED) if getattr(args, "weights", None) else ROWS
    if strangers := [name for name in args.only or () if name not in known]:
        command_line.error(f"--only: expected some of {', '.join(known)}, got {', '.join(strangers)}")
    return args


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    command_line = argparse.ArgumentParser(
        prog="python -m experiments.reproduce",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    scales = command_line.add_subparsers(dest="scale", required=True)
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
        "--ablations",
        action="store_true",
        help=f"in place of the rows: why they disagree, on validation people -> {ablations.PAGE}.md",
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
            help="a second reproduction next to the first: runs/small_NAME, results/small_NAME.md",
        )
        rows = (*ROWS, IMPORTED, *ablations.NAMES) if each is small else ROWS
        add_options(each, rows=rows, stages=STAGES, runs="runs/small, runs/full", page="results/SCALE.md")
        each.add_argument(
            "--attribute-set", action="append", default=[], metavar="A.B=V", help="override, theta_A"
        )
    return command_line


def is_wanted(job: str, rows: list[str], stages: list[str] | None) -> bool:
    """Whether a job was asked for by its stage and row."""
    *_, row, kind = job.split("/")
    of_a_row = job.startswith("seed")
    stage = {"train": "train", "evaluate": "evaluate"}[kind] if of_a_row else "data"
    return (stages is None or stage in stages) and (not of_a_row or row in rows)


def list_jobs(jobs: list[Job], chosen: list[Job], folder: Path) -> None:
    """One line a job."""
    ledger, key = Ledger(folder), hash_jobs(jobs)
    for job in chosen:
        print("done" if ledger.is_done(job, key[job.name]) else "    ", job.name)


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
        *(["--earlier-figures", str(args.earlier_figures)] if args.earlier_figures else []),
    ]
    if subprocess.run([sys.executable, *words], env=environment(), check=False).returncode:
        raise UrfrError(f"the page could not be written: python {' '.join(words)}")


if __name__ == "__main__":
    sys.exit(main())
