"""The `urfr` command: every subcommand is there, and an error is one sentence and an exit code."""

import argparse
import importlib
import subprocess
import sys

import pytest
from paths import ROOT

from urfr_tf import __version__, cli
from urfr_tf.data.cropper import CropSettings
from urfr_tf.data.detector_options import read_crop_settings
from urfr_tf.errors import TryAgainError, UrfrError

MODULES = sorted(
    path.stem for path in (ROOT / "urfr_tf" / "commands").glob("*.py") if path.stem != "__init__"
)


def module_of(name):
    return importlib.import_module(f"urfr_tf.commands.{cli._MODULES.get(name, name)}")


@pytest.fixture()
def failing(monkeypatch):
    """Makes `urfr configs` fail with an error."""

    def fail_with(error):
        def run(args):
            raise error

        monkeypatch.setattr(module_of("configs"), "run", run)

    return fail_with


def test_every_module_is_a_subcommand():
    assert sorted(cli._MODULES.get(name, name) for name in cli.COMMANDS) == MODULES


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_says_what_it_does_and_what_its_options_are(name):
    module = module_of(name)
    assert module.__doc__.startswith(f"`urfr {name}`: ")
    assert module.HELP and module.HELP[0].islower() and not module.HELP.endswith(".")
    parser = argparse.ArgumentParser()
    module.arguments(parser)
    options = [action for action in parser._actions if action.option_strings and action.dest != "help"]
    assert all(action.help for action in options if action.metavar is None and action.choices is None)


@pytest.mark.parametrize(
    ("words", "faces"),
    [
        (["prepare", "--source", "folder", "--out", "o"], "--faces"),
        (["embed", "--model", "m", "--images", "i", "--out", "o"], "--faces"),
        (["compare", "--model", "m", "a", "b"], "--faces"),
        (["evaluate", "--model", "m", "--protocol", "lfw", "--data", "d", "--out", "o"], "--faces"),
        (["export", "--run", "r", "--out", "o", "--format", "tflite"], "--which-face"),
    ],
)
def test_every_command_that_detects_has_the_options_of_the_detector(words, faces, capsys):
    given = ["--min-face", "20", "--max-pixels", "1000000", faces, "central"]
    args = cli.build_parser().parse_args([*words, *given])
    settings = read_crop_settings(args, 112, "mtcnn", "largest")
    assert (settings.faces, settings.min_face, settings.max_pixels) == ("central", 20, 1_000_000)
    usual = read_crop_settings(cli.build_parser().parse_args(words), 112, "mtcnn", "largest")
    assert usual == CropSettings(size=112, align="mtcnn")
    for option in ("--min-face", "--max-pixels"):
        with pytest.raises(SystemExit):
            cli.build_parser().parse_args([*words, option, "0"])
    assert "expected a whole number of at least 1" in capsys.readouterr().err


def test_version(capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out == f"urfr {__version__}\n"


def test_listing_the_presets_imports_no_tensorflow():
    code = (
        "import sys\nfrom urfr_tf.cli import main\nmain(['configs'])\n"
        "print([m for m in ('tensorflow', 'keras', 'numpy', 'official') if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert result.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(("error", "code"), [(UrfrError("no file"), 1), (TryAgainError("saved"), 75)])
def test_an_error_is_a_sentence_and_an_exit_code(failing, capsys, error, code):
    failing(error)
    assert cli.main(["configs"]) == code
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", f"urfr configs: {error}\n")


def test_debug_shows_the_stack_trace(failing):
    failing(UrfrError("no file"))
    with pytest.raises(UrfrError, match="no file"):
        cli.main(["--debug", "configs"])


def test_an_interruption(failing, capsys):
    failing(KeyboardInterrupt())
    assert cli.main(["configs"]) == 130
    assert "the same command continues" in capsys.readouterr().err


def test_a_reader_that_went_away(failing):
    failing(BrokenPipeError())
    assert cli.main(["configs"]) == 1


@pytest.mark.parametrize("words", [[], ["nothing"], ["configs", "--what"], ["train", "--config", "scratch"]])
def test_wrong_usage(words, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(words)
    assert end.value.code == 2
    assert "usage: urfr" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["train", "plan"])
def test_an_unknown_preset_is_one_sentence(command, tmp_path, capsys):
    words = [
        command,
        "--config",
        "small/table1",
        *(["--run-dir", str(tmp_path)] if command == "train" else []),
    ]
    assert cli.main(words) == 1
    shown = capsys.readouterr().err
    assert shown.startswith(f"urfr {command}: could not read the configuration small/table1: ")
    assert "close matches: small/table1_" in shown and shown.count("\n") == 1
