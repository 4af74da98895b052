"""The plans of both scales: commands that parse, in an order that works, and rows that start alike."""

import json
import shlex
from pathlib import Path

import numpy as np
import pytest
import yaml

from experiments.reproduce.__main__ import build_parser as build_command_line
from experiments.reproduce.__main__ import main, parse_arguments
from experiments.reproduce.ablations import ABLATIONS, plan_ablations
from experiments.reproduce.ablations import write as write_causes
from experiments.reproduce.evaluate import measured
from experiments.reproduce.full import TESTS, full_plan
from experiments.reproduce.jobs import select_jobs
from experiments.reproduce.plan import ROWS, ReproductionRequest, aliases
from experiments.reproduce.small import small_plan
from urfr_tf.cli import build_parser
from urfr_tf.config.load_config import load_config

SOURCES = {name: f"/data/{name}" for name in ("lfw", "pairs", "gender", "cfp", "ms1m", "celeba", *TESTS)}


def plan_of(prefix, runs, **changes):
    request = ReproductionRequest(runs, (1, 2), prefix, SOURCES, alias=aliases(prefix), **changes)
    return request, (small_plan if prefix else full_plan)(request)


@pytest.mark.parametrize("prefix", ["small_", ""])
def test_every_command_parses_and_every_need_comes_before(prefix, tmp_path, parses):
    parses(plan_of(prefix, tmp_path)[1], tmp_path)


@pytest.mark.parametrize("prefix", ["small_", ""])
def test_every_training_has_a_configuration_that_is_accepted(prefix, tmp_path):
    _, jobs = plan_of(prefix, tmp_path)
    trained = [job for job in jobs if "train" in job.words[2:3]]
    # theta_A twice or once; seven rows for two seeds: 3 + 3 is the run of "all"; the small ones have a start.
    assert len(trained) == (2 + 2 * 8 if prefix else 1 + 2 * 7)
    for job in trained:
        args = build_parser().parse_args(job.words[2:])
        config = load_config(args.config, args.set)
        assert config.seed == (int(job.name[4]) if job.name.startswith("seed") else 1)
        assert str(tmp_path) in config.data.train


@pytest.mark.parametrize("prefix", ["small_", ""])
def test_the_last_row_of_table_1_is_the_run_of_all(prefix):
    assert aliases(prefix) == {"table1_3_3": "table2_all"}


def test_the_uncertainty_stage_goes_on_from_the_same_seed(tmp_path):
    request, jobs = plan_of("small_", tmp_path)
    job = next(job for job in jobs if job.name == "seed2/table2_all_pa/train")
    assert f"initial_weights={request.run(2, 'table2_all')}" in job.words
    assert "seed2/table2_all/train" in job.needs


def test_every_small_row_goes_on_from_the_start_of_its_seed_or_from_what_was_wished_for(tmp_path):
    rows = [row for row in ROWS if row not in (*aliases("small_"), "table2_all_pa")]
    for overrides, value_of in (((), "start"), (("initial_weights=IMPORTED",), None)):
        request, jobs = plan_of("small_", tmp_path, overrides=overrides)
        by_name = {job.name: job for job in jobs}
        assert ("seed2/start/train" in by_name) == (value_of is not None)
        for row in rows:
            job = by_name[f"seed2/{row}/train"]
            args = build_parser().parse_args(job.words[2:])
            start = str(request.run(2, value_of)) if value_of else "IMPORTED"
            assert load_config(args.config, args.set).initial_weights == start
            assert ("seed2/start/train" in job.needs) == (value_of is not None)


