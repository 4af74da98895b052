"""Why the small scale disagrees with the paper: one ablation at a time, tried on validation people only.

    make reproduce-small REPRODUCE_FLAGS="--ablations --seeds 1" ...

Most are the row "all" with one or two settings changed, some with the uncertainty stage after it, next to the
rows that they should not fall behind. The page docs/lab/causes.md is written from the metrics files.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments.reproduce.collect import FIGURES, Evaluations, times, write_figures
from experiments.reproduce.jobs import Job
from experiments.reproduce.plan import (
    IJBS,
    IJBS_LOST,
    LOST_WEIGHTED,
    STAGED,
    ReproductionRequest,
    settings,
    write_tests,
)
from experiments.reproduce.small import DEGRADED, small_plan, videos
from experiments.reproduce.tables import table
from urfr_tf.files import write_text

FOLDER = "ablations"
PAGE = "causes"
"""Name of the page in docs/lab and of the figures behind it."""
_PAIRS = "pairs"
_TAR = "tar@far=1e-2"
COLUMNS = {
    "clean": (_PAIRS, _TAR),
    **{word.replace(":", " "): (_PAIRS, f"{_TAR}@{word.replace(':', '=')}") for word in DEGRADED},
    **{
        f"{heading}{of}": (test, metric)
        for test, of in (
            (IJBS, ""),
            (IJBS_LOST, ", half of the frames lost"),
            (LOST_WEIGHTED, ", the same `weighted`"),
        )
        for heading, metric in (
            ("S2S rank 1", "s2s/rank1"),
            ("S2S TPIR, FPIR 10 %", "s2s/tpir@fpir=0.1"),
            ("S2B rank 1", "s2b/rank1"),
        )
    },
}


@dataclass(frozen=True)
class Ablation:
    """A training that is tried.

    Attributes:
        name: of its folders. title: in the table.
        row: whose configuration it changes; its own run where `sets` is empty.
        sets: what is changed.
        after: the ablation whose run it goes on from; what the row itself goes on from where this is empty.
    """

    name: str
    title: str
    row: str
    sets: tuple[str, ...] = ()
    after: str = ""


_ALL, _ALL_PA = "table2_all", "table2_all_pa"
_HARD = ("augment.blur=0.5", "augment.occlusion=0.5", "augment.blur_sizes=[3,31]")
"""Images that nobody can recognise any more, for which the paper's confidences are meant."""
_PATIENT = ("optimizer.learning_rate.constant.learning_rate=0.003", "train.epochs=8")
ABLATIONS = (
    Ablation("va", "Baseline + VA", "table2_baseline_va"),
    Ablation("confidences", "0 + 0: confidences alone", "table1_0_0"),
    Ablation("augmented", "3 + 0: no mined variations", "table1_3_0"),
    Ablation("all", "all", _ALL),
    Ablation("sums", "the decorrelation in sums, as in the paper", _ALL, ("decorrelation.average=false",)),
    Ablation("quarter", "a quarter of its weight", _ALL, ("loss.cls=0.5", "loss.adv=0.5")),
    Ablation("norm", "confidences see the norm", _ALL, ("confidence.norm=true",)),
    Ablation("rate", "confidences learn ten times as fast", _ALL, ("confidence.rate=1.0",)),
    Ablation(
        "classifier",
        "the variation classifier learns ten times as fast",
        _ALL,
        ("decorrelation.classifier_rate=0.1",),
    ),
    Ablation("margin", "margin 16 in place of 9.6", _ALL, ("loss.margin=16.0",)),
    Ablation("teacher", "taught by the start", _ALL, ("loss.teacher=20.0",)),
    Ablation("hard_va", "Baseline + VA, harder images", "table2_baseline_va", _HARD),
    Ablation("hard_confidences", "0 + 0, harder images", "table1_0_0", _HARD),
    Ablation("hard_all", "all, harder images", _ALL, _HARD),
    # Controls: only the scale that the confidences of 0 + 0 reach, and that in sixteen sub-embeddings.
    Ablation(
        "hard_scale",
        "Baseline + VA, harder images, scale 39.5",
        "table2_baseline_va",
        (*_HARD, "confidence.initial=39.5"),
    ),
    Ablation(
        "hard_fixed",
        "0 + 0, harder images, all confidences 39.5",
        "table1_0_0",
        (*_HARD, "confidence.learned=false", "confidence.initial=39.5"),
    ),
    Ablation(
        "hard_rate",
        "0 + 0, harder images, confidences learn ten times as fast",
        "table1_0_0",
        (*_HARD, "confidence.rate=1.0"),
    ),
    # The uncertainty stage, by likelihood.
    Ablation("pa", "all + PA", _ALL_PA),
    Ablation(
        "pa_low",
        "all + PA, low resolution in the second stage",
        _ALL_PA,
        ("augment.resolution=0.4", "augment.resolution_sizes=[8,32]"),
    ),
    Ablation("hard_pa", "all + PA, harder images in both stages", _ALL_PA, _HARD, "hard_all"),
    Ablation("pa_patient", "PA at three times the rate, twice as long", _ALL_PA, _PATIENT),
    Ablation(
        "norm_patient",
        "the same, where confidences see the norm",
        _ALL_PA,
        (*_PATIENT, "confidence.norm=true"),
        "norm",
    ),
)
NAMES = tuple(ablation.name for ablation in ABLATIONS)


def is_wanted(job: str, names: Sequence[str]) -> bool:
    """Whether a job is the measurement of one of these ablations."""
    return job.endswith("/validate") and job.split("/")[-2] in names


