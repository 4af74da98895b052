"""`urfr import --from dlib`: the run folder, the package's file, and what is refused."""

import argparse
import hashlib
import json

import numpy as np
import pytest
from dlib_writer import dlib_file

from urfr_tf import load
from urfr_tf.commands import import_weights
from urfr_tf.errors import UrfrError
from urfr_tf.foreign_weights import dlib_file as reading
from urfr_tf.runs import import_dlib


def run(*words):
    parser = argparse.ArgumentParser()
    import_weights.arguments(parser)
    return import_weights.run(parser.parse_args(["--from", "dlib", *(str(word) for word in words)]))


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    random = np.random.default_rng(0)
    content = dlib_file(
        lambda shape: random.normal(size=shape).astype(np.float32) / np.float32(np.sqrt(np.prod(shape[1:])))
    )[0]
    path = tmp_path_factory.mktemp("dlib") / "network.dat"
    path.write_bytes(content)
    return path


@pytest.fixture(scope="module")
def imported(tmp_path_factory, weights):
    out = tmp_path_factory.mktemp("runs") / "imported"
    assert run("--weights", weights, "--out", out) == 0
    return out


@pytest.fixture
def install(tmp_path, monkeypatch):
    """A function that installs a distribution with a file, which is then the published one."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(import_dlib, "PACKAGES", ("test-models-ng", "test-models"))

    def write(package, content, published=None):
        info = tmp_path / f"{package.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        path = tmp_path / "face_recognition_models" / "models" / import_dlib.FILE
        if content is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            # An import of the package would end the test.
            (path.parents[1] / "__init__.py").write_text("raise SystemExit('imported')")
            path.write_bytes(content)
            digest = hashlib.sha256(content if published is None else published).hexdigest()
            monkeypatch.setattr(import_dlib, "SHA256", digest)
        return path

    return write


def test_run_folder_loads_like_any_other(imported, weights):
    model = load(imported)
    assert (model.kind, model.input_size, model.groups, model.dim) == ("run", 112, 1, 128)
    assert (model.card["alignment"]["template"], model.alignment) == ("arcface112", "mtcnn")
    image = np.random.default_rng(0).integers(0, 256, [2, 112, 112, 3], np.uint8)
    outputs = model(image)
    np.testing.assert_allclose(np.linalg.norm(outputs["embedding"], axis=1), 1, atol=1e-6)
    facts = json.loads((imported / "run.json").read_text())["imported"]
    assert facts["sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert (facts["source"], facts["backbone"], facts["numbers"]) == ("dlib", "dlib_resnet", 5607488)
    # (x - mean) / 256 of R, G, B, as the file says.
    assert facts["pixels"] == "(x - (122.782, 117.001, 104.298)) * 0.00390625"


def test_other_weights_of_the_same_layers_are_taken_and_named(imported, weights, capsys):
    assert run("--weights", weights, "--out", imported) == 0
    printed = capsys.readouterr().out
    assert "these are not the weights that dlib's author published; check the licence" in printed
    assert "dlib_resnet of width 1, 112 px, 128-D, 5,607,488 numbers" in printed


def test_the_file_of_an_installed_package_is_found_without_importing_it(
    tmp_path, install, weights, capsys, monkeypatch
):
    content = weights.read_bytes()
    path = install("test-models", content)
    monkeypatch.setattr(reading, "SHA256", hashlib.sha256(content).hexdigest())
    assert run("--out", tmp_path / "run") == 0
    assert json.loads((tmp_path / "run" / "run.json").read_text())["imported"]["file"] == str(path)
    assert "licence: CC0 1.0" in capsys.readouterr().out


def test_a_package_with_another_file_of_that_name(tmp_path, install, weights):
    content = weights.read_bytes()
    install("test-models-ng", content[:-1] + b"\x01", published=content)
    with pytest.raises(
        UrfrError, match="expected dlib's face network with the SHA-256 .*; install test-models-ng"
    ):
        run("--out", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_package_without_the_file(tmp_path, install):
    install("test-models-ng", None)
    with pytest.raises(
        UrfrError, match="in the installed package test-models-ng, but it is not there; install"
    ):
        run("--out", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_no_package(tmp_path, install):
    with pytest.raises(UrfrError, match=r"not installed: pip install 'urfr-tf\[default-network\]'"):
        run("--out", tmp_path / "run")


@pytest.mark.parametrize("words", [("--pixels", "0..1"), ("--channels", "bgr")])
def test_options_that_the_file_contradicts(tmp_path, weights, words):
    with pytest.raises(UrfrError, match=f"expected no {words[0]} {words[1]} with --from dlib"):
        run("--weights", weights, "--out", tmp_path / "run", *words)


def test_other_sources_need_a_file(tmp_path):
    with pytest.raises(UrfrError, match="expected --weights FILE with --from onnx"):
        run("--from", "onnx", "--out", tmp_path / "run")
