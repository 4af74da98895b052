"""Writes docs/finetuning_results.md from the metrics files.

python -m benchmarks.finetune.page --runs runs/finetune --docs docs
"""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.finetune.plan import CFP, IMPORTED, ROWS, SEEN, UNSEEN, Row, evaluation_name
from benchmarks.reproduce.collect import METRICS, NOT_RUN, times
from benchmarks.reproduce.tables import table
from urfr_tf.files import read_json, write_text

PAGE = "finetuning_results.md"
TAR = "tar@far=1e-3"
HELP, HARM = "gains", "loses"


@dataclass(frozen=True)
class Part:
    """A part of the method: what the second row has and the first has not."""

    name: str
    without: str
    having: str


PARTS = (
    Part("augmentation", "cosface", "cosface_va"),
    Part("teacher", "cosface_va", "cosface_teacher"),
    Part("confidences (and 512-D)", "cosface_teacher", "urface_ci"),
    Part("decorrelation", "urface_ci", "urface"),
    Part("512-D in place of 128-D", "urface_128", "urface"),
    Part("aggregation", "urface", "urface-likelihood"),
)


class Figures:
    """`evaluation/seedN/NAME/TEST/metrics.json` below a folder of runs."""

    def __init__(self, runs: Path) -> None:
        self.files: dict[tuple[str, str], dict[int, dict[str, Any]]] = {}
        for path in sorted((runs / "evaluation").glob(f"seed*/*/*/{METRICS}")):
            seed, name, test = path.parts[-4:-1]
            self.files.setdefault((name, test), {})[int(seed[4:])] = read_json(path)

    def values(self, name: str, test: str, metric: str) -> dict[int, float]:
        """A figure by seed."""
        found = self.files.get((name, test), {})
        return {
            seed: content["metrics"][metric]
            for seed, content in found.items()
            if metric in content["metrics"]
        }

    def cell(self, name: str, test: str, metric: str) -> str:
        """`.912 ± .004`: mean, and standard error where there are several seeds."""
        return spelt(list(self.values(name, test, metric).values()))


def spelt(values: list[float], sign: bool = False) -> str:
    """Mean and standard error of the mean; `not run` without a value."""
    if not values:
        return NOT_RUN
    mean = _short(float(np.mean(values)), sign)
    if len(values) < 2:
        return mean
    return f"{mean} ± {_short(float(np.std(values, ddof=1) / np.sqrt(len(values))))}"


def _short(value: float, sign: bool = False) -> str:
    return f"{value:{'+' if sign else ''}.3f}".replace("0.", ".", 1)


def lines(runs: Path) -> list[str]:
    """The page."""
    figures = Figures(runs)
    seeds = sorted({seed for found in figures.files.values() for seed in found if seed})
    return [
        "# Fine-tuning: what was measured",
        "",
        "Written by `python -m benchmarks.finetune.page` from the metrics files of the runs; no figure here is typed. "
        f"Mean over the seeds {', '.join(map(str, seeds))} ± standard error of the mean; the imported weights have no seed. "
        f"`{NOT_RUN}`: no such file. How to read it: docs/finetuning.md.",
        "",
        "    make finetune LFW=lfw.tar PAIRS=lfw_pairs.txt GENDER=lfw_gender_by_identity.tsv CFP=cfp_dev.tar WEIGHTS=NAME-0000.params",
        "",
        *_about(figures, runs),
        "",
        "## Tested people: TAR at FAR 1e-3, against every cross-person pair",
        "",
        "1,500 genuine pairs of folds 6 to 10, the second image of each degraded; every pair of two people's images, one of them degraded, is an impostor.",
        "",
        *_pairs(figures, "lfw", ("", *SEEN), "tar@far=1e-3"),
        "",
        "Degradations that no training contained:",
        "",
        *_pairs(figures, "lfw", UNSEEN, "tar@far=1e-3"),
        "",
        "## What each part contributed",
        "",
        "Difference of two rows, seed by seed. They differ in nothing else, but that the teacher comes with a higher rate. A part "
        f"**{HELP}** ({HARM}) where the difference has the same sign for every one of at least two seeds.",
        "",
        *_parts(figures),
        "",
        "## CFP: accuracy",
        "",
        *_cfp(figures),
        "",
        "## Videos of four degraded frames (S2S and S2B, made of LFW's tested people)",
        "",
        *_surveillance(figures),
        "",
        "## Validation people, on which settings were chosen: TAR at FAR 1e-3",
        "",
        *_pairs(figures, "validation", ("", *SEEN, *UNSEEN), "tar@far=1e-3"),
        "",
    ]


