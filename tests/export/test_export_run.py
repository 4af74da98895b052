"""`urfr export` on a real run folder: both formats, the gate, and what a failure leaves behind."""

import argparse
import json
import os

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

import urfr_tf
from urfr_tf.commands import export as command
from urfr_tf.config.load_config import from_dict, read_run_config, to_yaml
from urfr_tf.errors import UrfrError
from urfr_tf.export import export_run as module
from urfr_tf.export.export_run import export_run
from urfr_tf.export.parity import LIMITS, Limit
from urfr_tf.export.request import ExportRequest
from urfr_tf.runs import load_tflite
from urfr_tf.runs.fingerprints import fingerprint_files
from urfr_tf.runs.load_model import load_model
from urfr_tf.runs.load_run import make_embedder
from urfr_tf.runs.run_card import make_run_card


@pytest.fixture(scope="module")
def config():
    model = {"backbone": "ir18", "width": 0.125, "input_size": 32, "embedding_dim": 16, "groups": 4}
    return from_dict({"model": model, "optimizer": {"learning_rate": {"type": "constant"}}}, "test")


@pytest.fixture(scope="module")
def run(config, network, tmp_path_factory):
    """A run folder whose network is the tiny one (the configuration has no name for it)."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "config.yaml").write_text(to_yaml(config))
    (folder / "run.json").write_text(json.dumps({"image_size": 36, "template": "arcface112"}))
    (folder / "threshold.json").write_text(json.dumps({"score": "cosine", "threshold": 0.3}))
    network.save_weights(folder / "inference.weights.h5")
    return folder


@pytest.fixture(scope="module", autouse=True)
def tiny(config, network):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            module, "load_network", lambda run: (network, make_run_card(run, read_run_config(run)), config)
        )
        yield


def cli(*words):
    parser = argparse.ArgumentParser()
    command.arguments(parser)
    return command.run(parser.parse_args([str(word) for word in words]))


@pytest.fixture(scope="module")
def out(run, tmp_path_factory):
    """Both formats, through the command."""
    out = tmp_path_factory.mktemp("export")
    for form in ("saved_model", "tflite"):
        assert cli("--run", run, "--out", out, "--format", form) == 0
    return out


def test_places_and_parity_file(out, run):
    assert sorted(path.name for path in out.iterdir()) == ["model.tflite", "parity.json", "saved_model"]
    assert [path.name for path in (out / "saved_model").iterdir()] == ["1"]
    parity = json.loads((out / "parity.json").read_text())
    assert set(parity) == {"saved_model/1", "model.tflite"}
    for report in parity.values():
        assert report["worst_cosine"] >= report["limits"]["cosine"]
        assert report["worst_confidence_error"] <= report["limits"]["confidence"]
        assert report["weights_sha256"] == fingerprint_files(
            [run / "config.yaml", run / "inference.weights.h5"], run
        )
        assert report["images"] == 64


def test_every_format_gives_the_same(out, run):
    images = np.random.default_rng(5).integers(0, 256, [5, 36, 36, 3], np.uint8)
    network, card, _ = module.load_network(run)
    expected = make_embedder(run, network, card)(images)
    for path in (out / "saved_model" / "1", out / "model.tflite"):
        model = urfr_tf.load(path)
        assert (model.aligned_size, model.alignment, model.threshold["threshold"]) == (36, "mtcnn", 0.3)
        assert model.card["licence"] == "Apache-2.0" and len(model.card["config_sha256"]) == 64
        outputs = model(images)
        for name, value in expected.items():
            np.testing.assert_allclose(outputs[name], value, rtol=1e-4, atol=1e-5)


def test_a_tflite_file_on_every_core_gives_the_same(out, monkeypatch):
    images = np.random.default_rng(6).integers(0, 256, [5, 36, 36, 3], np.uint8)
    expected = load_model(out / "model.tflite")(images)
    for cores in (1, 3, 8):  # eight interpreters, five images
        monkeypatch.setattr(load_tflite, "count_cores", lambda cores=cores: cores)
        model = load_model(out / "model.tflite", bulk=True)
        for _ in range(2):
            outputs = model(images)
            for name, value in expected.items():
                np.testing.assert_allclose(outputs[name], value, rtol=1e-5, atol=1e-6)
        assert model(images[:1])["embedding"].shape == (1, model.dim)


def test_training_weights_are_not_inside(out):
    parity = json.loads((out / "parity.json").read_text())
    weights = parity["model.tflite"]["bytes_of_weights"]
    # The graph's description takes the rest; a thousand prototypes of 16 floats would be 64 KB more.
    assert parity["model.tflite"]["bytes"] < weights + 60_000
    data = out / "saved_model" / "1" / "variables" / "variables.data-00000-of-00001"
    assert weights <= data.stat().st_size < weights + 60_000


def test_over_the_limit_nothing_changes(out, run, monkeypatch):
    def files():
        return {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}

    before = files()
    impossible = {name: Limit(cosine=1.1, confidence=0) for name in LIMITS}
    monkeypatch.setattr(module, "LIMITS", impossible)
    with pytest.raises(UrfrError, match=r"TFLite file with --quantize none was not exported.*at least 1\.1"):
        export_run(ExportRequest(run, out, "tflite"))
    assert files() == before


def test_what_differs_is_named(run, network, tmp_path, monkeypatch):
    """A SavedModel whose variables are right departs in its graph; one in bfloat16 in its first
    convolution.
    """
    impossible = {name: Limit(cosine=1.1, confidence=0) for name in LIMITS}
    monkeypatch.setattr(module, "LIMITS", impossible)
    with pytest.raises(UrfrError, match="every variable in the folder is that of Keras"):
        export_run(ExportRequest(run, tmp_path, "saved_model"))
    first = next(layer.name for layer in network.layers if "conv2d" in layer.name)
    with pytest.raises(UrfrError, match=f"--quantize bfloat16 was not exported.*{first} is the first layer"):
        export_run(ExportRequest(run, tmp_path, "saved_model", quantize="bfloat16"))
    assert not list(tmp_path.rglob("saved_model.pb"))


def test_bfloat16_is_half_as_large_and_passes(run, tmp_path):
    target, report = export_run(ExportRequest(run, tmp_path, "saved_model", quantize="bfloat16"))
    model = urfr_tf.load(target)
    assert (model.kind, model.card["quantize"]) == ("saved_model", "bfloat16")
    # In bits of 8: the confidences of the heads, which stay float32, see features that are 0.2 % off each.
    assert 1e-6 < report["worst_confidence_error"] < 0.05
    assert report["worst_cosine"] > 0.99
    kernels = {v.dtype.name for v in tf.saved_model.load(str(target)).variables if len(v.shape) == 4}
    assert kernels == {"bfloat16"}
    frozen, _ = export_run(
        ExportRequest(run, tmp_path / "frozen", "saved_model", quantize="bfloat16", frozen=True)
    )
    assert constants_of(frozen) == {"bfloat16"}
    image = np.zeros([2, 40, 40, 3], np.float32)
    before, after = (
        tf.saved_model.load(str(each)).signatures["serving_default"](image=image) for each in (target, frozen)
    )
    np.testing.assert_allclose(after["embedding"], before["embedding"], atol=0.01)


def constants_of(target):
    """Types of the convolutions' kernels that are constants of the graph."""
    graph = saved_model_pb2.SavedModel.FromString((target / "saved_model.pb").read_bytes()).meta_graphs[0]
    nodes = [node for function in graph.graph_def.library.function for node in function.node_def]
    tensors = [node.attr["value"].tensor for node in nodes if node.op == "Const"]
    return {tf.dtypes.as_dtype(t.dtype).name for t in tensors if len(t.tensor_shape.dim) == 4}


