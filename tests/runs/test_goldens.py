"""Run folders and exports of earlier code: they load, give the same outputs, and go on training.

goldens/README.md says how they were made.
"""

import gzip
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from running import rows, start

import urfr_tf
from urfr_tf.cli import main
from urfr_tf.files import file_sha256, read_json
from urfr_tf.runs.load_model import load_model
from urfr_tf.visualize.sources import read_source

GOLDENS = Path(__file__).parent / "goldens"
# TensorFlow 2.15 wrote the first, TensorFlow 2.20 the second: each set of packages reads both.
SETS = {"tf215": GOLDENS, "tf2": GOLDENS / "tf2"}
MODELS = {"run": "run", "saved_model": "saved_model/1", "tflite": "model.tflite"}
# What `urfr prepare` of that time made of the same photographs.
SHARD = "562dc89b0953ce193553a26369de02fe6e599411828d063a665dd0a0ed6f6366"


@pytest.fixture(scope="module")
def stored():
    with np.load(GOLDENS / "outputs.npz") as arrays:
        return dict(arrays)


def assert_stored_outputs(outputs, stored, name):
    expected = {key: values for key, values in stored.items() if key.startswith(f"{name}/")}
    assert len(expected) == 4
    for key, values in expected.items():
        got = outputs[key.removeprefix(f"{name}/")]
        np.testing.assert_allclose(got, values, rtol=1e-5, atol=1e-5, err_msg=key)


@pytest.mark.parametrize("bulk", [False, True])
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("packages", SETS)
def test_each_kind_of_model_gives_the_stored_outputs(packages, name, bulk, stored):
    model = load_model(SETS[packages] / MODELS[name], bulk=bulk)
    assert (model.kind, model.input_size, model.aligned_size, model.groups, model.dim) == (
        name,
        32,
        40,
        4,
        16,
    )
    assert_stored_outputs(model.embed_with_norm(stored["images"]), stored, name)


@pytest.mark.parametrize("name", MODELS)
def test_each_kind_of_model_has_its_threshold(name):
    """It is bound to the fingerprint, so this shows that the fingerprints are what they were."""
    model = urfr_tf.load(GOLDENS / MODELS[name])
    threshold = model.threshold
    assert threshold["score"] == "cosine" and threshold["threshold"] == pytest.approx(-0.2656308, abs=1e-5)
    assert threshold["kind"] == name and threshold["fingerprint"] == model.fingerprint


def test_weights_with_depthwise_convolutions(tmp_path, stored):
    shutil.copy(GOLDENS / "mobilefacenet" / "config.yaml", tmp_path)
    weights = gzip.decompress((GOLDENS / "mobilefacenet" / "inference.weights.h5.gz").read_bytes())
    (tmp_path / "inference.weights.h5").write_bytes(weights)
    outputs = urfr_tf.load(tmp_path).embed_with_norm(stored["images_64"])
    assert_stored_outputs(outputs, stored, "mobilefacenet")


def test_the_report_reads_what_the_run_holds():
    source = read_source(GOLDENS / "run", run=True)
    assert source.missing == []
    (evaluation,) = source.evaluations
    content = read_json(GOLDENS / "run" / "evaluation" / "metrics.json")
    assert evaluation.metrics == content["metrics"] and content["metrics"]["rank1"] == 1
    assert source.log["epoch"].tolist() == [1, 2]


def test_compare_uses_the_threshold_of_the_run(people, capsys):
    photographs = [str(people / name) for name in ("person_0/0.png", "person_0/1.png")]
    assert main(["compare", "--model", str(GOLDENS / "run"), *photographs, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["same"] is True


@pytest.mark.parametrize("packages", SETS)
def test_the_run_resumes_and_ends_as_it_did(packages, people, tmp_path, stored):
    """The stored outputs are those of the earlier code after epoch 3."""
    shutil.copytree(SETS[packages] / "run", tmp_path / "run")
    shutil.copy(GOLDENS / "tiny.yaml", tmp_path)
    prepare = [
        "prepare",
        "--source",
        "folder",
        "--path",
        people,
        "--out",
        tmp_path / "shards",
        "--size",
        "40",
    ]
    assert main([str(word) for word in prepare]) == 0
    assert file_sha256(tmp_path / "shards" / "train-00000-of-00001.tfrecord") == SHARD
    before = rows(tmp_path / "run")
    # The run says `data.train: shards`, so the training must start where they are.
    result = start("tiny.yaml", "run", cwd=tmp_path)
    assert result.returncode == 0, result.stderr[-3000:]
    assert "resuming from" in result.stdout and "step 20 of 30" in result.stdout
    after = rows(tmp_path / "run")
    assert [row["epoch"] for row in after] == ["1", "2", "3"]
    for row, earlier in zip(after, before, strict=False):
        assert {key: row[key] for key in earlier} == earlier
    outputs = urfr_tf.load(tmp_path / "run").embed_with_norm(stored["images"])
    assert_stored_outputs(outputs, stored, "resumed")