def _about(figures: Figures, runs: Path) -> list[str]:
    counts = next(
        (f["counts"] for (_, test), s in figures.files.items() if test == "lfw" for f in s.values()), {}
    )
    machines = {f["versions"]["machine"] for s in figures.files.values() for f in s.values()}
    hours = dict.fromkeys(("train", "evaluate"), 0.0)
    for piece, seconds in times(runs).items():
        kind = piece.rpartition("/")[2]
        if kind in hours:
            hours[kind] += seconds / 3600
    return [
        f"Tested on {counts.get('images', '?')} images of {counts.get('people', '?')} people, {counts.get('genuine', '?')} genuine pairs. "
        f"Measured on {'; '.join(sorted(machines))}; all trainings {hours['train']:.1f} hours, all tests {hours['evaluate']:.1f}; "
        "other work may have shared the machine."
    ]


def _named() -> list[tuple[str, str]]:
    """(folder, title) of each line of a table."""
    found = [(IMPORTED, "imported")]
    for row in ROWS:
        found += [(evaluation_name(row, score), _title(row, score)) for score in row.scores]
    return found


def _title(row: Row, score: str) -> str:
    return row.title if score == row.scores[0] else f"{row.title}, by {score}"


def _pairs(figures: Figures, test: str, conditions: tuple[str, ...], metric: str) -> list[str]:
    heading = ["", *(condition.replace(":", " ") or "clean" for condition in conditions)]
    rows = []
    for name, title in _named():
        marks = [metric + (f"@{c.replace(':', '=')}" if c else "") for c in conditions]
        rows.append([title, *(figures.cell(name, test, mark) for mark in marks)])
    return table(heading, rows)


def _parts(figures: Figures) -> list[str]:
    shown = (
        "",
        "resolution:24",
        "resolution:16",
        "blur:25",
        "occlusion:4",
        "gamma:2.5",
        "jpeg:5",
        "noise:40",
    )
    rows = []
    for part in PARTS:
        cells = []
        for condition in shown:
            mark = TAR + (f"@{condition.replace(':', '=')}" if condition else "")
            cells.append(
                difference(*(figures.values(name, "lfw", mark) for name in (part.without, part.having)))
            )
        rows.append([part.name, *cells])
    return table(["", *(condition.replace(":", " ") or "clean" for condition in shown)], rows)


def difference(without: dict[int, float], having: dict[int, float]) -> str:
    """Mean difference over the seeds that have both, its standard error, and whether every seed agrees."""
    values = [having[seed] - without[seed] for seed in sorted(without.keys() & having.keys())]
    if len(values) < 2:
        return spelt(values, sign=True)
    word = f" **{HELP}**" if min(values) > 0 else f" {HARM}" if max(values) < 0 else ""
    return spelt(values, sign=True) + word


def _cfp(figures: Figures) -> list[str]:
    columns = [(part, condition) for part in ("ff", "fp") for condition in ("", *CFP)]
    heading = ["", *(f"{p.upper()} {c.replace(':', ' ')}".strip() for p, c in columns)]
    rows = []
    for name, title in _named():
        marks = [f"{p}/accuracy" + (f"@{c.replace(':', '=')}" if c else "") for p, c in columns]
        rows.append([title, *(figures.cell(name, "cfp", mark) for mark in marks)])
    return table(heading, rows)


def _surveillance(figures: Figures) -> list[str]:
    columns = {
        f"{part.upper()} {spelling}": f"{part}/{metric}"
        for part in ("s2s", "s2b")
        for metric, spelling in (("rank1", "rank 1"), ("tpir@fpir=0.01", "TPIR, FPIR 1 %"))
    }
    rows = [
        [title, *(figures.cell(name, "ijbs", mark) for mark in columns.values())] for name, title in _named()
    ]
    return table(["", *columns], rows)


def main() -> None:
    """Reads the arguments and writes the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", required=True, type=Path)
    parser.add_argument("--docs", required=True, type=Path)
    args = parser.parse_args()
    write_text(args.docs / PAGE, "\n".join(lines(args.runs)))
    print(args.docs / PAGE)


if __name__ == "__main__":
    main()