def test_a_frozen_export_has_constants_for_variables_and_gives_the_same(run, tmp_path):
    kept, _ = export_run(ExportRequest(run, tmp_path / "variables", "saved_model"))
    target, report = export_run(ExportRequest(run, tmp_path / "frozen", "saved_model", frozen=True))
    assert report["worst_cosine"] > 0.99999
    loaded = tf.saved_model.load(str(target))
    assert len(loaded.variables) == len(loaded.trainable_variables) == 0
    assert constants_of(target) == {"float32"}
    assert len(tf.saved_model.load(str(kept)).variables) > 0
    assert constants_of(kept) == set()
    assert report["bytes"] < 1.1 * report["bytes_of_weights"] + 1e6
    model = urfr_tf.load(target)
    assert (model.card["frozen"], model.card["quantize"]) == (True, "none")
    image = np.random.default_rng(0).uniform(0, 255, [3, 150, 130, 3]).astype(np.float32)
    before = tf.saved_model.load(str(kept)).signatures["serving_default"](image=image)
    after = loaded.signatures["serving_default"](image=image)
    for name, value in before.items():
        np.testing.assert_allclose(after[name], value, rtol=1e-3, atol=1e-5, err_msg=name)
    with pytest.raises(UrfrError, match="--frozen with --format saved_model, but got it with tflite"):
        export_run(ExportRequest(run, tmp_path / "frozen", "tflite", frozen=True))


