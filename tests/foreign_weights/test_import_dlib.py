"""`urfr import --from dlib`: the run folder, the package's file, and what is refused."""

import argparse
import hashlib
import json

import numpy as np
import pytest
from dlib_writer import install_package, network_file

from urfr_tf import load
from urfr_tf.commands import import_weights
from urfr_tf.errors import UrfrError
from urfr_tf.runs.folder import find_licence


def run(*words):
    parser = argparse.ArgumentParser()
    import_weights.arguments(parser)
    return import_weights.run(parser.parse_args(["--from", "dlib", *(str(word) for word in words)]))


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("dlib") / "network.dat"
    path.write_bytes(network_file())
    return path


@pytest.fixture(scope="module")
def imported(tmp_path_factory, weights):
    out = tmp_path_factory.mktemp("runs") / "imported"
    assert run("--weights", weights, "--out", out) == 0
    return out


@pytest.fixture
def install(tmp_path, monkeypatch):
    return lambda *words, **more: install_package(monkeypatch, tmp_path / "site", *words, **more)


def test_run_folder_loads_like_any_other(imported, weights):
    model = load(imported)
    assert (model.kind, model.input_size, model.groups, model.dim) == ("run", 112, 1, 128)
    assert (model.card["alignment"]["template"], model.alignment) == ("arcface112", "mtcnn")
    image = np.random.default_rng(0).integers(0, 256, [2, 112, 112, 3], np.uint8)
    outputs = model(image)
    np.testing.assert_allclose(np.linalg.norm(outputs["embedding"], axis=1), 1, atol=1e-6)
    facts = json.loads((imported / "run.json").read_text())["imported"]
    assert facts["sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert find_licence(imported) is None
    assert (facts["source"], facts["backbone"], facts["numbers"]) == ("dlib", "dlib_resnet", 5607488)
    # (x - mean) / 256 of R, G, B, as the file says.
    assert facts["pixels"] == "(x - (122.782, 117.001, 104.298)) * 0.00390625"


def test_other_weights_of_the_same_layers_are_taken_and_named(imported, weights, capsys):
    assert run("--weights", weights, "--out", imported) == 0
    printed = capsys.readouterr().out
    assert "these are not the weights that dlib's author published; check the licence" in printed
    assert "dlib_resnet of width 1, 112 px, 128-D, 5,607,488 numbers" in printed


def test_the_file_of_an_installed_package_is_found_without_importing_it(tmp_path, install, weights, capsys):
    path = install(weights.read_bytes(), package="test-models")
    assert run("--out", tmp_path / "run") == 0
    assert json.loads((tmp_path / "run" / "run.json").read_text())["imported"]["file"] == str(path)
    assert "license: CC0 1.0" in capsys.readouterr().out
    assert find_licence(tmp_path / "run") == "CC0-1.0"


def test_a_package_with_another_file_of_that_name(tmp_path, install, weights):
    content = weights.read_bytes()
    install(content[:-1] + b"\x01", published=content)
    with pytest.raises(
        UrfrError, match="expected dlib's face network with the SHA-256 .*; install test-models-ng anew"
    ):
        run("--out", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_package_without_the_file(tmp_path, install):
    install(None)
    with pytest.raises(
        UrfrError, match="in the installed package test-models-ng, but it is not there; install"
    ):
        run("--out", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_no_package(tmp_path, install):
    install(None, package="")
    with pytest.raises(UrfrError, match=r"not installed: pip install 'urfr-tf\[default-network\]'"):
        run("--out", tmp_path / "run")


@pytest.mark.parametrize("words", [("--pixels", "0..1"), ("--channels", "bgr")])
def test_options_that_the_file_contradicts(tmp_path, weights, words):
    with pytest.raises(UrfrError, match=f"expected no {words[0]} {words[1]} with --from dlib"):
        run("--weights", weights, "--out", tmp_path / "run", *words)


def test_other_sources_need_a_file(tmp_path):
    with pytest.raises(UrfrError, match="expected --weights FILE with --from onnx"):
        run("--from", "onnx", "--out", tmp_path / "run")