def test_causes_change_one_training_each_and_are_measured_on_validation_people(tmp_path, capsys):
    request = ReproductionRequest(tmp_path, (1,), "small_", SOURCES, alias=aliases("small_"))
    jobs = {job.name: job for job in plan_ablations(request)}
    for ablation in ABLATIONS:
        measured_job = jobs[f"seed1/ablations/{ablation.name}/validate"]
        trained_itself = ablation.sets or ablation.after
        trained = (
            f"seed1/ablations/{ablation.name}/train" if trained_itself else f"seed1/{ablation.row}/train"
        )
        assert measured_job.needs == (trained, "data/validation_tests")
        words = measured_job.words
        by = "likelihood" if ablation.row == "table2_all_pa" else "cosine"
        assert words[words.index("--score") + 1] == by
        args = build_parser().parse_args(jobs[trained].words[2:])
        config = load_config(args.config, args.set)
        row = "table2_all" if ablation.row == "table2_all_pa" else "start"
        start = tmp_path / "ablations" / "seed1" / ablation.after if ablation.after else request.run(1, row)
        assert config.initial_weights == str(start) and config.seed == 1
        before = f"seed1/ablations/{ablation.after}/train" if ablation.after else f"seed1/{row}/train"
        assert [need for need in jobs[trained].needs if need.startswith("seed")] == [before]
        for setting in ablation.sets:
            name, _, value = setting.partition("=")
            value_of = config
            for key in name.split("."):
                value_of = value_of[key] if isinstance(value_of, dict) else getattr(value_of, key)
            assert (list(value_of) if isinstance(value_of, tuple) else value_of) == yaml.safe_load(value)
    tests = json.loads(Path(words[words.index("--tests") + 1]).read_text())
    assert all("validation" in words[words.index("--data") + 1] for words in tests.values())
    words = [word for name in ("lfw", "pairs", "gender", "cfp") for word in (f"--{name}", SOURCES[name])]
    assert main(["small", *words, "--runs", str(tmp_path), "--seeds", "1", "--ablations", "--list"]) == 0
    listed = capsys.readouterr().out
    assert "seed1/ablations/sums/validate" in listed and "seed1/table2_all/evaluate" not in listed
    assert "seed1/ablations/norm/train" in listed
    only = ["--seeds", "1", "--ablations", "--list", "--only", "sums"]
    assert main(["small", *words, "--runs", str(tmp_path), *only]) == 0
    listed = capsys.readouterr().out
    assert "seed1/ablations/sums/validate" in listed and "seed1/ablations/norm" not in listed


@pytest.mark.parametrize(
    "flags", [["--only", "sums"], ["--ablations", "--only", "table2_all"], ["--only", "imported"]]
)
def test_rows_and_causes_are_not_confused(flags, tmp_path, capsys):
    words = [word for name in ("lfw", "pairs", "gender", "cfp") for word in (f"--{name}", SOURCES[name])]
    with pytest.raises(SystemExit) as stop:
        main(["small", *words, "--runs", str(tmp_path), *flags])
    assert stop.value.code == 2
    assert f"got {flags[-1]}" in capsys.readouterr().err


def test_the_page_of_causes_has_its_figures(tmp_path):
    metrics = {"tar@far=1e-2": 0.5, "tar@far=1e-2@blur=7": 0.25}
    folder = tmp_path / "ablations" / "evaluation" / "seed1" / "sums" / "pairs"
    folder.mkdir(parents=True)
    (folder / "metrics.json").write_text(json.dumps({"metrics": metrics, "counts": {"images": 9}}))
    write_causes(tmp_path, tmp_path / "docs")
    text = (tmp_path / "docs/lab/causes.md").read_text(encoding="utf-8")
    assert (
        "| the decorrelation in sums, as in the paper | `decorrelation.average=false` | 50.0 (1) | 25.0 (1) "
        "| not run |" in text
    )
    assert "9 images" in text
    assert "Not run yet: Baseline + VA (`va`); " in text and "(`sums`)" not in text