def is_of_an_ablation(job: str) -> bool:
    """Whether a job is of an ablation, and not of a row."""
    return f"/{FOLDER}/" in job


def plan_ablations(request: ReproductionRequest) -> list[Job]:
    """The jobs of the small reproduction, and those of each ablation: `seedN/ablations/NAME/train` and
    `.../validate`."""
    jobs, data = small_plan(request), request.runs / "data"
    words = ["-m", "experiments.reproduce.surveillance", "--data", str(data / "validation")]
    # Every validation person has two images or more: there would be no distractors.
    words += ["--sets", IJBS, IJBS_LOST, "--out", str(data / "validation_tests")]
    jobs.append(Job("data/validation_tests", tuple(words), ("data/validation",)))
    tests = write_tests(request, _tests(data))
    planned = {job.name: job for job in jobs}
    for seed in request.seeds:
        for ablation in ABLATIONS:
            run, last = request.run(seed, ablation.row), f"seed{seed}/{ablation.row}/train"
            if ablation.sets or ablation.after:
                jobs.append(_training(request, seed, ablation, planned[last]))
                run, last = _run(request, seed, ablation.name), jobs[-1].name
            words = ["-m", "experiments.reproduce.evaluate", "--run", str(run)]
            words += ["--score", "likelihood" if ablation.row in STAGED else "cosine", "--tflite"]
            words += ["--tests", str(tests)]
            words += ["--out", str(request.runs / FOLDER / "evaluation" / f"seed{seed}" / ablation.name)]
            name = f"seed{seed}/{FOLDER}/{ablation.name}/validate"
            jobs.append(Job(name, tuple(words), (last, "data/validation_tests")))
    return jobs


def _run(request: ReproductionRequest, seed: int, name: str) -> Path:
    return request.runs / FOLDER / f"seed{seed}" / name


def _job(seed: int, name: str) -> str:
    return f"seed{seed}/{FOLDER}/{name}/train"


def _training(request: ReproductionRequest, seed: int, ablation: Ablation, row: Job) -> Job:
    """The command of the row itself, into another folder and with what is changed at its end."""
    run_folder, sets, needs = str(_run(request, seed, ablation.name)), ablation.sets, row.needs
    if ablation.after:
        before = f"seed{seed}/{STAGED[ablation.row]}/train"
        needs = tuple(_job(seed, ablation.after) if need == before else need for need in needs)
        sets = (*sets, f"initial_weights={_run(request, seed, ablation.after)}")
    words = [run_folder if word == str(request.run(seed, ablation.row)) else word for word in row.words]
    return Job(_job(seed, ablation.name), (*words, *settings(sets)), needs)


def _tests(data: Path) -> dict[str, list[str]]:
    pairs = ["--protocol", "pairs", "--impostors", "all", "--data", str(data / "validation")]
    searched = videos(data / "validation_tests", (IJBS, IJBS_LOST, LOST_WEIGHTED))
    return {_PAIRS: [*pairs, "--far", "1e-2", "--thin-far", "--degrade", *DEGRADED], **searched}


def write(runs: Path, docs: Path, earlier_figures: Path | None = None, suffix: str = "") -> None:
    """Writes docs/lab/causes.md and the figures behind it; `earlier_figures`: those of runs that are
    elsewhere."""
    figures = Evaluations(runs / FOLDER, {}, NAMES, earlier_figures)
    spent = {job: seconds for job, seconds in times(runs, earlier_figures).items() if is_of_an_ablation(job)}
    page = docs / "lab" / f"{PAGE}{suffix}.md"
    if figures.are_none(page):
        return
    write_text(page, "\n".join(lines(figures, spent)))
    write_figures(docs / FIGURES / f"{PAGE}{suffix}.json", figures, spent)


def lines(figures: Evaluations, spent: dict[str, float]) -> list[str]:
    """The page; `spent` are seconds by job."""
    counts, searched = figures.counts(_PAIRS), figures.counts(IJBS)
    measured = {row for _, row, _ in figures.files}
    left = [
        f"{ablation.title} (`{ablation.name}`)" for ablation in ABLATIONS if ablation.name not in measured
    ]
    rows = [
        [
            ablation.title,
            ", ".join(f"`{setting}`" for setting in ablation.sets),
            *(figures.cell(ablation.name, test, metric) for test, metric in COLUMNS.values()),
        ]
        for ablation in ABLATIONS
        if ablation.name in measured
    ]
    return [
        "# Ablations, on validation people",
        "",
        "Written by `python -m experiments.reproduce small --ablations` from the metrics files. No figure "
        "here is typed. Figures are per cent, as mean over the seeds ± their standard deviation (number of "
        "seeds): TAR at FAR 1 % of pairs, and searches with videos of four degraded frames. In the second "
        "kind of videos half of the frames are 4 to 6 pixels wide, so that nobody can be recognized. "
        "`weighted` means templates by `urfr evaluate --score weighted` (docs/lab/aggregation.md). Nobody "
        "here is trained on or tested. Settings were chosen here. docs/results/small.md has the tested "
        "people.",
        "",
        f"{counts.get('images', '?')} images of {counts.get('people', '?')} people, "
        f"{counts.get('genuine', '?')} genuine pairs; "
        f"{searched.get('s2s/probes', '?')} videos, {searched.get('s2s/gallery', '?')} people enrolled. "
        f"{sum(spent.values()) / 3600:.1f} hours.",
        "",
        *table(["", "settings", *COLUMNS], rows),
        "",
        *([f"Not run yet: {'; '.join(left)}.", ""] if left else []),
    ]
