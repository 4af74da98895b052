"""The rows of the table in docs/results/finetuning.md, and everything that has to be done for them, as jobs.

Each row fine-tunes the imported MobileFaceNet on the people of LFW outside folds 6 to 10 of its pairs, in
crops of 112 pixels, and is tested on those folds, on CFP, and on videos made of degraded frames.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments.reproduce.jobs import Job
from experiments.reproduce.plan import (
    IMPORTED,
    ReproductionRequest,
    imported_weights,
    score_name,
    settings,
    urfr,
    write_tests,
)

SIZE = 112
SEEN_DEGRADATIONS = ("blur:11", "blur:19", "blur:25", "occlusion:2", "occlusion:3", "occlusion:4")
SEEN_DEGRADATIONS = (*SEEN_DEGRADATIONS, "resolution:32", "resolution:24", "resolution:16")
UNSEEN_DEGRADATIONS = (
    "gamma:2.5",
    "gamma:4",
    "jpeg:10",
    "jpeg:5",
    "noise:20",
    "noise:40",
    "thumbnail:24",
    "thumbnail:16",
)
CFP = ("blur:11", "occlusion:3", "resolution:24")


@dataclass(frozen=True)
class Row:
    """A network that is tested: a training, or what `urfr mix` makes of one.

    Attributes:
        name: of the row's folders.
        title: what the table calls it.
        config: a preset; "" with `trained`.
        share: of the imported weights in what is tested (`urfr mix`); 0: the training as it ended.
        scores: how its templates and pairs are compared, the first in the main table.
        trained: the row whose training it takes; "": it has its own.
        after: the row whose tested network it goes on from; "": the imported weights.
        sets: what its training changes in the file.
    """

    name: str
    title: str
    config: str = ""
    share: float = 0.0
    scores: tuple[str, ...] = ("cosine",)
    trained: str = ""
    after: str = ""
    sets: tuple[str, ...] = ()

    @property
    def training(self) -> str:
        """The row whose training is tested."""
        return self.trained or self.name


SHARE = 0.3
"""Chosen on the validation people (docs/lab/finetuning.md)."""
LONG = ("train.epochs=15",)
"""Three times the epochs of the files, chosen there, too."""

ROWS = (
    Row("cosface", "CosFace", "finetune/cosface"),
    Row("cosface_va", "CosFace + augmentation (the baseline)", "finetune/cosface_va"),
    Row("cosface_va_mixed", "the baseline, mixed", share=SHARE, trained="cosface_va"),
    Row("cosface_teacher", "the baseline + teacher, mixed", "finetune/cosface_teacher", SHARE),
    Row("urface_ci", "the same + confidences, 512-D, K 16", "finetune/urface_ci", SHARE),
    Row("urface", "URFace: the same + decorrelation", "finetune/urface", SHARE, ("cosine", "likelihood")),
    Row(
        "urface_pa",
        "URFace + PA (the uncertainty stage)",
        "finetune/urface_pa",
        0.0,
        ("likelihood",),
        after="urface",
    ),
    Row("urface_128", "URFace, 128-D", "finetune/urface_128", SHARE),
    Row("cosface_va_long", "the baseline, 15 epochs, mixed", "finetune/cosface_va", SHARE, sets=LONG),
    Row(
        "cosface_teacher_long",
        "the baseline + teacher, 15 epochs, mixed",
        "finetune/cosface_teacher",
        SHARE,
        sets=LONG,
    ),
    Row("urface_long", "URFace, 15 epochs", "finetune/urface", SHARE, ("cosine", "likelihood"), sets=LONG),
    Row(
        "urface_long_pa",
        "URFace, 15 epochs + PA",
        "finetune/urface_pa",
        0.0,
        ("likelihood",),
        after="urface_long",
    ),
)
_TESTED = ("data/test", "data/surveillance")


def trained_folder(request: ReproductionRequest, row: Row, seed: int) -> Path:
    """Where a row of a seed is trained."""
    return request.runs / f"seed{seed}" / row.training


def tested_folder(request: ReproductionRequest, row: Row, seed: int) -> Path:
    """The run folder that is tested."""
    trained = trained_folder(request, row, seed)
    return trained.with_name(f"{row.training}-mixed") if row.share else trained


def evaluation_name(row: Row, score: str) -> str:
    """The folder of a row's tests below its seed."""
    return score_name(row.name, score, row.scores)


def finetune_plan(request: ReproductionRequest) -> list[Job]:
    """Everything of `python -m experiments.finetune`; writes the list of tests."""
    data, imported = request.runs / "data", request.runs / IMPORTED
    tests = write_tests(request, make_tests(data))
    return [
        *data_jobs(request, data),
        imported_weights(request, "import"),
        start_evaluation(request, IMPORTED, "import", tests),
        *row_jobs(request, ROWS, imported, "import", tests),
    ]


