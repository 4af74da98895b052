"""`urfr import` end to end: the run folder that it writes, and what it refuses."""

import argparse
import hashlib
import json
import struct

import numpy as np
import pytest

from urfr_tf import load
from urfr_tf.commands import import_weights
from urfr_tf.config.load_config import read_run_config
from urfr_tf.embedding import import_check
from urfr_tf.embedding.import_check import disguise
from urfr_tf.errors import UrfrError
from urfr_tf.faces import detect
from urfr_tf.foreign_weights.pixels import PIXELS
from urfr_tf.runs.load_run import load_network


def run(*words):
    parser = argparse.ArgumentParser()
    import_weights.arguments(parser)
    return import_weights.run(parser.parse_args([str(word) for word in words]))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory, iresnet_state):
    header, body = {"__metadata__": {"format": "pt"}}, b""
    for name, tensor in {**iresnet_state, "head.weight": np.zeros((2, 24), np.float32)}.items():
        offsets = [len(body), len(body) + tensor.nbytes]
        header[name] = {"dtype": "F32", "shape": tensor.shape, "data_offsets": offsets}
        body += tensor.tobytes()
    text = json.dumps(header).encode()
    path = tmp_path_factory.mktemp("torch") / "backbone.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)
    return path


@pytest.fixture(scope="module")
def imported(tmp_path_factory, checkpoint):
    out = tmp_path_factory.mktemp("runs") / "imported"
    assert run("--from", "arcface_torch", "--weights", checkpoint, "--out", out) == 0
    return out