def test_a_new_export_replaces_the_old(out, run, capsys):
    old = (out / "saved_model" / "1" / "saved_model.pb").stat().st_ino
    assert cli("--run", run, "--out", out, "--format", "saved_model", "--json") == 0
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert report["path"] == os.path.join(out, "saved_model", "1")
    assert (out / "saved_model" / "1" / "saved_model.pb").stat().st_ino != old
    assert [path.name for path in (out / "saved_model").iterdir()] == ["1"]


def test_settings_that_do_not_go_together(run, tmp_path):
    with pytest.raises(UrfrError, match="--quantize none, bfloat16 with saved_model, but got float16"):
        export_run(ExportRequest(run, tmp_path, "saved_model", quantize="float16"))
    with pytest.raises(UrfrError, match="with tflite, but got bfloat16"):
        export_run(ExportRequest(run, tmp_path, "tflite", quantize="bfloat16"))
    with pytest.raises(UrfrError, match="int8 needs --calibration SHARDS"):
        export_run(ExportRequest(run, tmp_path, "tflite", quantize="int8"))
    with pytest.raises(UrfrError, match=r"run folder with config\.yaml"):
        export_run(ExportRequest(tmp_path, tmp_path, "tflite"))
    assert not list(tmp_path.iterdir())


def test_out_that_is_a_file(run, tmp_path):
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(UrfrError, match="could not write"):
        export_run(ExportRequest(run, tmp_path / "out", "tflite"))
    assert (tmp_path / "out").read_text() == "in the way"


@pytest.mark.parametrize("quantize", ["float16", "dynamic", "int8"])
def test_quantized_formats_pass_their_gate(run, shards, tmp_path, quantize):
    target, report = export_run(
        ExportRequest(run, tmp_path, "tflite", quantize=quantize, calibration=str(shards))
    )
    assert report["images_from"] == str(shards) and report["images"] == 28
    assert urfr_tf.load(target).card["quantize"] == quantize
    assert report["bytes"] < 0.8 * report["bytes_of_weights"] + 60_000


def test_a_new_version_stands_beside_the_old(run, tmp_path):
    for version in (1, 2):
        assert cli("--run", run, "--out", tmp_path, "--format", "saved_model", "--version", version) == 0
    assert sorted(path.name for path in (tmp_path / "saved_model").iterdir()) == ["1", "2"]
    assert urfr_tf.load(tmp_path / "saved_model").path == str(tmp_path / "saved_model" / "2")


@pytest.mark.slow
def test_a_trained_run(tiny_run, tiny_config, tmp_path, tiny):
    """Everything real: a run that was trained, its own configuration, every format."""
    from urfr_tf.runs.load_run import load_network

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "load_network", load_network)
        images = np.random.default_rng(5).integers(0, 256, [5, 40, 40, 3], np.uint8)
        expected = urfr_tf.load(tiny_run)(images)
        for form in ("saved_model", "tflite"):
            target, report = export_run(ExportRequest(tiny_run, tmp_path, form))
            assert report["images_from"] == str(tiny_config.parent / "shards")
            for name, value in urfr_tf.load(target)(images).items():
                np.testing.assert_allclose(value, expected[name], rtol=1e-4, atol=1e-5)
