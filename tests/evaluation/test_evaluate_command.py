"""`urfr evaluate` on made-up people, with a model that is no network: files, table, thresholds, sentences."""

import json
import os
import shutil

import numpy as np
import pytest
from made_up import put_junk

import urfr_tf.runs.load_model
from urfr_tf.cli import main
from urfr_tf.runs.thresholds import find_threshold
from urfr_tf.visualize.degraded_metrics import group_by_strength


@pytest.fixture
def evaluate(pixel_model, crowd, monkeypatch, tmp_path):
    """Runs the command with the model in place of whatever --model names."""
    monkeypatch.setattr(urfr_tf.runs.load_model, "load_model", lambda path, bulk: pixel_model)

    def command(*more, protocol="pairs", data=crowd, out="out"):
        words = ["evaluate", "--model", "m", "--protocol", protocol, "--data", data, "--out", tmp_path / out]
        return main([str(word) for word in [*words, *more]])

    return command


def read(folder):
    return json.loads((folder / "metrics.json").read_text())


def test_files_and_table(evaluate, tmp_path, capsys):
    assert evaluate() == 0
    content = read(tmp_path / "out")
    assert {"protocol", "model", "score", "metrics", "counts", "threshold", "versions"} <= set(content)
    assert content["protocol"] == "pairs" and content["model"] == "m" and content["score"] == "cosine"
    # 24 people of 4 images: 144 genuine pairs; folds of 2 or 3 people.
    assert content["counts"]["genuine"] == 144 and content["counts"]["people"] == 24
    assert 0.6 < content["metrics"]["accuracy"] <= 1 and 0 < content["metrics"]["rank1"] <= 1
    with np.load(tmp_path / "out" / "scores.npz") as arrays:
        assert arrays["scores"].shape == arrays["same"].shape == arrays["fold"].shape
        assert arrays["same"].sum() == 144
    printed = capsys.readouterr().out
    assert (
        "accuracy" in printed
        and "left out: tar@far=1e-2, tar@far=1e-3, tar@far=1e-4, tar@far=1e-5, tar@far=1e-6: a FAR of"
        in printed
    )
    assert not list((tmp_path / "out").glob(".*.part"))


def test_what_is_no_image_does_not_count(evaluate, crowd, tmp_path, capsys):
    """Figures, scores and threshold are those without junk and without notes and videos beside the images."""
    data = shutil.copytree(crowd, tmp_path / "data")
    assert evaluate("--far", "1e-1", data=data, out="clean") == 0
    assert "refused" not in capsys.readouterr().err
    assert not (tmp_path / "clean" / "refused_files.tsv").exists()
    junk = put_junk(data)
    (data / "p0" / "notes.txt").write_text("born 1970")
    (data / "p0" / "0.txt").touch()
    (data / "p1" / "clip\t1.mp4").write_bytes(b"\0\0\0\x18ftypmp42")
    os.mkfifo(data / "p1" / "pipe.jpg")
    assert evaluate("--far", "1e-1", data=data, out="with") == 0
    shown = capsys.readouterr().err
    assert shown.count(f"ignored {junk} hidden or system files, for instance #recycle\n") == 1
    assert (
        "refused: 1 empty file, 1 format not read, 1 not an image, 1 unreadable "
        "(for instance p0/0.txt: empty file); not counted as faces\n"
    ) in shown
    clean, dirty = read(tmp_path / "clean"), read(tmp_path / "with")
    assert dirty["counts"].pop("refused_files") == {
        "empty file": 1,
        "format not read": 1,
        "not an image": 1,
        "unreadable": 1,
    }
    for content in (clean, dirty):
        del content["command"]
    assert clean == dirty
    for name in ("scores.npz", "threshold.json"):
        assert (tmp_path / "clean" / name).read_bytes() == (tmp_path / "with" / name).read_bytes()
    listed = (tmp_path / "with" / "refused_files.tsv").read_text().splitlines()
    assert [line.split("\t")[0] for line in listed] == [
        "p0/0.txt",
        "p0/notes.txt",
        "p1/clip\\t1.mp4",
        "p1/pipe.jpg",
    ]


def test_a_damaged_image_is_a_missing_face(evaluate, crowd, tmp_path):
    """As before: it is somebody's image, and no face is found in it."""
    data = shutil.copytree(crowd, tmp_path / "data")
    whole = (data / "p0" / "0.png").read_bytes()
    (data / "p0" / "0.png").write_bytes(whole[:60])
    assert evaluate(data=data) == 0
    counts = read(tmp_path / "out")["counts"]
    assert (counts["images"], counts["images_not_found"], counts["refused_images"]) == (
        96,
        1,
        {"truncated": 1},
    )