def test_run_folder_loads_like_any_other(imported, iresnet_state, pictures, run_iresnet, worst_cosine):
    model = load(imported)
    assert (model.kind, model.input_size, model.groups, model.dim) == ("run", 64, 1, 24)
    outputs = model(pictures)
    theirs = run_iresnet(iresnet_state, (pictures.transpose(0, 3, 1, 2) - 127.5) / 127.5)
    assert worst_cosine(outputs["embedding"], theirs) > 0.99999
    np.testing.assert_allclose(np.linalg.norm(outputs["embedding"], axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(outputs["confidence"], 64)


def test_origin_is_recorded(imported, checkpoint):
    facts = json.loads((imported / "run.json").read_text())["imported"]
    assert facts["sha256"] == hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    assert facts["source"] == "arcface_torch"
    assert facts["file"] == str(checkpoint)
    assert (facts["backbone"], facts["width"], facts["channels"]) == ("ir18", 0.125, "rgb")
    assert (facts["pixels"], facts["zero_pixel"]) == ("centered", "gray")
    assert facts["unused"] == ["head.weight"]


def test_the_licence_is_mentioned_in_one_line(imported, checkpoint, capsys):
    """And the same import again is no error."""
    assert run("--from", "arcface_torch", "--weights", checkpoint, "--out", imported) == 0
    printed = capsys.readouterr().out
    assert "ir18 of width 0.125, 64 px, 24-D" in printed
    assert "not used: head.weight" in printed
    assert sum("licence" in line for line in printed.splitlines()) == 1


def test_channels_can_be_said(tmp_path, checkpoint, imported):
    """The first convolution's weights of the two imports differ by the order of their inputs alone."""
    run("--from", "arcface_torch", "--weights", checkpoint, "--out", tmp_path / "r", "--channels", "bgr")
    assert json.loads((tmp_path / "r" / "run.json").read_text())["imported"]["channels"] == "bgr"
    kernels = [
        load_network(folder)[0].get_layer("conv1").kernel.numpy() for folder in (imported, tmp_path / "r")
    ]
    np.testing.assert_array_equal(kernels[1], kernels[0][:, :, ::-1])


def test_pixels_can_be_said(tmp_path, checkpoint, pictures, iresnet_state, run_iresnet, capsys):
    out = tmp_path / "r"
    options = ("--channels", "bgr", "--pixels", "0..1")
    assert run("--from", "arcface_torch", "--weights", checkpoint, "--out", out, *options) == 0
    assert "channels bgr, pixels 0..1" in capsys.readouterr().out
    facts = json.loads((out / "run.json").read_text())["imported"]
    assert (facts["pixels"], facts["zero_pixel"], facts["pixel_scale"]) == ("0..1", "black", [1 / 255] * 3)
    assert read_run_config(out).model.zero_pixel == "black"
    theirs = run_iresnet(iresnet_state, pictures[..., ::-1].transpose(0, 3, 1, 2) / 255)
    ours = load(out)(pictures)["embedding"]
    np.testing.assert_allclose(ours, theirs / np.linalg.norm(theirs, axis=1, keepdims=True), atol=2e-5)


def test_a_disguised_picture_shows_what_another_import_would_do(
    imported, pictures, iresnet_state, run_iresnet
):
    """At the border too: imported as centered R, G, B, asked for B, G, R in 0..1."""
    images = disguise(pictures.astype(np.float32), ("rgb", PIXELS["centered"]), ("bgr", PIXELS["0..1"]))
    ours = load(imported).compute(images)["embedding"]
    theirs = run_iresnet(iresnet_state, pictures[..., ::-1].transpose(0, 3, 1, 2) / 255)
    np.testing.assert_allclose(ours, theirs / np.linalg.norm(theirs, axis=1, keepdims=True), atol=2e-5)


@pytest.fixture
def people(tmp_path, monkeypatch, pictures):
    """A folder of three people, whose crops are (noise, names) -> pictures with noise, two of each person."""
    monkeypatch.setattr(detect, "Detector", lambda: None)
    monkeypatch.setattr(import_check, "FEWEST_PEOPLE", 3)
    folder = tmp_path / "people"
    for name in "abc":
        (folder / name).mkdir(parents=True)
        for file in ("1.jpg", "2.jpg"):
            (folder / name / file).write_bytes(b"")

    def show(names):
        crops = pictures.astype(np.float32).repeat(2, 0)
        monkeypatch.setattr(import_check, "crop_people", lambda chosen, size: (crops, names))
        return folder

    return show


def test_the_check_is_recorded(tmp_path, checkpoint, people, capsys):
    words = ("--from", "arcface_torch", "--weights", checkpoint, "--out", tmp_path / "r")
    assert run(*words) == 0
    assert "--check FOLDER_OF_PEOPLE does it" in capsys.readouterr().out.splitlines()[-1]
    assert run(*words, "--check", people(list("aabbcc"))) == 0
    assert "check with 6 photographs of 3 people: the import with" in capsys.readouterr().out
    found = json.loads((tmp_path / "r" / "run.json").read_text())["imported"]["check"]
    assert (found["passed"], found["people"], found["as_imported"]["auc"]) == (True, 3, 1)
    assert len(found["others"]) == 7


def test_garbage_is_an_error_that_deletes_nothing(tmp_path, checkpoint, people):
    out = tmp_path / "r"
    words = ("--from", "arcface_torch", "--weights", checkpoint, "--out", out)
    with pytest.raises(
        UrfrError, match="does not tell these people apart.* Nothing was deleted: .*r holds the"
    ):
        run(*words, "--check", people(list("abcabc")))
    assert load(out).dim == 24
    assert not json.loads((out / "run.json").read_text())["imported"]["check"]["passed"]


def test_a_folder_that_cannot_be_checked_imports_nothing(tmp_path, checkpoint, people):
    words = ("--from", "arcface_torch", "--weights", checkpoint, "--out", tmp_path / "r")
    with pytest.raises(UrfrError, match="expected a folder of folders at"):
        run(*words, "--check", tmp_path / "missing")
    assert not (tmp_path / "r" / "run.json").exists()


def test_nothing_of_another_run_is_overwritten(tmp_path, checkpoint):
    (tmp_path / "config.yaml").write_text("name: mine\n")
    with pytest.raises(UrfrError, match="is not empty and holds no import of these weights"):
        run("--from", "arcface_torch", "--weights", checkpoint, "--out", tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["config.yaml"]
    with pytest.raises(UrfrError, match="expected a folder at .*, but it is a file"):
        run("--from", "arcface_torch", "--weights", checkpoint, "--out", tmp_path / "config.yaml")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("insightface", r"expected a file named NAME-0000\.params"),
        ("arcface_torch", "expected a PyTorch checkpoint"),
        ("onnx", "expected an ONNX network"),
    ],
)
def test_the_wrong_file_writes_nothing(tmp_path, source, message):
    (tmp_path / "wrong.bin").write_bytes(b"\x08\x03 this is no network of any kind")
    with pytest.raises(UrfrError, match=message):
        run("--from", source, "--weights", tmp_path / "wrong.bin", "--out", tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_real_network(real_params, faces, run_symbol, worst_cosine, tmp_path):
    run("--from", "insightface", "--weights", real_params, "--out", tmp_path / "run")
    model = load(tmp_path / "run")
    assert (model.input_size, model.dim) == (112, 128)
    symbol = real_params.with_name("insightface_mobilefacenet-symbol.json")
    theirs = run_symbol(symbol, real_params, faces)
    assert worst_cosine(model(faces)["embedding"], theirs) > 0.99999
