"""Completion in a real bash: the words that it offers."""

import argparse
import shutil
import subprocess

import pytest
from paths import ROOT

from urfr_tf import cli
from urfr_tf.commands import completion

# What values without choices are, where they are no paths.
NO_PATHS = {
    *("KIND", "A:B", "A,B", "NAME", "TEXT", "A.B=V", "F", "VARIATION[:strength]", "SPDX", "I/N", "TITLE"),
    *("HOST:PORT", "HOST:PORT,...", "SHA256", "RATE", "ADDRESS"),
}
TRY = """
source {script}
COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_shtab_urfr urfr "${{COMP_WORDS[COMP_CWORD]}}" "${{COMP_WORDS[COMP_CWORD - 1]}}"
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture(scope="module")
def scripts(tmp_path_factory):
    """Shell -> file with its script."""
    folder = tmp_path_factory.mktemp("completion")
    files = {}
    for shell in completion.SHELLS:
        files[shell] = folder / shell
        files[shell].write_text(completion.script(shell))
    return files


def words_after(scripts, words):
    if shutil.which("bash") is None:
        pytest.skip("bash is not installed; runs in CI, whose machine has it")
    code = TRY.format(script=scripts["bash"], words=words)
    result = subprocess.run(["bash", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(result.stdout.split())


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("urfr ex", {"export"}),
        ("urfr train --run", {"--run-dir"}),
        ("urfr export --format ''", {"saved_model", "tflite"}),
        ("urfr train --config paper/table1_0", {"paper/table1_0_0"}),
        ("urfr train --config config", {"configs"}),
        ("urfr embed --model pyproj", {"pyproject.toml"}),
    ],
)
def test_words_of_bash(scripts, words, expected):
    assert words_after(scripts, words) == expected


@pytest.mark.parametrize("shell", ["zsh", "tcsh"])
def test_the_other_scripts_name_every_command(scripts, shell):
    text = scripts[shell].read_text()
    assert all(name in text for name in cli.COMMANDS)


def options(parser):
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for subparser in action.choices.values():
                yield from options(subparser)
        elif action.nargs != 0 and action.choices is None and action.type is None:
            yield parser.prog, action


def test_every_free_value_is_a_path_or_said_to_be_none():
    """A new option needs a word for its value that completion knows."""
    known = completion.PATHS | NO_PATHS | {completion.PRESETS}
    unknown = [
        (prog, action.option_strings)
        for prog, action in options(cli.build_parser())
        if action.metavar not in known
    ]
    assert not unknown
