"""Fine-tuning of imported weights into URFace, against plain CosFace: every row, every seed, every test.

    python -m experiments.finetune --lfw lfw.tar --pairs lfw_pairs.txt --gender GENDER.tsv --cfp cfp_dev.tar
        \\ --weights insightface_mobilefacenet-0000.params

Give it again to go on: what is done is skipped, what was interrupted continues. Writes
docs/results/finetuning.md.
"""

import argparse
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from experiments.command import with_sentences
from experiments.finetune.page import PAGE, write
from experiments.finetune.plan import IMPORTED, ROWS, finetune_plan
from experiments.reproduce.__main__ import list_jobs
from experiments.reproduce.jobs import LATER, STOPPED, Job, check_sources, run_jobs, select_jobs
from experiments.reproduce.options import add_options
from experiments.reproduce.plan import ReproductionRequest

STAGES = ("train", "evaluate")


@dataclass(frozen=True)
class Study:
    """Trainings and tests of several rows, and the page about them.

    Attributes:
        name: of its module in experiments/ and of its folder in runs/.
        about: what its help says.
        sources: options that name published files.
        rows: names of what is tested.
        page: below docs/.
        plan: makes the jobs. write: makes the page.
    """

    name: str
    about: str
    sources: tuple[str, ...]
    rows: tuple[str, ...]
    page: str
    plan: Callable[[ReproductionRequest], list[Job]]
    write: Callable[[Path, Path, Path | None], list[Path]]

    def run(self, argv: list[str] | None) -> int:
        """Runs the jobs and writes the page; 1 if a job failed, 0 also where only the time was up."""
        args = self.build_parser().parse_args(argv)
        # Told to end, it first ends the job under way: two at once would write into one folder.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        sources = {name: getattr(args, name) for name in self.sources}
        runs = args.runs or Path("runs", self.name)
        request = ReproductionRequest(
            runs, tuple(args.seeds), f"{self.name}_", sources, tuple(args.set), size=112
        )
        jobs = self.plan(request)
        chosen = select_jobs(jobs, [job.name for job in jobs if is_wanted(job, args.only, args.stage)])
        if args.list:
            list_jobs(jobs, chosen, request.runs)
            return 0
        check_sources(jobs, chosen, request.runs, request.sources)
        left = run_jobs(jobs, chosen, request.runs, args.seconds)
        for path in self.write(request.runs, args.docs, args.earlier_figures):
            print(path)
        return int(any(why not in (STOPPED, LATER) for why in left.values()))

    def build_parser(self) -> argparse.ArgumentParser:
        """The command line."""
        parser = argparse.ArgumentParser(
            prog=f"python -m experiments.{self.name}",
            description=self.about,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        for name in self.sources:
            parser.add_argument(f"--{name}", required=True)
        add_options(parser, rows=self.rows, stages=STAGES, runs=f"runs/{self.name}", page=self.page)
        return parser


def is_wanted(job: Job, rows: list[str] | None, stages: list[str] | None) -> bool:
    """Whether a job was asked for by its stage and row; what it needs comes with it."""
    row, _, stage = job.name.rpartition("/")
    if stage not in STAGES or row == "data":
        return False
    name = row.rpartition("/")[2]
    return (stages is None or stage in stages) and (rows is None or name in rows)


@with_sentences("finetune")
def main(argv: list[str] | None = None) -> int:
    """Runs the study of imported weights."""
    sources, rows = ("lfw", "pairs", "gender", "cfp", "weights"), (IMPORTED, *(row.name for row in ROWS))
    return Study("finetune", str(__doc__), sources, rows, PAGE, finetune_plan, write).run(argv)


if __name__ == "__main__":
    sys.exit(main())
