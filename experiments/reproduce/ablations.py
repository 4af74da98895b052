"""Why the small scale disagrees with the paper: one cause at a time, tried on validation people only.

    make reproduce-small REPRODUCE_FLAGS="--causes --seeds 1" ...

Most are the row "all" with one or two settings changed, some with the uncertainty stage after it, beside the rows that
they should not fall behind. The page docs/causes.md is written from the metrics files.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments.reproduce.collect import FIGURES, Evaluations, keep, times
from experiments.reproduce.jobs import Piece
from experiments.reproduce.plan import IJBS, IJBS_LOST, LOST_WEIGHTED, STAGED, Wish, settings, write_tests
from experiments.reproduce.small import DEGRADED, small_plan, videos
from experiments.reproduce.tables import table
from urfr_tf.files import write_text

FOLDER = "causes"
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
class Cause:
    """A training that is tried.

    Attributes:
        name: of its folders. title: in the table.
        row: whose configuration it changes; its own run where `sets` is empty.
        sets: what is changed.
        after: the cause whose run it goes on from; what the row itself goes on from where this is empty.
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
CAUSES = (
    Cause("va", "Baseline + VA", "table2_baseline_va"),
    Cause("confidences", "0 + 0: confidences alone", "table1_0_0"),
    Cause("augmented", "3 + 0: no mined variations", "table1_3_0"),
    Cause("all", "all", _ALL),
    Cause("sums", "the decorrelation in sums, as in the paper", _ALL, ("decorrelation.average=false",)),
    Cause("quarter", "a quarter of its weight", _ALL, ("loss.cls=0.5", "loss.adv=0.5")),
    Cause("norm", "confidences see the norm", _ALL, ("confidence.norm=true",)),
    Cause("rate", "confidences learn ten times as fast", _ALL, ("confidence.rate=1.0",)),
    Cause(
        "classifier",
        "the variation classifier learns ten times as fast",
        _ALL,
        ("decorrelation.classifier_rate=0.1",),
    ),
    Cause("margin", "margin 16 in place of 9.6", _ALL, ("loss.margin=16.0",)),
    Cause("teacher", "taught by the start", _ALL, ("loss.teacher=20.0",)),
    Cause("hard_va", "Baseline + VA, harder images", "table2_baseline_va", _HARD),
    Cause("hard_confidences", "0 + 0, harder images", "table1_0_0", _HARD),
    Cause("hard_all", "all, harder images", _ALL, _HARD),
    # Controls: only the scale that the confidences of 0 + 0 reach, and that in sixteen sub-embeddings.
    Cause(
        "hard_scale",
        "Baseline + VA, harder images, scale 39.5",
        "table2_baseline_va",
        (*_HARD, "confidence.initial=39.5"),
    ),
    Cause(
        "hard_fixed",
        "0 + 0, harder images, all confidences 39.5",
        "table1_0_0",
        (*_HARD, "confidence.learned=false", "confidence.initial=39.5"),
    ),
    Cause(
        "hard_rate",
        "0 + 0, harder images, confidences learn ten times as fast",
        "table1_0_0",
        (*_HARD, "confidence.rate=1.0"),
    ),
    # The uncertainty stage, by likelihood.
    Cause("pa", "all + PA", _ALL_PA),
    Cause(
        "pa_low",
        "all + PA, low resolution in the second stage",
        _ALL_PA,
        ("augment.resolution=0.4", "augment.resolution_sizes=[8,32]"),
    ),
    Cause("hard_pa", "all + PA, harder images in both stages", _ALL_PA, _HARD, "hard_all"),
    Cause("pa_patient", "PA at three times the rate, twice as long", _ALL_PA, _PATIENT),
    Cause(
        "norm_patient",
        "the same, where confidences see the norm",
        _ALL_PA,
        (*_PATIENT, "confidence.norm=true"),
        "norm",
    ),
)
NAMES = tuple(cause.name for cause in CAUSES)


def is_wanted(piece: str, names: Sequence[str]) -> bool:
    """Whether a piece is the measurement of one of these causes."""
    return piece.endswith("/validate") and piece.split("/")[-2] in names


def is_of_a_cause(piece: str) -> bool:
    """Whether a piece is of a cause, and not of a row."""
    return f"/{FOLDER}/" in piece