def test_from_imported_weights_every_row_has_their_network_and_a_lower_rate(tmp_path, parses):
    sources = {**SOURCES, "weights": "/data/net-0000.params"}
    request = ReproductionRequest(
        tmp_path, (2,), "small_", sources, overrides=("train.epochs=9",), alias=aliases("small_")
    )
    jobs = small_plan(request)
    parses(jobs, tmp_path)
    by_name = {job.name: job for job in jobs}
    assert "/data/net-0000.params" in by_name["weights/import"].words
    assert "seed2/start/train" not in by_name
    # It is the same for every seed, and tested once.
    measured_start = by_name["seed0/imported/evaluate"]
    assert measured_start.words[measured_start.words.index("--run") + 1] == str(tmp_path / "imported")
    assert {"weights/import", "data/tests"} <= set(measured_start.needs)
    # An export has no norm: what needs it asks the run folder, of the rows that it is compared in.
    with_run_tests = {name: job for name, job in by_name.items() if "--run-tests" in job.words}
    assert sorted(with_run_tests) == [
        "seed0/imported/evaluate",
        *(f"seed2/table2_{row}/evaluate" for row in ("all_pa", "baseline", "baseline_va")),
    ]
    words = measured_start.words
    of_run, others = (
        json.loads(Path(words[words.index(option) + 1]).read_text()) for option in ("--run-tests", "--tests")
    )
    assert sorted(of_run) == ["ijbs_lost_norm", "ijbs_norm"] and not of_run.keys() & others.keys()
    assert all(test[-4:] == ["--score", "weighted", "--weight", "norm"] for test in of_run.values())
    assert not any("norm" in test for test in others.values())
    for row in set(ROWS) - set(aliases("small_")):
        job = by_name[f"seed2/{row}/train"]
        config = load_config(*(vars(build_parser().parse_args(job.words[2:]))[k] for k in ("config", "set")))
        assert (config.model.backbone, config.model.input_size) == ("mobilefacenet", 112)
        assert config.train.epochs == 9  # what was wished for comes last
        staged = row == "table2_all_pa"
        assert config.initial_weights == str(
            request.run(2, "table2_all") if staged else tmp_path / "imported"
        )
        assert config.train.freeze_batch_norm == ("none" if staged else "all")
        assert ("weights/import" in job.needs) != staged


def test_weights_bring_larger_crops_and_a_name(tmp_path, capsys):
    words = [word for name in ("lfw", "pairs", "gender", "cfp") for word in (f"--{name}", SOURCES[name])]
    assert main(["small", *words, "--weights", "W", "--runs", str(tmp_path), "--list"]) == 0
    listed = capsys.readouterr().out
    assert "weights/import" in listed and "seed0/imported/evaluate" in listed
    only = ["--weights", "W", "--runs", str(tmp_path), "--list", "--only"]
    assert main(["small", *words, *only, "imported"]) == 0
    listed = capsys.readouterr().out
    assert "seed0/imported/evaluate" in listed and "seed1/" not in listed
    assert main(["small", *words, *only, "table2_all"]) == 0
    assert "seed0/imported/evaluate" not in capsys.readouterr().out
    args = parse_arguments(["small", *words, "--weights", "W"])
    assert args.name == "imported"
    assert parse_arguments(["small", *words, "--weights", "W", "--name", "mine"]).name == "mine"


def test_theta_a_sees_crops_of_one_size_whatever_those_of_the_rows_are(tmp_path):
    for size, trained_itself, scale in ((112, "72", ["--scale-to", "72"]), (72, "72", []), (48, "48", [])):
        jobs = {job.name: job for job in plan_of("small_", tmp_path, size=size)[1]}
        for name in ("gender_train", "gender_validation", "profile_train", "profile_validation"):
            words = jobs[f"data/{name}"].words
            assert words[words.index("--size") + 1] == trained_itself
        # What is cut from both sets before it is scaled has one sharpness.
        for name in ("cfp_mined", "train", "validation", "test"):
            words = jobs[f"data/{name}"].words
            assert words[words.index("--size") + 1] == str(size)
        for name in ("gender", "profile"):
            words = list(jobs[f"mine/{name}"].words)
            assert words[words.index("--data") + 2 :] == scale


def test_only_rows_with_mined_variations_wait_for_them(tmp_path):
    _, jobs = plan_of("small_", tmp_path)
    needs = {job.name: job.needs for job in jobs}
    assert {row for row in ROWS if "mine/gender" in needs.get(f"seed1/{row}/train", ())} == {
        "table1_3_1",
        "table2_all",
    }


def test_a_single_row_brings_every_label_with_it(tmp_path):
    _, jobs = plan_of("small_", tmp_path)
    chosen = {job.name for job in select_jobs(jobs, ["seed1/table2_all_pa/evaluate"])}
    # Everything of the data stage serves the whole method.
    assert {job.name for job in jobs if not job.name.startswith("seed")} <= chosen


