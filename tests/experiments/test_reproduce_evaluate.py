"""A finished run through the evaluation of one row: every test once, gender, and what the pictures need."""

import json
import shutil
import sys

import h5py
import numpy as np

from experiments.reproduce.captions import measure_acceptance
from experiments.reproduce.evaluate import exported, main
from experiments.reproduce.plan import score_name
from urfr_tf.cli import main as command_line
from urfr_tf.evaluation.scoring import make_faces
from urfr_tf.runs.load_model import load_model


def test_accepted_shares_by_hand():
    # Person 0 at 0 and 60 degrees, person 1 at 90 and 90 degrees. Cosines: genuine 0.5 and 1; impostors
    # 0 twice (0 against 90) and cos 30 = 0.87 twice. At 0.6: one of two genuine, two of four impostors.
    angles = np.deg2rad([0, 60, 90, 90])
    faces = make_faces(np.stack([np.cos(angles), np.sin(angles)], axis=1), None)
    rates = measure_acceptance(faces, np.array(["a", "a", "b", "b"]), "cosine", 0.6)
    assert rates == {"tar": (0.5, 2), "far": (0.5, 4)}


def words_for(run, tests, out):
    options = {"--run": run, "--score": "cosine", "--tests": tests, "--out": out}
    return ["evaluate", *(str(word) for option in options.items() for word in option)]


def test_scores_have_folders_and_share_the_embeddings(tiny_run, shards, tmp_path, monkeypatch):
    out, tests = tmp_path / "seed1" / "row", tmp_path / "tests.json"
    pairs = ["--protocol", "pairs", "--data", str(shards), "--thin-far"]
    tests.write_text(json.dumps({"one": pairs, "own": [*pairs, "--score", "likelihood"]}))
    words, caches = words_for(tiny_run, tests, out), []
    place = words.index("cosine")
    monkeypatch.setattr(sys, "argv", [*words[: place + 1], "likelihood", *words[place + 1 :]])

    def urfr(command):
        caches.append(command[command.index("--cache") + 1])
        return command_line(command)

    monkeypatch.setattr("experiments.reproduce.evaluate.urfr", urfr)
    assert main() == 0
    assert caches == [str(out / ".embeddings")] * 4
    for score, folder in (("cosine", "row"), ("likelihood", "row-likelihood")):
        assert score_name("row", score, ("cosine", "likelihood")) == folder
        content = json.loads((out.with_name(folder) / "one" / "metrics.json").read_text())
        assert content["score"] == score and f"--score {score}" in content["command"]
        # A test's own score stands above that of the row.
        assert (
            json.loads((out.with_name(folder) / "own" / "metrics.json").read_text())["score"] == "likelihood"
        )
    assert not [*tmp_path.rglob(".embeddings")]


def test_the_tflite_file_is_made_once_and_tested(tiny_run, shards, tmp_path, monkeypatch):
    run, tests = tmp_path / "run", tmp_path / "tests.json"
    shutil.copytree(tiny_run, run)
    tests.write_text(json.dumps({"one": ["--protocol", "pairs", "--data", str(shards), "--thin-far"]}))
    path, times = run / "export" / "model.tflite", []
    for _ in range(2):
        monkeypatch.setattr(sys, "argv", [*words_for(run, tests, tmp_path / "row"), "--tflite"])
        assert main() == 0
        times.append(path.stat().st_mtime_ns)
    content = json.loads((tmp_path / "row" / "one" / "metrics.json").read_text())
    assert content["fingerprint"] == load_model(path).fingerprint and str(path) in content["command"]
    (tmp_path / "run_tests.json").write_text(tests.read_text().replace('"one"', '"by_run"'))
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--run-tests", str(tmp_path / "run_tests.json")])
    assert main() == 0
    content = json.loads((tmp_path / "row" / "by_run" / "metrics.json").read_text())
    assert content["fingerprint"] == load_model(run).fingerprint and f"--model {run}" in content["command"]
    assert times[0] == times[1]
    with h5py.File(run / "inference.weights.h5", "r+") as file:
        array = next(value for value in values(file) if value.size > 1)
        array[...] = array[...] * 1.5
    assert exported(run) == str(path) and path.stat().st_mtime_ns != times[0]


def values(group):
    for child in group.values():
        yield from values(child) if isinstance(child, h5py.Group) else [child]


def test_a_row_is_measured_once(tiny_run, shards, tmp_path, monkeypatch, capsys):
    tests = tmp_path / "tests.json"
    pairs = [
        "--protocol",
        "pairs",
        "--data",
        str(shards),
        "--impostors",
        "all",
        "--thin-far",
        "--far",
        "1e-2",
    ]
    tests.write_text(json.dumps({"validation": pairs}))
    gender = tmp_path / "gender.tsv"
    gender.write_text("".join(f"person_{n}\t{'male' if n < 2 else 'female'}\n" for n in range(4)))
    words = words_for(tiny_run, tests, tmp_path / "out")
    words += [
        "--train",
        str(shards),
        "--people",
        str(shards),
        "--validation",
        str(shards),
        "--gender",
        str(gender),
    ]
    for _ in range(2):
        monkeypatch.setattr(sys, "argv", words)
        assert main() == 0
    assert capsys.readouterr().out.count("$ urfr evaluate") == 1
    content = {
        path.parent.name: json.loads(path.read_text()) for path in (tmp_path / "out").glob("*/metrics.json")
    }
    assert set(content) == {"validation", "gender", "pictures"}
    assert len({each["fingerprint"] for each in content.values()}) == 1
    assert content["validation"]["command"].startswith("urfr evaluate --model")
    # Four people of seven images, two of each gender: 2 x 21 genuine pairs and 7 x 7 impostors a gender.
    assert content["gender"]["counts"]["male_tar_pairs"] == 42
    assert content["gender"]["counts"]["female_far_pairs"] == 49
    with np.load(tmp_path / "out/pictures/scores.npz") as arrays:
        assert arrays["points"].shape == (56, 2)
        assert arrays["confidence_clean"].shape == (28, 4)
    assert not list((tmp_path / "out").rglob(".embeddings"))


def test_a_failed_test_is_named_and_the_others_are_kept(tiny_run, shards, tmp_path, monkeypatch, capsys):
    tests = tmp_path / "tests.json"
    good = ["--protocol", "pairs", "--data", str(shards)]
    tests.write_text(json.dumps({"bad": ["--protocol", "tinyface", "--data", "/nowhere"], "good": good}))
    words = words_for(tiny_run, tests, tmp_path)
    monkeypatch.setattr(sys, "argv", words)
    assert main() == 1
    assert "failed: bad" in capsys.readouterr().err
    assert (tmp_path / "good/metrics.json").is_file()
