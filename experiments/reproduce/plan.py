"""What both scales share: the eight rows for each seed, as jobs, and how a request names its folders."""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from experiments.reproduce.jobs import Job
from urfr_tf.config.presets import merge_layers, preset_names, read_layers
from urfr_tf.files import write_text

ROWS = (
    "table2_baseline",
    "table2_baseline_va",
    "table2_all",
    "table2_all_pa",
    "table1_0_0",
    "table1_3_0",
    "table1_3_1",
    "table1_3_3",
)
STAGED = {"table2_all_pa": "table2_all"}
"""A row that goes on from another of the same seed."""
START = "start"
"""The run whose embedding network every row of its seed goes on from, where there is such a configuration."""
IMPORTED = "imported"
IMPORT = "weights/import"
"""The folder and the job of `urfr import`, from whose network every row goes on where weights were given."""
IMPORTED_MODEL = ("model.backbone=mobilefacenet", "model.width=1.0", "model.input_size=112")
IMPORTED_TRAINING = (
    "train.epochs=5",
    "train.freeze_batch_norm=all",
    "train.freeze_backbone_epochs=1",
    "optimizer.layer_rates.backbone=0.5",
    "optimizer.learning_rate.cosine.initial_learning_rate=0.02",
    "confidence.hold_steps=150",
    "loss.margin_warmup_steps=100",
)
"""Settings of a training from imported weights; docs/guides/fine-tune.md says why."""
MADE = TINYFACE, IJBS, IJBS_LOST = ("tinyface", "ijbs", "ijbs_lost")
"""Test sets that are made of the tested people (surveillance.py)."""
LOST_WEIGHTED = "ijbs_lost_weighted"
OWN, WEIGHTED, BY_NORM = "", "`weighted`", "`weighted` by the norm"
_WEIGHTED = ("--score", "weighted")
WAYS = {OWN: (), WEIGHTED: _WEIGHTED, BY_NORM: (*_WEIGHTED, "--weight", "norm")}
"""How templates are made and compared: options of `urfr evaluate`; all but the row's own are ours and not of
the paper."""
VIDEOS = {
    IJBS: (IJBS, OWN),
    "ijbs_weighted": (IJBS, WEIGHTED),
    "ijbs_norm": (IJBS, BY_NORM),
    IJBS_LOST: (IJBS_LOST, OWN),
    LOST_WEIGHTED: (IJBS_LOST, WEIGHTED),
    "ijbs_lost_norm": (IJBS_LOST, BY_NORM),
}
"""Tests on videos: the set, and which of `WAYS`."""
PLAIN = (IMPORTED, *ROWS[:2])
"""Rows without confidences."""
NORM_ROWS = (*PLAIN, "table2_all_pa")
"""Rows that are tested by the norm as well: plain ones, and what their norm is compared with."""
PRESETS = {"small_": "small", "": "paper"}
"""The folder of presets that belongs to a prefix of run folders."""
URFR = ("-m", "urfr_tf.cli")


@dataclass(frozen=True)
class ReproductionRequest:
    """What is to be reproduced.

    Attributes:
        runs: folder of data, runs and evaluations.
        seeds: one run of each row for each.
        prefix: of the run folders: "small_" or "".
        sources: paths of the published sets by name (lfw, pairs, gender, cfp, ...).
        overrides: `--set` of all rows. attribute_overrides: `--set` of theta_A.
        size: of the crops in pixels.
        people: a miniature of so many people, or None.
        alias: rows that are another row under a second name.
    """

    runs: Path
    seeds: tuple[int, ...]
    prefix: str
    sources: dict[str, str]
    overrides: tuple[str, ...] = ()
    attribute_overrides: tuple[str, ...] = ()
    size: int = 72
    people: int | None = None
    alias: dict[str, str] = field(default_factory=dict)

    def run(self, seed: int, row: str) -> Path:
        """The run folder of a row."""
        return self.runs / f"seed{seed}" / f"{self.prefix}{row}"

    def evaluation(self, seed: int, row: str) -> Path:
        """The folder of its tests."""
        return self.runs / "evaluation" / f"seed{seed}" / row


def suffix(name: str) -> str:
    """What a named reproduction adds to the names of its folder and page."""
    return f"_{name}" if name else ""


def preset_of(row: str, prefix: str) -> str:
    """The name of a row's preset: "small/table1_3_0"."""
    return f"{PRESETS[prefix]}/{row}"


def config_of(row: str, prefix: str) -> dict[str, Any]:
    """The keys that a row's preset and its bases set."""
    return merge_layers(read_layers(preset_of(row, prefix)))