def test_embedded_once_for_every_score(evaluate, pixel_model, tmp_path, capsys):
    assert evaluate("--cache", tmp_path / "kept") == 0
    assert evaluate("--score", "likelihood", "--cache", tmp_path / "kept", out="other") == 0
    assert pixel_model.images == 96
    assert read(tmp_path / "other")["score"] == "likelihood"


def test_no_model_is_evaluated_before_all_were_found(pixel_model, crowd, monkeypatch, tmp_path, capsys):
    load_model, loaded, gone = urfr_tf.runs.load_model.load_model, [], str(tmp_path / "gone")

    def load(path, bulk):
        loaded.append(path)
        return pixel_model if path == "a" else load_model(path, bulk)

    monkeypatch.setattr(urfr_tf.runs.load_model, "load_model", load)
    words = ["evaluate", "--protocol", "pairs", "--data", crowd, "--out", tmp_path / "rows"]
    assert main([str(word) for word in [*words, "--model", "one=a", "two=a", gone]]) == 1
    assert f"{gone} does not exist" in capsys.readouterr().err
    assert loaded == ["a", gone]
    assert pixel_model.images == 0 and not (tmp_path / "rows").exists()


def test_rows_of_several_models_come_out_of_one_command(pixel_model, crowd, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(urfr_tf.runs.load_model, "load_model", lambda path, bulk: pixel_model)
    words = ["evaluate", "--protocol", "pairs", "--data", crowd, "--out", tmp_path / "rows", "--json"]
    words += ["--model", "Baseline=a", "all + PA=b", "--score", "cosine", "likelihood"]
    assert main([str(word) for word in words]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["score"] for row in rows] == ["cosine", "likelihood"]
    assert rows[0] == read(tmp_path / "rows" / "baseline-cosine")
    assert rows[1] == read(tmp_path / "rows" / "all-pa-likelihood")
    assert pixel_model.images == 96


def test_a_far_that_is_asked_for_gives_a_threshold(evaluate, pixel_model, tmp_path, capsys):
    assert evaluate("--far", "1e-1") == 0
    content = read(tmp_path / "out")
    stored = json.loads((tmp_path / "out" / "threshold.json").read_text())
    assert stored["threshold"] == content["threshold"] == content["calibration"][0]["threshold"]
    assert stored["score"] == "cosine" and stored["kind"] == "run" and stored["far"] == 0.1
    assert stored["fingerprint"] == pixel_model.fingerprint and 0 <= stored["far_reached"] < 0.5
    assert json.loads((tmp_path / "run" / "threshold.json").read_text()) == stored
    assert "on held-out people it reaches" in capsys.readouterr().out


def test_an_export_keeps_its_own_threshold(evaluate, pixel_model, tmp_path):
    pixel_model.kind = "tflite"
    assert evaluate("--far", "1e-1") == 0
    assert json.loads((tmp_path / "out" / "threshold.json").read_text())["kind"] == "tflite"
    assert not (tmp_path / "run").exists()
    # Next to the file, where urfr compare looks; another file of the same name has no threshold.
    stored = json.loads((tmp_path / "run.threshold.json").read_text())
    assert find_threshold("tflite", pixel_model.path, pixel_model.fingerprint, None) == stored
    assert find_threshold("tflite", pixel_model.path, "another", None) is None
    pixel_model.kind = "saved_model"
    assert evaluate("--far", "1e-1") == 0
    assert (tmp_path / "run" / "assets.extra" / "threshold.json").is_file()


def test_an_export_does_not_take_the_threshold_of_its_run(tmp_path):
    run = {"score": "cosine", "threshold": 0.4, "fingerprint": "of the run"}
    assert find_threshold("run", tmp_path, "of the run", run) == run
    assert find_threshold("saved_model", tmp_path, "of the export", run) is None
    assert find_threshold("run", tmp_path, "of the run trained on", run) is None


def test_degraded_probes_leave_the_models_threshold(evaluate, tmp_path):
    assert evaluate("--far", "1e-1", "--degrade", "blur:11") == 0
    assert (tmp_path / "out" / "threshold.json").is_file() and not (tmp_path / "run").exists()


def test_a_thin_far_is_refused_before_anything_is_embedded(evaluate, pixel_model, tmp_path, capsys):
    assert evaluate("--far", "1e-4") == 1
    assert "a FAR of 0.0001 needs" in capsys.readouterr().err
    assert pixel_model.images == 0 and not (tmp_path / "out").exists()
    assert evaluate("--far", "1e-4", "--thin-far") == 0
    assert read(tmp_path / "out")["thin"] == ["tar@far=1e-4"]
    assert " thin" in capsys.readouterr().out


def test_all_impostors(evaluate, tmp_path):
    assert evaluate("--impostors", "all", "--far", "1e-2") == 0
    # 96 images: 4560 pairs less 144 genuine ones.
    assert read(tmp_path / "out")["counts"]["impostors"] == 4416


def test_one_degradation_degrades_the_probes(evaluate, tmp_path):
    assert evaluate("--far", "1e-1") == 0
    assert evaluate("--far", "1e-1", "--degrade", "occlusion:5", out="worse") == 0
    clean, worse = read(tmp_path / "out"), read(tmp_path / "worse")
    assert worse["degrade"] == ["occlusion=5"]
    assert worse["metrics"]["rank1"] < clean["metrics"]["rank1"]


def test_synthetic_is_a_curve_over_strengths(evaluate, tmp_path, capsys):
    assert evaluate("--degrade", "blur", "occlusion:5", protocol="synthetic") == 0
    metrics = read(tmp_path / "out")["metrics"]
    assert {"accuracy", "accuracy@blur=3", "accuracy@blur=11", "rank1@occlusion=5"} <= set(metrics)
    assert metrics["rank1@occlusion=5"] < metrics["rank1"]
    # Each number stands there once: the curves are drawn from the names.
    assert "robustness" not in read(tmp_path / "out")
    assert [s for s, _ in group_by_strength(metrics)["blur"]["rank1"]] == [3, 5, 7, 9, 11]
    assert (tmp_path / "out" / "robustness.png").read_bytes().startswith(b"\x89PNG")
    assert "accuracy@blur=7" in capsys.readouterr().out


def test_shards_are_read_as_they_are(evaluate, shards, tmp_path):
    assert evaluate(data=shards) == 0
    content = read(tmp_path / "out")
    assert content["counts"]["images"] == 28 and content["align"] == "none"
    assert content["counts"]["folds_disjoint_by_identity"] is False


@pytest.mark.parametrize(
    "more, sentence",
    [
        (["--pairs", "nowhere.txt"], "could not read the list nowhere.txt"),
        (["--per-person", "-1"], "--per-person of 0 or more, but got -1"),
        (["--score", "cosine", "likelihood"], "one score, or one for each of 1 models"),
        (
            ["--score", "weighted"],
            "weighted, which is cosine for them: it is for templates of several images",
        ),
        (["--sharpness", "3"], "--sharpness with --score weighted, but got the score cosine"),
        (["--weight", "norm"], "--weight with --score weighted, but got the score cosine"),
        (["--score", "weighted", "--sharpness", "40"], "sharpness from 0 to 32, but got 40"),
        (["--degrade", "blur:2"], "odd kernel size"),
    ],
)
def test_bad_input_is_a_sentence_and_writes_nothing(evaluate, tmp_path, capsys, more, sentence):
    assert evaluate(*more) == 1
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_missing_data_is_a_sentence(evaluate, tmp_path, capsys):
    assert evaluate(data=tmp_path / "nowhere") == 1
    assert "expected a folder of folders" in capsys.readouterr().err


def test_templates_through_the_command(evaluate, crowd, pixel_model, tmp_path, capsys):
    """TinyFace's layout over the crowd: a probe, mates and distractors, one image that is none."""
    root = tmp_path / "tiny" / "Testing_Set"
    for name in ("Probe", "Gallery_Match", "Gallery_Distractor"):
        (root / name).mkdir(parents=True)
    for person in range(10):
        for image, name in enumerate(("Probe", "Gallery_Match", "Gallery_Match")):
            source = crowd / f"p{person}" / f"{image}.png"
            (root / name / f"{person + 1}_{image}.png").write_bytes(source.read_bytes())
        (root / "Gallery_Distractor" / f"{person}.png").write_bytes(
            (crowd / f"p{person + 10}" / "0.png").read_bytes()
        )
    (root / "Probe" / "1_0.png").write_bytes(b"text")
    by_norm = ["--score", "weighted", "--weight", "norm", "--sharpness", "2"]
    pixel_model.kind = "tflite"
    assert evaluate(*by_norm, protocol="tinyface", data=tmp_path / "tiny", out="norm") == 1
    assert "a run folder for --weight norm, but m is a tflite" in capsys.readouterr().err
    assert not (tmp_path / "norm").exists()
    pixel_model.kind = "run"
    pixel_model.embed_pixels = lambda images: {**pixel_model(images), "norm": np.ones(len(images))}
    assert evaluate(*by_norm, protocol="tinyface", data=tmp_path / "tiny", out="norm") == 0
    assert {"weight": "norm", "sharpness": 2.0}.items() <= read(tmp_path / "norm").items()
    assert evaluate(protocol="tinyface", data=tmp_path / "tiny") == 0
    content = read(tmp_path / "out")
    assert "weight" not in content
    assert 0.3 < content["metrics"]["rank1"] <= 0.9 and 0 < content["metrics"]["map"] < 1
    assert content["counts"]["images_not_found"] == 1 and content["counts"]["distractors"] == 10
    assert evaluate("--degrade", "occlusion:6", protocol="tinyface", data=tmp_path / "tiny", out="worse") == 0
    assert read(tmp_path / "worse")["metrics"]["rank1"] < content["metrics"]["rank1"]
