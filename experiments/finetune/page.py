"""Writes docs/results/finetuning.md from the metrics files.

python -m experiments.finetune.page --runs runs/finetune --docs docs
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from experiments.command import with_sentences
from experiments.finetune.plan import (
    CFP,
    IMPORTED,
    ROWS,
    SEEN_DEGRADATIONS,
    SHARE,
    UNSEEN_DEGRADATIONS,
    Row,
    evaluation_name,
)
from experiments.reproduce.collect import FIGURES, NOT_RUN, Evaluations, times, write_figures
from experiments.reproduce.tables import table
from urfr_tf.files import write_text

Named = list[tuple[str, str]]
PAGE = "results/finetuning.md"
TAR = "tar@far=1e-3"
LISTED = "tar_listed@far=1e-3"
AIMS = {
    "": 0.984,
    "resolution:24": 0.9,
    "thumbnail:24": 0.9,
    "resolution:16": 0.6,
    "thumbnail:16": 0.6,
    "blur:25": 0.6,
    "occlusion:3": 0.92,
}
"""What fine-tuning set out for: clean faces; 24 and 16 pixels and back; a Gaussian of sigma 4 pixels; a black
rectangle of 40 to 64 pixels, to which the square of 48 is the nearest strength."""
HELP, HARM = "gains", "loses"
COMPARED = ("", "resolution:24", "resolution:16", "blur:25", "occlusion:4", "gamma:2.5", "jpeg:5", "noise:40")
"""Conditions in which the components are compared."""


@dataclass(frozen=True)
class Component:
    """A component of the method: what the second row has and the first has not."""

    name: str
    without: str
    having: str


COMPONENTS = (
    Component("augmentation", "cosface", "cosface_va"),
    Component("mixing", "cosface_va", "cosface_va_mixed"),
    Component("teacher", "cosface_va_mixed", "cosface_teacher"),
    Component("confidences (and 512-D)", "cosface_teacher", "urface_ci"),
    Component("decorrelation", "urface_ci", "urface"),
    Component("512-D instead of 128-D", "urface_128", "urface"),
    Component("aggregation", "urface", "urface-likelihood"),
    Component("uncertainty stage", "urface-likelihood", "urface_pa"),
    Component("15 epochs instead of 5, the baseline", "cosface_va_mixed", "cosface_va_long"),
    Component("15 epochs instead of 5, with the teacher", "cosface_teacher", "cosface_teacher_long"),
    Component("15 epochs: teacher", "cosface_va_long", "cosface_teacher_long"),
    Component("15 epochs: confidences, 512-D and decorrelation", "cosface_teacher_long", "urface_long"),
    Component("15 epochs: uncertainty stage", "urface_long-likelihood", "urface_long_pa"),
)


def by_seed(evaluations: Evaluations, name: str, test: str, metric: str) -> dict[int, float]:
    """A figure by seed; empty where no seed has it."""
    spread = evaluations.spread(name, test, metric)
    return {} if spread is None else spread.values


def cell(evaluations: Evaluations, name: str, test: str, metric: str) -> str:
    """`0.912 ± 0.004`: mean, and standard error where there are several seeds."""
    return spelt(list(by_seed(evaluations, name, test, metric).values()))


def marked(metric: str, condition: str) -> str:
    """A figure's name under a degradation (`blur:11`; empty for clean images)."""
    return f"{metric}@{condition.replace(':', '=')}" if condition else metric


def shown(condition: str) -> str:
    """A degradation as a heading."""
    return condition.replace(":", " ") or "clean"


def spelt(values: list[float], sign: bool = False) -> str:
    """Mean and standard error of the mean; `not run` without a value."""
    if not values:
        return NOT_RUN
    mean = _short(float(np.mean(values)), sign)
    if len(values) < 2:
        return mean
    return f"{mean} ± {_short(float(np.std(values, ddof=1) / np.sqrt(len(values))))}"


def _short(value: float, sign: bool = False) -> str:
    return f"{value:{'+' if sign else ''}.3f}"


