"""Writes docs/results/small.md, its pictures and figures, and docs/results/model_card.md from metrics files.

python -m experiments.reproduce.page --scale small --runs runs/small --docs docs
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from experiments.command import with_sentences
from experiments.reproduce import costs, paper, tables
from experiments.reproduce.ablations import is_of_an_ablation
from experiments.reproduce.card import model_card
from experiments.reproduce.collect import (
    FAILS,
    FIGURES,
    HOLDS,
    MIXED,
    NOT_RUN,
    Evaluations,
    captions,
    digest,
    judge,
    times,
    write_figures,
)
from experiments.reproduce.figures import draw
from experiments.reproduce.full import FLOPS, GPUS, IMAGES, MEMORY, MULTIPLY_ADDS, PEOPLE
from experiments.reproduce.page_intro import small_intro
from experiments.reproduce.paper import STATEMENTS
from experiments.reproduce.plan import ROWS, aliases, suffix
from urfr_tf.files import write_text

NOTES_FILE = "seen.md"
"""Next to the pictures: sentences of somebody who looked at them, the only text that is written by hand."""
TINY = {"small": ["tinyface_16", "tinyface_24"], "full": ["tinyface"]}
TITLES = {
    "small": "# Results: the paper's tables, in small",
    "imported": "# Results from imported weights: the paper's tables, in small",
    "full": "# Results at full scale",
}
COMMANDS = {
    "small": "make reproduce-small LFW=lfw.tar PAIRS=lfw_pairs.txt GENDER=lfw_gender_by_identity.tsv "
    "CFP=cfp_dev.tar",
    "imported": "make reproduce-imported LFW=lfw.tar PAIRS=lfw_pairs.txt GENDER=lfw_gender_by_identity.tsv "
    "CFP=cfp_dev.tar WEIGHTS=NAME-0000.params",
    "full": "make reproduce MS1M=faces_ms1m CELEBA=CelebA LFW=lfw CFP=cfp TINYFACE=tinyface IJBC=IJB-C "
    "IJBS=IJB-S",
}


@with_sentences("page")
def main() -> None:
    """Reads the arguments and writes the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scale", required=True, choices=TINY)
    parser.add_argument("--runs", required=True, type=Path)
    parser.add_argument("--docs", required=True, type=Path)
    parser.add_argument("--name", default="", help="of a second reproduction: small_NAME.md, no model card")
    parser.add_argument("--earlier-figures", type=Path, help="figures of runs that are elsewhere")
    args = parser.parse_args()
    for path in write(args.scale, args.runs, args.docs, args.name, args.earlier_figures):
        print(path)


def write(
    scale: str, runs: Path, docs: Path, second: str = "", earlier_figures: Path | None = None
) -> list[Path]:
    """Writes what belongs to a scale; returns the files, none where nothing was evaluated. The model card is
    that of the first small reproduction.

    Raises:
        UrfrError: a metrics file does not parse.
    """
    evaluations = Evaluations(
        runs, aliases("small_" if scale == "small" else ""), earlier_figures=earlier_figures
    )
    # The ablations have their own page, with their time.
    spent = {
        job: seconds for job, seconds in times(runs, earlier_figures).items() if not is_of_an_ablation(job)
    }
    name = f"{scale}{suffix(second)}"
    page = docs / "results" / f"{name}.md"
    if evaluations.are_none(page):
        return []
    figures = docs / FIGURES / f"{name}.json"
    # In other docs the pictures may be of other runs than those that were kept.
    before = (
        captions(earlier_figures)
        if earlier_figures is not None and earlier_figures.resolve() == figures.resolve()
        else {}
    )
    pictures = draw(evaluations, page.parent / name, before)
    shown = {f"{name}/{key}.png": caption for key, caption in pictures.items()}
    notes = _seen(page.parent / name / NOTES_FILE, digest(evaluations))
    lines = results(scale, evaluations, runs, spent, shown, notes, second)
    lines += full_scale(costs.read(docs)) if scale == "small" and not second else []
    write_text(page, "\n".join(lines))
    paths = [page, figures]
    write_figures(figures, evaluations, spent, pictures)
    if scale == "small" and not second:
        paths.append(page.parent / "model_card.md")
        write_text(paths[-1], "\n".join(model_card(evaluations)))
    return paths