def start_evaluation(request: ReproductionRequest, name: str, needed: str, tests: Path) -> Job:
    """The tests of a network that was not trained here. It has no seed and is measured once, as seed 0."""
    words = _evaluation(request.runs / name, ("cosine",), tests, request.evaluation(0, name))
    return Job(f"{name}/evaluate", words, (needed, *_TESTED))


def row_jobs(
    request: ReproductionRequest, rows: Sequence[Row], start: Path, made: str, tests: Path
) -> list[Job]:
    """Trainings, mixtures and tests of every row and seed.

    Args:
        request: what is to be done.
        rows: those of the table.
        start: the run that trainings start from.
        made: the job that makes it.
        tests: the list of tests.
    """
    jobs, data, named = [], request.runs / "data", {row.name: row for row in rows}
    for seed in request.seeds:
        tested_job: dict[str, str] = {}  # row -> the job that makes the network that is tested
        for row in rows:
            trained, tested_run = trained_folder(request, row, seed), tested_folder(request, row, seed)
            weights, needed = start, made
            if row.after:
                weights, needed = tested_folder(request, named[row.after], seed), tested_job[row.after]
            sets = [*row.sets, f"initial_weights={weights}", f"seed={seed}", *request.overrides]
            sets += [f"data.{split}={data / split}" for split in ("train", "validation")]
            last = f"seed{seed}/{row.training}/train"
            if not row.trained:
                command = ["train", "--config", row.config, "--run-dir", trained, *settings(sets)]
                jobs.append(urfr(last, command, (needed, "data/train", "data/validation")))
            if row.share:
                command = ["mix", "--run", trained, "--share", row.share, "--out", tested_run]
                mixed = f"seed{seed}/{row.name}/mix"
                jobs.append(urfr(mixed, command, (last,)))
                last = mixed
            tested_job[row.name] = last
            words = _evaluation(tested_run, row.scores, tests, request.evaluation(seed, row.name))
            jobs.append(Job(f"seed{seed}/{row.name}/evaluate", words, (last, *_TESTED)))
    return jobs


def data_jobs(request: ReproductionRequest, data: Path) -> list[Job]:
    """The lists, the shards and the videos."""
    photographs, sources = data / "photographs", ("lfw", "pairs", "gender", "cfp")
    words = ["-m", "experiments.reproduce.lists", "--out", str(data)]
    words += [word for name in sources for word in (f"--{name}", request.sources[name])]
    jobs = [Job("data/lists", tuple(words))]
    for name in ("train", "validation", "test"):
        command = ["prepare", "--source", "list", "--path", photographs / f"{name}.csv", "--size", SIZE]
        command += ["--align", "mtcnn", "--faces", "central", "--out", data / name]
        # A tested image without a face that is found still counts: its centre is taken.
        command += ["--on-missing", "centre"] if name == "test" else []
        jobs.append(urfr(f"data/{name}", command, ("data/lists",)))
    module = "experiments.reproduce.surveillance"
    words = ["-m", module, "--data", str(data / "test"), "--out", str(data / "tests")]
    jobs.append(Job("data/surveillance", tuple(words), ("data/test",)))
    return jobs


def make_tests(data: Path) -> dict[str, list[str]]:
    """Arguments of `urfr evaluate` for each test."""
    pairs = ["--protocol", "pairs", "--align", "none", "--impostors", "all", "--thin-far"]
    degraded = ["--degrade", *SEEN_DEGRADATIONS, *UNSEEN_DEGRADATIONS]
    validation = ["--data", str(data / "validation"), "--far", "1e-2", "1e-3", *degraded]
    lfw = ["--data", str(data / "test"), "--pairs", str(data / "test_pairs.txt"), "--far", "1e-3", "1e-4"]
    cfp = ["--data", str(data / "tests" / "cfp"), "--align", "points", "--degrade", *CFP]
    return {
        "validation": [*pairs, *validation],
        "lfw": [*pairs, *lfw, *degraded],
        "cfp": ["--protocol", "cfp", *cfp],
        "ijbs": [
            "--protocol",
            "ijbs",
            "--data",
            str(data / "tests" / "ijbs"),
            "--align",
            "none",
            "--thin-far",
        ],
    }


def _evaluation(run: Path, scores: tuple[str, ...], tests: Path, out: Path) -> tuple[str, ...]:
    words = ["-m", "experiments.reproduce.evaluate", "--run", run, "--score", *scores]
    return tuple(map(str, [*words, "--tflite", "--tests", tests, "--out", out]))