def aliases(prefix: str) -> dict[str, str]:
    """Rows that are another row under a second name: the same configuration and so the same run."""
    other_names: dict[str, str] = {}
    contents: dict[str, str] = {}
    for row in ROWS:
        content = json.dumps({k: v for k, v in config_of(row, prefix).items() if k != "name"}, sort_keys=True)
        if content in contents:
            other_names[row] = contents[content]
        contents.setdefault(content, row)
    return other_names


def urfr(name: str, words: list[Any], needs: tuple[str, ...] = ()) -> Job:
    """A job that is one `urfr` command."""
    return Job(name, (*URFR, *map(str, words)), needs)


def imported_weights(request: ReproductionRequest, name: str) -> Job:
    """`urfr import` of the weights that were given, as the job of this name."""
    weights, out = request.sources["weights"], request.runs / IMPORTED
    return urfr(name, ["import", "--from", "insightface", "--weights", weights, "--out", out])


def score_name(name: str, score: str, scores: tuple[str, ...] | list[str]) -> str:
    """The folder of one of several scores: that of the first has no suffix."""
    return name if score == scores[0] else f"{name}-{score}"


def settings(values: list[str] | tuple[str, ...]) -> list[str]:
    """`--set` before each."""
    return [word for value in values for word in ("--set", value)]


def row_jobs(
    request: ReproductionRequest,
    shards: tuple[str, ...],
    mined: tuple[str, ...],
    tested: tuple[str, ...],
    sets: list[str],
    tests: Path,
    extras: list[str],
    run_tests: Path | None = None,
) -> list[Job]:
    """Training and evaluation of each row for each seed.

    Args:
        shards: jobs that every training needs. mined: those that rows with soft labels need besides. tested:
            those that every evaluation needs. sets: `--set` of all trainings. tests: their list. extras:
            further words of all evaluations.
        run_tests: a list of tests that ask the run folder for what its export does not give, of `NORM_ROWS`.
    """

    def evaluation(seed: int, row: str, run: Path, score: str) -> tuple[str, ...]:
        out = request.evaluation(seed, row)
        words = ["-m", "experiments.reproduce.evaluate", "--run", run, "--score", score, "--tests", tests]
        words += ["--run-tests", run_tests] if run_tests and row in NORM_ROWS else []
        return tuple(map(str, [*words, "--out", out, *extras]))

    jobs = []
    # Weights that were wished for take the place of a start of our own.
    weights_overridden = any(value.startswith("initial_weights=") for value in request.overrides)
    imported = bool(request.sources.get("weights"))
    starts = not weights_overridden and not imported and preset_of(START, request.prefix) in preset_names()
    if imported:  # It has no seed: it is measured once, as seed 0.
        words = evaluation(0, IMPORTED, request.runs / IMPORTED, "cosine")
        jobs.append(Job(f"seed0/{IMPORTED}/evaluate", words, (IMPORT, *tested)))
    for seed in request.seeds:
        if starts:
            jobs.append(_training(request, START, seed, [*request.overrides, *sets], shards))
        for row in ROWS:
            if row in request.alias:
                continue
            run, name = request.run(seed, row), f"seed{seed}/{row}"
            config = config_of(row, request.prefix)
            overrides = [*request.overrides, *sets]
            if imported:
                overrides = [*IMPORTED_MODEL, *(() if row in STAGED else IMPORTED_TRAINING), *overrides]
            needs = [*shards, *(mined if config["data"].get("soft_labels") else ())]
            before = STAGED.get(row, START if starts else None)
            if before is not None:
                overrides.append(f"initial_weights={request.run(seed, before)}")
                needs.append(f"seed{seed}/{before}/train")
            elif imported:
                overrides.append(f"initial_weights={request.runs / IMPORTED}")
                needs.append(IMPORT)
            jobs.append(_training(request, row, seed, overrides, tuple(needs)))
            score = "likelihood" if row in STAGED else "cosine"
            words = evaluation(seed, row, run, score)
            jobs.append(Job(f"{name}/evaluate", words, (f"{name}/train", *tested)))
    return jobs


def _training(
    request: ReproductionRequest, row: str, seed: int, sets: list[str], needs: tuple[str, ...]
) -> Job:
    words = ["train", "--config", preset_of(row, request.prefix), "--run-dir", request.run(seed, row)]
    words += settings([*sets, f"seed={seed}"])
    return urfr(f"seed{seed}/{row}/train", words, needs)


def write_tests(request: ReproductionRequest, tests: dict[str, list[str]]) -> Path:
    """The list of tests as a file that is called after its content: another list is another command."""
    text = json.dumps(tests, indent=1)
    path = request.runs / "tests" / f"{hashlib.sha256(text.encode()).hexdigest()[:8]}.json"
    write_text(path, text)
    return path