def write(runs: Path, docs: Path, earlier_figures: Path | None = None) -> list[Path]:
    """Writes the page and the figures behind it, none where nothing was evaluated; `earlier_figures`: those
    of runs that are elsewhere."""
    figures = Evaluations(runs, {}, [name for name, _ in _named()], earlier_figures)
    spent = times(runs, earlier_figures)
    if figures.are_none(docs / PAGE):
        return []
    paths = [docs / PAGE, docs / FIGURES / Path(PAGE).with_suffix(".json").name]
    write_text(paths[0], "\n".join(lines(figures, spent)))
    write_figures(paths[1], figures, spent)
    return paths


def lines(figures: Evaluations, spent: dict[str, float]) -> list[str]:
    """The page; `spent` are seconds by job."""
    seeds = [seed for seed in figures.seeds if seed]
    return [
        "# Fine-tuning: what was measured",
        "",
        "Written by `python -m experiments.finetune.page` from the metrics files of the runs. No figure here "
        f"is typed. Figures are means over the seeds {', '.join(map(str, seeds))} ± standard error of the "
        "mean, over fewer seeds if a row says so. The imported weights have no seed. "
        f"`{NOT_RUN}` means that there is no such file. The float32 TFLite file of each run is tested. "
        "docs/lab/finetuning.md discusses the figures.",
        "",
        "    make finetune LFW=lfw.tar PAIRS=lfw_pairs.txt GENDER=lfw_gender_by_identity.tsv "
        "CFP=cfp_dev.tar WEIGHTS=NAME-0000.params",
        "",
        *describe_tests(figures, spent),
        "",
        "## Tested people: TAR at FAR 1e-3, against every cross-person pair",
        "",
        "There are 1,500 genuine pairs of folds 6 to 10. The second image of each is degraded. Every pair of "
        "images of two people, one of them degraded, is an impostor pair.",
        "",
        *make_pair_rows(figures, _named(), "lfw", ("", *SEEN_DEGRADATIONS)),
        "",
        "Degradations that are in no training:",
        "",
        *make_pair_rows(figures, _named(), "lfw", UNSEEN_DEGRADATIONS),
        "",
        "Against the 1,500 listed impostors alone, of which two decide at this FAR. The aims were set on "
        "such pairs. The images behind the aims were shrunk in another way (`thumbnail` is nearer to it), "
        "and their rectangle had sides of 40 to 64 pixels (`occlusion 3` has 48).",
        "",
        *_aims(figures),
        "",
        "## What each component contributed",
        "",
        "Each figure is the difference of two rows, seed by seed. The rows differ in nothing else, except "
        "that the teacher comes with a higher learning rate. The first two differences are between rows of "
        f"the baseline. All others are between rows that are mixed with {SHARE:g} of the imported weights "
        f"(`urfr mix`). A component **{HELP}** ({HARM}) if the difference has the same sign for every one "
        "of at least two seeds.",
        "",
        *_components(figures),
        "",
        "## CFP: accuracy",
        "",
        *make_cfp_rows(figures, _named()),
        "",
        "## Videos of four degraded frames (S2S and S2B, made of LFW's tested people)",
        "",
        *make_video_rows(figures, _named()),
        "",
        "## Validation people, on which settings were chosen: TAR at FAR 1e-3",
        "",
        *make_pair_rows(figures, _named(), "validation", ("", *SEEN_DEGRADATIONS, *UNSEEN_DEGRADATIONS)),
        "",
    ]


def describe_tests(figures: Evaluations, spent: dict[str, float]) -> list[str]:
    """How much was tested, on which machine, and how long all took."""
    counts, machines = figures.counts("lfw"), figures.origins().get("machine", [])
    hours = dict.fromkeys(("train", "evaluate"), 0.0)
    for job, seconds in spent.items():
        kind = job.rpartition("/")[2]
        if kind in hours and not job.startswith("data/"):
            hours[kind] += seconds / 3600
    return [
        f"Tested on {counts.get('images', '?')} images of {counts.get('people', '?')} people, "
        f"{counts.get('genuine', '?')} genuine pairs. Measured on {'; '.join(machines)}. All trainings took "
        f"{hours['train']:.1f} hours, and all tests {hours['evaluate']:.1f}. Other work may have shared the "
        "machine."
    ]


