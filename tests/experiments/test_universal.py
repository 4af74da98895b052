"""The plan and the page of `python -m experiments.universal`."""

import json

import pytest

from experiments.finetune.__main__ import is_wanted
from experiments.reproduce.collect import NOT_RUN
from experiments.reproduce.plan import IMPORTED, ReproductionRequest
from experiments.universal.__main__ import main
from experiments.universal.page import write
from experiments.universal.plan import ROWS, universal_plan
from urfr_tf.cli import build_parser
from urfr_tf.config.load_config import load_config

SOURCES = {name: f"/data/{name}" for name in ("lfw", "pairs", "gender", "cfp")}


def plan_of(runs, seeds=(1, 2)):
    return universal_plan(ReproductionRequest(runs, seeds, "universal_", SOURCES, size=112))


def test_every_command_parses_and_every_need_comes_before(tmp_path, parses):
    parses(plan_of(tmp_path), tmp_path)


def test_every_training_starts_from_the_default_network(tmp_path):
    trained = [job for job in plan_of(tmp_path) if "train" in job.words[2:3]]
    assert len(trained) == 2 * len(ROWS)
    for job in trained:
        args = build_parser().parse_args(job.words[2:])
        config = load_config(args.config, args.set)
        assert config.initial_weights == str(tmp_path / IMPORTED)
        assert config.seed == int(job.name[4])
        assert config.data.train == str(tmp_path / "data" / "train")
        assert config.model.backbone == "dlib_resnet"


def test_the_start_is_tested_once(tmp_path):
    tested = [job.name for job in plan_of(tmp_path) if is_wanted(job, [IMPORTED], None)]
    assert tested == [f"{IMPORTED}/evaluate"]


def test_the_page_has_what_was_measured(tmp_path):
    for seed, row, value in ((0, IMPORTED, 0.5), (1, "universal", 0.25), (2, "universal", 0.75)):
        folder = tmp_path / "runs" / "evaluation" / f"seed{seed}" / row / "lfw"
        folder.mkdir(parents=True)
        metrics = {"tar@far=1e-3": value, "tar@far=1e-3@blur=25": value / 2}
        (folder / "metrics.json").write_text(json.dumps({"metrics": metrics, "counts": {"images": 7}}))
    page, _ = write(tmp_path / "runs", tmp_path / "docs")
    lines = page.read_text().splitlines()
    (start,) = (line for line in lines if line.startswith("| the default network | 0."))
    assert start.split(" | ")[1:5] == ["0.500", NOT_RUN, NOT_RUN, "0.250"]
    # Mean .5; the standard error of .25 and .75 is their difference over two.
    assert any(line.startswith("| URFace | 0.500 ± 0.250 |") for line in lines)


def test_listing_runs_nothing(tmp_path, capsys):
    words = [word for name, path in SOURCES.items() for word in (f"--{name}", path)]
    assert main([*words, "--runs", str(tmp_path / "runs"), "--list"]) == 0
    assert "seed1/universal/train" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["--lfw", "x"])