def causes_plan(wish: Wish) -> list[Piece]:
    """The pieces of the small reproduction, and those of each cause: `seedN/causes/NAME/train` and `.../validate`."""
    pieces, data = small_plan(wish), wish.runs / "data"
    words = ["-m", "experiments.reproduce.surveillance", "--data", str(data / "validation")]
    # Every validation person has two images or more: there would be no distractors.
    words += ["--sets", IJBS, IJBS_LOST, "--out", str(data / "validation_tests")]
    pieces.append(Piece("data/validation_tests", tuple(words), ("data/validation",)))
    tests = write_tests(wish, _tests(data))
    planned = {piece.name: piece for piece in pieces}
    for seed in wish.seeds:
        for cause in CAUSES:
            run, last = wish.run(seed, cause.row), f"seed{seed}/{cause.row}/train"
            if cause.sets or cause.after:
                pieces.append(_training(wish, seed, cause, planned[last]))
                run, last = _run(wish, seed, cause.name), pieces[-1].name
            words = ["-m", "experiments.reproduce.evaluate", "--run", str(run)]
            words += ["--score", "likelihood" if cause.row in STAGED else "cosine", "--tflite"]
            words += ["--tests", str(tests)]
            words += ["--out", str(wish.runs / FOLDER / "evaluation" / f"seed{seed}" / cause.name)]
            name = f"seed{seed}/{FOLDER}/{cause.name}/validate"
            pieces.append(Piece(name, tuple(words), (last, "data/validation_tests")))
    return pieces


def _run(wish: Wish, seed: int, name: str) -> Path:
    return wish.runs / FOLDER / f"seed{seed}" / name


def _piece(seed: int, name: str) -> str:
    return f"seed{seed}/{FOLDER}/{name}/train"


def _training(wish: Wish, seed: int, cause: Cause, row: Piece) -> Piece:
    """The command of the row itself, into another folder and with what is changed at its end."""
    own, sets, needs = str(_run(wish, seed, cause.name)), cause.sets, row.needs
    if cause.after:
        before = f"seed{seed}/{STAGED[cause.row]}/train"
        needs = tuple(_piece(seed, cause.after) if need == before else need for need in needs)
        sets = (*sets, f"initial_weights={_run(wish, seed, cause.after)}")
    words = [own if word == str(wish.run(seed, cause.row)) else word for word in row.words]
    return Piece(_piece(seed, cause.name), (*words, *settings(sets)), needs)


def _tests(data: Path) -> dict[str, list[str]]:
    pairs = ["--protocol", "pairs", "--impostors", "all", "--data", str(data / "validation")]
    searched = videos(data / "validation_tests", (IJBS, IJBS_LOST, LOST_WEIGHTED))
    return {_PAIRS: [*pairs, "--far", "1e-2", "--thin-far", "--degrade", *DEGRADED], **searched}


def write(runs: Path, docs: Path, kept: Path | None = None, suffix: str = "") -> None:
    """Writes docs/causes.md and the figures behind it; `kept`: those of runs that are elsewhere."""
    figures = Evaluations(runs / FOLDER, {}, NAMES, kept)
    spent = {piece: seconds for piece, seconds in times(runs, kept).items() if is_of_a_cause(piece)}
    page = docs / f"{FOLDER}{suffix}.md"
    if figures.are_none(page):
        return
    write_text(page, "\n".join(lines(figures, spent)))
    keep(docs / FIGURES / f"{FOLDER}{suffix}.json", figures, spent)


def lines(figures: Evaluations, spent: dict[str, float]) -> list[str]:
    """The page; `spent` are seconds by piece."""
    counts, searched = figures.counts(_PAIRS), figures.counts(IJBS)
    measured = {row for _, row, _ in figures.files}
    left = [f"{cause.title} (`{cause.name}`)" for cause in CAUSES if cause.name not in measured]
    rows = [
        [
            cause.title,
            ", ".join(f"`{setting}`" for setting in cause.sets),
            *(figures.cell(cause.name, test, metric) for test, metric in COLUMNS.values()),
        ]
        for cause in CAUSES
        if cause.name in measured
    ]
    return [
        "# Causes tried, on validation people",
        "",
        "Written by `python -m experiments.reproduce small --causes` from the metrics files; no figure here is typed. Per cent: TAR at FAR 1 % of pairs, and "
        "searches with videos of four degraded frames, and of frames of which half are 4 to 6 pixels wide, so that nobody can be recognised (`weighted`: templates by `urfr evaluate --score weighted`, docs/aggregation.md); mean over the seeds ± their standard deviation (number of seeds). Nobody here is trained on or tested: what "
        "was chosen was chosen here. docs/results.md has the tested people.",
        "",
        f"{counts.get('images', '?')} images of {counts.get('people', '?')} people, {counts.get('genuine', '?')} genuine pairs; "
        f"{searched.get('s2s/probes', '?')} videos, {searched.get('s2s/gallery', '?')} people enrolled. {sum(spent.values()) / 3600:.1f} hours.",
        "",
        *table(["", "settings", *COLUMNS], rows),
        "",
        *([f"Not run yet: {'; '.join(left)}.", ""] if left else []),
    ]