def test_listing_runs_nothing(tmp_path, capsys):
    words = "small --lfw L --pairs P --gender G --cfp C --list --only table2_baseline --seeds 3 --runs"
    assert main([*shlex.split(words), str(tmp_path)]) == 0
    names = capsys.readouterr().out.split()
    # All of the data stage (no stage was chosen), and one row of one seed with its start.
    assert [name for name in names if name.startswith("seed")] == [
        "seed3/start/train",
        "seed3/table2_baseline/train",
        "seed3/table2_baseline/evaluate",
    ]
    assert not (tmp_path / "time.tsv").exists()


@pytest.mark.process
@pytest.mark.parametrize(("name", "page"), [("", "small.md"), ("imported", "small_imported.md")])
def test_the_page_is_written_where_the_command_is_given(tmp_path, monkeypatch, name, page):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "runs" / (f"small_{name}" if name else "small") / "evaluation/seed1/table2_all/lfw"
    folder.mkdir(parents=True)
    (folder / "metrics.json").write_text(json.dumps({"metrics": {"accuracy": 0.75}, "counts": {}}))
    words = "small --lfw L --pairs P --gender G --cfp C --stage results --docs docs"
    assert main([*shlex.split(words), *(["--name", name] if name else [])]) == 0
    assert (tmp_path / "docs/results" / page).is_file()
    assert (tmp_path / "docs/results/model_card.md").is_file() == (not name)
    assert (tmp_path / (f"runs/small_{name}" if name else "runs/small") / "tests").is_dir()


def test_seeds_are_three_unless_said_otherwise():
    assert build_command_line().parse_args(["full", "--ms1m", "M", "--celeba", "C"]).seeds == [1, 2, 3]


def test_figures_of_other_weights_do_not_count(tmp_path):
    (tmp_path / "metrics.json").write_text('{"fingerprint": "a", "command": "urfr evaluate x"}')
    assert measured(tmp_path, "a")
    assert measured(tmp_path, "a", "urfr evaluate x")
    assert not measured(tmp_path, "a", "urfr evaluate y")
    assert not measured(tmp_path, "b")
    assert not measured(tmp_path / "nowhere", "a")


def test_rows_of_a_seed_start_from_the_same_weights():
    """Drawn ones: all but the confidence layer, which has another shape in the rows without it.

    Prototypes are drawn alike too, but K groups of norm 1 have the norm sqrt(K) together: 4 times that of
    one.
    """
    from one_unit import NAME

    from urfr_tf.keras2 import keras
    from urfr_tf.training.tasks.recognition import build_recognition_model

    def start(row, seed):
        keras.backend.clear_session()
        keras.utils.set_random_seed(seed)
        overrides = ["model.width=0.125", "model.input_size=32", f"model.backbone={NAME}"]
        overrides += ["initial_weights=''", "head.start=random"]
        model, _ = build_recognition_model(load_config(f"small/{row}", overrides), 5, synchronized=False)
        return {weight.name: weight.numpy() for weight in model.trainable_weights}

    rows = [row for row in ROWS if row not in ("table2_all_pa", "table1_3_3")]
    starts = {row: start(row, 1) for row in rows}
    common = set.intersection(*(set(each) for each in starts.values()))
    shared = [name for name in common if len({each[name].shape for each in starts.values()}) == 1]
    assert {"embedding/kernel:0", "logits/kernel:0", "bn2/gamma:0"} <= set(shared)
    groups = {row: 1 if "baseline" in row else 16 for row in rows}
    for row in rows:
        starts[row]["logits/kernel:0"] = starts[row]["logits/kernel:0"] / np.sqrt(np.float32(groups[row]))
    for name in shared:
        for row in rows[1:]:
            np.testing.assert_array_equal(starts[row][name], starts[rows[0]][name], err_msg=f"{row} {name}")
    assert (start(rows[0], 2)["embedding/kernel:0"] != starts[rows[0]]["embedding/kernel:0"]).any()
