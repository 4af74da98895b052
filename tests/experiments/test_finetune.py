"""The plan and the page of `python -m experiments.finetune`: commands that parse, figures that are
derived."""

import json

import pytest

from experiments.finetune.__main__ import is_wanted, main
from experiments.finetune.page import COMPONENTS, cell, difference, spelt, write
from experiments.finetune.plan import IMPORTED, ROWS, evaluation_name, finetune_plan
from experiments.reproduce.collect import NOT_RUN, Evaluations
from experiments.reproduce.plan import ReproductionRequest
from urfr_tf.cli import build_parser
from urfr_tf.config.load_config import load_config

SOURCES = {name: f"/data/{name}" for name in ("lfw", "pairs", "gender", "cfp", "weights")}
TAR = "tar@far=1e-3"


def plan_of(runs, seeds=(1, 2)):
    return finetune_plan(ReproductionRequest(runs, seeds, "finetune_", SOURCES, size=112))


def test_every_command_parses_and_every_need_comes_before(tmp_path, parses):
    parses(plan_of(tmp_path), tmp_path)


def test_every_row_has_a_configuration_that_is_accepted(tmp_path):
    trained = [job for job in plan_of(tmp_path) if "train" in job.words[2:3]]
    assert len(trained) == 2 * len([row for row in ROWS if not row.trained])
    for job in trained:
        args = build_parser().parse_args(job.words[2:])
        config = load_config(args.config, args.set)
        assert config.seed == int(job.name[4])
        row = job.name.split("/")[1]
        after = {"urface_pa": "urface-mixed", "urface_long_pa": "urface_long-mixed"}
        start = f"seed{config.seed}/{after[row]}" if row in after else IMPORTED
        assert config.initial_weights == str(tmp_path / start)
        assert config.train.epochs == (6 if row in after else 15 if "long" in row else 5)
        assert config.data.train == str(tmp_path / "data" / "train")


def test_a_mixed_row_is_tested_as_mixed_and_trained_once(tmp_path):
    jobs = {job.name: job for job in plan_of(tmp_path, (1,))}
    assert "seed1/cosface_va_mixed/train" not in jobs
    mixed, tested = jobs["seed1/cosface_va_mixed/mix"], jobs["seed1/cosface_va_mixed/evaluate"]
    assert mixed.needs == ("seed1/cosface_va/train",) and mixed.name in tested.needs
    assert mixed.words[mixed.words.index("--run") + 1] == str(tmp_path / "seed1" / "cosface_va")
    out = mixed.words[mixed.words.index("--out") + 1]
    assert tested.words[tested.words.index("--run") + 1] == out != str(tmp_path / "seed1" / "cosface_va")
    plain = jobs["seed1/cosface_va/evaluate"]
    assert plain.words[plain.words.index("--run") + 1] == str(tmp_path / "seed1" / "cosface_va")
    assert not any(is_wanted(job, None, None) for job in jobs.values() if job.name.endswith("/mix"))


def test_every_part_names_rows_that_are_there():
    names = {evaluation_name(row, score) for row in ROWS for score in row.scores}
    assert {name for component in COMPONENTS for name in (component.without, component.having)} <= names


def test_rows_and_stages_are_chosen(tmp_path):
    jobs = plan_of(tmp_path, (1,))
    row = ROWS[0].name
    assert [p.name for p in jobs if is_wanted(p, [row], ["train"])] == [f"seed1/{row}/train"]
    assert [p.name for p in jobs if is_wanted(p, [IMPORTED], None)] == ["imported/evaluate"]
    assert not any(is_wanted(p, None, None) for p in jobs if p.name.startswith("data/"))


def test_listing_runs_nothing(tmp_path, capsys):
    words = [word for name, path in SOURCES.items() for word in (f"--{name}", path)]
    assert main([*words, "--runs", str(tmp_path), "--seeds", "1", "--list"]) == 0
    assert f"seed1/{ROWS[0].name}/train" in capsys.readouterr().out
    assert not (tmp_path / "logs").exists()


def put(runs, seed, name, test, metrics):
    folder = runs / "evaluation" / f"seed{seed}" / name / test
    folder.mkdir(parents=True)
    content = {"metrics": metrics, "counts": {"images": 7}, "versions": {"machine": "made-up"}}
    (folder / "metrics.json").write_text(json.dumps(content))


def test_figures_are_means_with_standard_errors(tmp_path):
    # .90 .92 .97: mean .93, deviation sqrt((9 + 1 + 16) / 2) = 3.606 points, / sqrt(3) = 2.08 points.
    for seed, value in ((1, 0.90), (2, 0.92), (3, 0.97)):
        put(tmp_path, seed, "cosface_va", "lfw", {TAR: value, "tar_listed@far=1e-3@blur=25": value - 0.5})
        put(tmp_path, seed, "cosface", "lfw", {TAR: value - 0.1 * seed})
    put(tmp_path, 2, "urface", "lfw", {TAR: 0.9})
    put(tmp_path, 0, IMPORTED, "lfw", {TAR: 0.9813})
    figures = Evaluations(tmp_path, {}, [IMPORTED, "cosface", "cosface_va"])
    assert cell(figures, "cosface_va", "lfw", TAR) == "0.930 ± 0.021"
    assert cell(figures, IMPORTED, "lfw", TAR) == "0.981"
    assert cell(figures, "cosface_va", "lfw", "rank1") == NOT_RUN
    text = write(tmp_path, tmp_path / "docs")[0].read_text(encoding="utf-8")
    assert "| imported | 0.981 | " in text and "| CosFace | 0.730 ± " in text
    assert "| URFace: the same + decorrelation (1 seed) | 0.900 |" in text
    # Differences .1, .2, .3: mean .2, deviation .1, / sqrt(3) = 0.058.
    assert "| augmentation | +0.200 ± 0.058 **gains** |" in text
    aims = text.splitlines()
    heading = next(line for line in aims if line.startswith("|  | clean | resolution 24 | thumbnail 24 |"))
    place = [cell.strip() for cell in heading.split("|")].index("blur 25")
    line = next(line for line in aims[aims.index(heading) :] if line.startswith("| CosFace + augmentation"))
    assert line.split("|")[place].strip() == "0.430 ± 0.021"
    aim = next(line for line in aims if line.startswith("| aim |"))
    assert aim.split("|")[place].strip() == "0.600" and aim.count("|") == heading.count("|")
    assert "seeds 1, 2, 3 ±" in text and "7 images" in text


@pytest.mark.parametrize(
    ("without", "having", "expected"),
    [
        ({1: 0.5, 2: 0.5}, {1: 0.6, 2: 0.4}, "+0.000 ± 0.100"),
        ({1: 0.5, 2: 0.5}, {1: 0.4, 2: 0.4}, "-0.100 ± 0.000 loses"),
        ({1: 0.5}, {1: 0.7, 2: 0.9}, "+0.200"),
        ({1: 0.5}, {2: 0.9}, NOT_RUN),
    ],
)
def test_a_part_gains_where_every_seed_says_so(without, having, expected):
    assert difference(without, having) == expected


def test_a_whole_number_keeps_its_digit():
    assert spelt([1.0]) == "1.000"
    assert spelt([-0.25], sign=True) == "-0.250"