def results(
    scale: str,
    evaluations: Evaluations,
    runs: Path,
    spent: dict[str, float],
    pictures: dict[str, str],
    notes: str = "",
    second: str = "",
) -> list[str]:
    """The page's lines; `spent` are seconds by job, `notes` what somebody wrote who looked at the pictures;
    `second`: its name."""
    surveillance = "IJB-S-like, made of LFW" if scale == "small" else "IJB-S"
    return [
        TITLES.get(second, TITLES[scale]),
        "",
        "Written by `python -m experiments.reproduce.page` from the metrics files of the runs. No figure "
        "here is typed. Figures are per cent, as mean over the seeds ± their standard deviation (number of "
        f"seeds). `{NOT_RUN}` means that there is no such file, and `thin` that fewer than ten impostors are "
        "behind the rate. The line in italics below each row is what the paper reports on other data (4.8 "
        "million training images; the real TinyFace and IJB-S). Compare the order of the rows, not their "
        "height.",
        "",
        f"    {COMMANDS.get(second, COMMANDS[scale])}",
        "",
        *(small_intro(evaluations, runs, spent, second) if scale == "small" else []),
        "## What holds",
        "",
        "Each statement is judged by the difference of its two rows, seed by seed. "
        f"`{HOLDS}`: positive for every seed that has both rows. `{FAILS}`: negative for every one. "
        f"`{MIXED}`: neither. Three seeds agree by chance alone one time in four, so three seeds are an "
        "indication, and one seed is hardly that. `mean, 95 %` is the mean difference in points and half of "
        "its interval by Student's t over the seeds. It covers other seeds, and not other probes, which are "
        "the same in all.",
        "",
        *tables.statements(evaluations),
        "",
        _count(evaluations),
        "",
        f"## Surveillance to single ({surveillance})",
        "",
        *tables.surveillance(evaluations, "s2s"),
        "",
        f"## Surveillance to booking ({surveillance})",
        "",
        *tables.surveillance(evaluations, "s2b"),
        "",
        *(_lost(evaluations) if scale == "small" else []),
        "## Variations in the decorrelation",
        "",
        *tables.variations(evaluations, TINY[scale]),
        "",
        "The paper's last row has the figures of its all + PA. The rows here are scored by cosine, without "
        "the uncertainty stage.",
        "",
        *_same_runs(evaluations),
        "## LFW and CFP",
        "",
        "Accuracy, with the threshold of each fold chosen on the other folds, and TAR.",
        "",
        *tables.faces(evaluations),
        "",
        *_pictures(pictures, notes),
        *_minutes(spent),
    ]


def _seen(path: Path, figures: str) -> str:
    """What somebody wrote who looked at the pictures of these figures; nothing where it is about other
    figures."""
    notes = path.read_text(encoding="utf-8") if path.is_file() else ""
    if f"figures {figures}" in notes.split("\n", 1)[0]:
        return notes
    print(f"look at the pictures: no first line of {path} says `figures {figures}`, so no sentence is shown")
    return ""


def _minutes(spent: dict[str, float]) -> list[str]:
    """Wall time of each row, where there is any: mean over the seeds."""
    rows = []
    for row in ROWS:
        cells = []
        for kind in ("train", "evaluate"):
            values = [
                v for name, v in spent.items() if name.startswith("seed") and name.endswith(f"/{row}/{kind}")
            ]
            cells.append(f"{sum(values) / len(values) / 60:.1f} ({len(values)})" if values else NOT_RUN)
        rows.append([paper.NAMES[row], *cells])
    if not spent:
        return []
    heading = ["minutes (seeds)", "training", "evaluation"]
    return ["## Time", "", *tables.table(heading, rows), ""]


