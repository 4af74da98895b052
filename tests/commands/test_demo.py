"""The demo: its steps in order, each a command of `urfr`. `make demo` runs it in full."""

import os
import subprocess
import sys

import pytest
from paths import ROOT

from urfr_tf import demo
from urfr_tf.config.load_config import load_config
from urfr_tf.errors import UrfrError


@pytest.fixture()
def steps(monkeypatch):
    """The commands that the demo gives; nothing is run."""
    given = []
    monkeypatch.setattr(demo, "urfr", lambda words: given.append(words) or 0)
    monkeypatch.setattr(demo, "evaluate_systems", lambda run, data: given.append(["evaluate_systems"]))
    monkeypatch.setattr(demo, "print_table", lambda run: None)
    return given


def option(words, name):
    return words[words.index(name) + 1]


def test_steps_in_order(steps, tmp_path):
    demo.demo(tmp_path, None)
    assert [words[0] for words in steps] == [
        *("prepare", "prepare", "train", "evaluate_systems", "export", "export"),
        *("evaluate", "evaluate", "report"),
    ]


def test_the_people_that_are_measured_on_are_not_trained_on(steps, tmp_path):
    demo.demo(tmp_path, None)
    prepared = {option(words, "--out"): option(words, "--identities") for words in steps[:2]}
    assert prepared == {str(tmp_path / "data" / "train"): ":30", str(tmp_path / "data" / "unseen"): "30:"}


def test_the_training_takes_the_preset_by_name(steps, tmp_path, monkeypatch):
    """From a wheel there is no configs/ next to the code's repository."""
    demo.demo(tmp_path, 2)
    words = steps[2]
    assert option(words, "--config") == "demo"
    overrides = [words[i + 1] for i, word in enumerate(words) if word == "--set"]
    monkeypatch.chdir(tmp_path)
    config = load_config("demo", overrides)
    assert (config.name, config.train.epochs) == ("demo", 2)
    assert config.data.train == str(tmp_path / "data" / "train")


def test_a_step_that_fails_ends_the_demo(steps, tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "urfr", lambda words: 1)
    with pytest.raises(UrfrError, match="the step 'prepare' ended with 1"):
        demo.demo(tmp_path, None)


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [(UrfrError("no space"), 1, "demo: no space"), (KeyboardInterrupt(), 130, "'make demo' goes on")],
)
def test_the_command_line(monkeypatch, capsys, error, code, text):
    def fail(run, epochs):
        assert (str(run), epochs) == ("x", 3)
        raise error

    monkeypatch.setattr(demo, "demo", fail)
    monkeypatch.setattr(sys, "argv", ["demo", "--run-dir", "x", "--epochs", "3"])
    assert demo.main() == code
    assert text in capsys.readouterr().err


def test_python_m_urfr_tf_demo(tmp_path):
    """Outside of the repository, as with a wheel."""
    words = [sys.executable, "-m", "urfr_tf.demo", "--help"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, check=True)
    assert "python -m urfr_tf.demo" in result.stdout
