"""Fine-tuning of imported weights into URFace, against plain CosFace: every row, every seed, every test.

    python -m experiments.finetune --lfw lfw.tar --pairs lfw_pairs.txt --gender GENDER.tsv --cfp cfp_dev.tar
        \\ --weights insightface_mobilefacenet-0000.params

Give it again to go on: what is done is skipped, what was interrupted continues. Writes
docs/results/finetuning.md.
"""

import argparse
import signal
import sys
from pathlib import Path

from experiments.command import with_sentences
from experiments.finetune.page import PAGE, write
from experiments.finetune.plan import IMPORTED, ROWS, finetune_plan
from experiments.reproduce.__main__ import list_jobs
from experiments.reproduce.jobs import LATER, STOPPED, Job, check_sources, run_jobs, select_jobs
from experiments.reproduce.options import add_options
from experiments.reproduce.plan import ReproductionRequest

SOURCES = ("lfw", "pairs", "gender", "cfp", "weights")
STAGES = ("train", "evaluate")


@with_sentences("finetune")
def main(argv: list[str] | None = None) -> int:
    """Runs the jobs and writes the page; 1 if a job failed, 0 also where only the time was up."""
    args = build_parser().parse_args(argv)
    # Told to end, it first ends the job under way: two at once would write into one folder.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sources = {name: getattr(args, name) for name in SOURCES}
    request = ReproductionRequest(
        args.runs or Path("runs/finetune"), tuple(args.seeds), "finetune_", sources, tuple(args.set), size=112
    )
    jobs = finetune_plan(request)
    chosen = select_jobs(jobs, [job.name for job in jobs if is_wanted(job, args.only, args.stage)])
    if args.list:
        list_jobs(jobs, chosen, request.runs)
        return 0
    check_sources(jobs, chosen, request.runs, request.sources)
    left = run_jobs(jobs, chosen, request.runs, args.seconds)
    for path in write(request.runs, args.docs, args.earlier_figures):
        print(path)
    return int(any(why not in (STOPPED, LATER) for why in left.values()))


def is_wanted(job: Job, rows: list[str] | None, stages: list[str] | None) -> bool:
    """Whether a job was asked for by its stage and row; what it needs comes with it."""
    row, _, stage = job.name.rpartition("/")
    if stage not in STAGES or row == "data":
        return False
    name = row.rpartition("/")[2]
    return (stages is None or stage in stages) and (rows is None or name in rows)


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    names = [row.name for row in ROWS]
    command_line = argparse.ArgumentParser(
        prog="python -m experiments.finetune",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for name in SOURCES:
        command_line.add_argument(f"--{name}", required=True)
    add_options(command_line, rows=[IMPORTED, *names], stages=STAGES, runs="runs/finetune", page=PAGE)
    return command_line


if __name__ == "__main__":
    sys.exit(main())