def _count(evaluations: Evaluations) -> str:
    answers = [judge(evaluations, statement).answer for statement in STATEMENTS]
    counted = ", ".join(f"{kind} {answers.count(kind)}" for kind in (HOLDS, FAILS, MIXED, NOT_RUN))
    return f"Of {len(answers)} statements: {counted}."


def _lost(evaluations: Evaluations) -> list[str]:
    return [
        "## Videos with half of their frames lost",
        "",
        "This is not in the paper. The videos are the same, and a second set of them in which each frame is, "
        "with a probability of one half, 4 to 6 pixels wide, so that nobody can be recognized in it. "
        "Templates are made as above (by mean and cosine; all + PA by fusion and likelihood), and by "
        "`urfr evaluate --score weighted`: means that are weighted by a power of the confidences or "
        "(`--weight norm`) of the length of the embedding, compared by cosine. The power was chosen on "
        "validation people (docs/lab/aggregation.md says why).",
        "",
        *tables.aggregation(evaluations),
        "",
    ]


def _same_runs(evaluations: Evaluations) -> list[str]:
    if not evaluations.alias:
        return []
    text = " ".join(
        f"`{row}` and `{other}` are one configuration, and the same run."
        for row, other in evaluations.alias.items()
    )
    return [text, ""]


def _pictures(pictures: dict[str, str], notes: str) -> list[str]:
    lines = ["## Pictures", ""]
    for path, caption in pictures.items():
        lines += [f"![{caption.split(':')[0]}]({path})", "", caption, ""]
    if not pictures:
        lines += [f"{NOT_RUN.capitalize()}.", ""]
    return [*lines, "### What is seen in them", "", *notes.splitlines(), ""] if notes else lines


def full_scale(planned: dict[str, dict[str, Any]]) -> list[str]:
    """The section on full scale; `planned` as `costs` has it."""
    alias = aliases("")
    trained = [row for row in ROWS if row not in alias]
    hours = sum(planned[row]["hours"] for row in trained if row in planned)
    command = " ".join(["urfr", *costs.plan_words("ROW")])
    return [
        "## The same at full scale",
        "",
        f"    {COMMANDS['full']}",
        "",
        "This is the same code with the configurations in `configs/paper/`, MS-Celeb-1M "
        f"({IMAGES / 1e6:.1f} million images of {PEOPLE:,} people as an InsightFace archive), CelebA for "
        f"theta_A, and the published tests. A test whose data is not named says `{NOT_RUN}`. The hardware "
        f"is {GPUS} GPUs of {MEMORY} GiB. Memory and hours are planned, not measured. We know of nobody who "
        "has run it.",
        "",
        f"    {command}",
        "",
        f"The rate, in images per second, assumes {FLOPS / 1e12:.0f} TFLOP/s sustained on every GPU and the "
        f"work of three forward passes for a training image, {MULTIPLY_ADDS / 1e9:.1f} G multiply-adds each. "
        "In the uncertainty stage, which takes one pass, it is three times as high. What this code sustains "
        "was measured on a CPU only: 0.85 of the machine's matrix product for IR-100 in float32 and 0.56 in "
        "bfloat16, that is 3.9 and 9.7 images per second on two cores with AMX (docs/lab/scale.md). Measure "
        "your own rate after a hundred steps, and `--rate` gives your hours. The paper's figures are Table "
        "1's TinyFace rank 1, 5 and IJB-S rank 1, 5, and Table 2's rank 1 and TPIR at 1 % FPIR.",
        "",
        *tables.full_scale(planned, alias),
        "",
        f"{len(ROWS)} rows and one seed take {hours:.0f} hours. Rows of one configuration are trained once.",
        "",
    ]


if __name__ == "__main__":
    sys.exit(main())