def _named() -> Named:
    return name_rows({IMPORTED: "imported"}, ROWS)


def name_rows(starts: dict[str, str], rows: Sequence[Row]) -> Named:
    """(folder, title) of each line of a table: of what was not trained here, and of each row's scores."""
    found = list(starts.items())
    for row in rows:
        found += [(evaluation_name(row, score), _title(row, score)) for score in row.scores]
    return found


def _title(row: Row, score: str) -> str:
    return row.title if score == row.scores[0] else f"{row.title}, by {score}"


def make_rows(figures: Evaluations, named: Named, test: str, columns: dict[str, str]) -> list[str]:
    """A table of every row's figures in a test; `columns` maps headings to the figures' names."""
    rows = [
        [
            title + _fewer(figures, name, test),
            *(cell(figures, name, test, metric) for metric in columns.values()),
        ]
        for name, title in named
    ]
    return table(["", *columns], rows)


def _fewer(figures: Evaluations, name: str, test: str) -> str:
    """` (1 seed)` where a row has fewer seeds than there are."""
    everyone = [seed for seed in figures.seeds if seed]
    found = [seed for seed in everyone if figures.file(seed, name, test)]
    if figures.file(0, name, test) or not 0 < len(found) < len(everyone):
        return ""
    return f" ({len(found)} seed{'s' if len(found) > 1 else ''})"


def make_pair_rows(figures: Evaluations, named: Named, test: str, conditions: tuple[str, ...]) -> list[str]:
    """TAR at FAR 1e-3 of every row under each condition."""
    return make_rows(
        figures, named, test, {shown(condition): marked(TAR, condition) for condition in conditions}
    )


def _aims(figures: Evaluations) -> list[str]:
    rows = make_rows(
        figures, _named(), "lfw", {shown(condition): marked(LISTED, condition) for condition in AIMS}
    )
    return [*rows, f"| aim | {' | '.join(map(_short, AIMS.values()))} |"]


def _components(figures: Evaluations) -> list[str]:
    rows = []
    for component in COMPONENTS:
        both = [
            [
                by_seed(figures, name, "lfw", marked(TAR, condition))
                for name in (component.without, component.having)
            ]
            for condition in COMPARED
        ]
        rows.append([component.name, *(difference(*values) for values in both)])
    return table(["", *map(shown, COMPARED)], rows)


def difference(without: dict[int, float], having: dict[int, float]) -> str:
    """Mean difference over the seeds that have both, its standard error, and whether every seed agrees."""
    values = [having[seed] - without[seed] for seed in sorted(without.keys() & having.keys())]
    if len(values) < 2:
        return spelt(values, sign=True)
    word = f" **{HELP}**" if min(values) > 0 else f" {HARM}" if max(values) < 0 else ""
    return spelt(values, sign=True) + word


def make_cfp_rows(figures: Evaluations, named: Named) -> list[str]:
    """Accuracy on CFP, frontal pairs and pairs with a profile."""
    columns = {
        f"{component.upper()} {shown(condition) if condition else ''}".strip(): marked(
            f"{component}/accuracy", condition
        )
        for component in ("ff", "fp")
        for condition in ("", *CFP)
    }
    return make_rows(figures, named, "cfp", columns)


def make_video_rows(figures: Evaluations, named: Named) -> list[str]:
    """Searches with videos of degraded frames."""
    columns = {
        f"{component.upper()} {spelling}": f"{component}/{metric}"
        for component in ("s2s", "s2b")
        for metric, spelling in (("rank1", "rank 1"), ("tpir@fpir=0.01", "TPIR, FPIR 1 %"))
    }
    return make_rows(figures, named, "ijbs", columns)


@with_sentences("page")
def main() -> None:
    """Reads the arguments and writes the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", required=True, type=Path)
    parser.add_argument("--docs", required=True, type=Path)
    parser.add_argument("--earlier-figures", type=Path, help="figures of runs that are elsewhere")
    args = parser.parse_args()
    for path in write(args.runs, args.docs, args.earlier_figures):
        print(path)


if __name__ == "__main__":
    sys.exit(main())
