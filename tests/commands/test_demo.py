"""The demo: its steps in order, each a command of `urfr`. `make demo` runs it in full."""

import os
import subprocess
import sys

import pytest
from paths import ROOT

from urfr_tf import demo
from urfr_tf.config.load_config import load_config
from urfr_tf.errors import UrfrError
from urfr_tf.files import write_json


@pytest.fixture()
def steps(monkeypatch, tmp_path):
    """The commands that the demo gives; nothing is run."""
    given = []

    def run(words):
        given.append(words)
        if words[0] == "mix":
            (tmp_path / "steps" / "mixed").mkdir(parents=True)
            for name in ("config.yaml", "run.json", "inference.weights.h5"):
                (tmp_path / "steps" / "mixed" / name).write_text(f"mixed {name}")
        return 0

    monkeypatch.setattr(demo, "urfr", run)
    monkeypatch.setattr(demo, "read_json", lambda path: {})
    monkeypatch.setattr(demo, "draw_picture", lambda run: given.append(["draw_picture"]))
    monkeypatch.setattr(demo, "print_table", lambda run: None)
    return given


def option(words, name):
    return words[words.index(name) + 1]


def test_steps_in_order(steps, tmp_path):
    demo.demo(tmp_path, None)
    assert [words[0] for words in steps] == [
        *("prepare", "prepare", "import", "train", "mix"),
        *("evaluate", "evaluate", "export", "export", "evaluate", "evaluate"),
        *("draw_picture", "report"),
    ]


def test_the_people_that_are_measured_on_are_not_trained_on(steps, tmp_path):
    demo.demo(tmp_path, None)
    prepared = {option(words, "--out"): option(words, "--identities") for words in steps[:2]}
    train, unseen = (str(tmp_path / "data" / name) for name in ("train", "unseen"))
    assert prepared == {train: ":30", unseen: "30:"}
    for words in steps[2:]:
        if words[0] == "evaluate":
            assert option(words, "--data") == unseen
        elif words[0] != "report":
            assert not any(unseen in word for word in words)


def test_each_step_takes_what_the_one_before_made(steps, tmp_path):
    demo.demo(tmp_path, None)
    taken, train, mix = (words for words in steps if words[0] in ("import", "train", "mix"))
    assert f"initial_weights={option(taken, '--out')}" in train
    assert option(mix, "--run") == option(train, "--run-dir")
    assert option(mix, "--out") == str(tmp_path / "steps" / "mixed")
    assert (tmp_path / "inference.weights.h5").read_text() == "mixed inference.weights.h5"
    tested = [option(words, "--model") for words in steps if words[0] == "evaluate"]
    assert tested[:2] == [option(taken, "--out"), str(tmp_path)]


def test_the_training_takes_a_preset_by_name(steps, tmp_path, monkeypatch):
    """From a wheel there is no configs/ next to the code's repository."""
    demo.demo(tmp_path, 2)
    monkeypatch.chdir(tmp_path)
    for words in (words for words in steps if words[0] == "train"):
        overrides = [words[i + 1] for i, word in enumerate(words) if word == "--set"]
        config = load_config(option(words, "--config"), overrides)
        assert config.name == option(words, "--config").replace("/", "_")
        assert (config.train.epochs, config.data.train) == (2, str(tmp_path / "data" / "train"))
        assert config.data.validation == ""


def test_a_step_that_fails_ends_the_demo(steps, tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "urfr", lambda words: 1)
    with pytest.raises(UrfrError, match="the step 'prepare' ended with 1"):
        demo.demo(tmp_path, None)


def test_the_table_has_a_row_for_each_system_and_a_column_for_each_condition(tmp_path, capsys):
    names = ["", "@resolution=24", "@resolution=16", "@blur=25", "@occlusion=3", "@jpeg=5", "@gamma=4"]
    for row, system in enumerate(demo.SYSTEMS):
        metrics = {f"tar@far=1e-2{name}": row / 10 + column / 100 for column, name in enumerate(names)}
        write_json(tmp_path / "evaluation" / system / "metrics.json", {"metrics": metrics})
    demo.print_table(tmp_path)
    heading, columns, *rows = capsys.readouterr().out.strip().splitlines()
    assert "TAR at FAR 1e-2" in heading
    assert columns.split() == ["clean", "24", "px", "16", "px", "blur", "covered", "JPEG", "5", "dark"]
    numbers = [[float(word) for word in row.split()[-7:]] for row in rows]
    assert numbers == [[round(row / 10 + column / 100, 3) for column in range(7)] for row in range(2)]


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
