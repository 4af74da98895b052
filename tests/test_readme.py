"""The README and docs/getting-started.md: every command and every block of Python runs as it is written.

The programs run in a folder with two photographs `A.jpg` and `B.jpg` of one person and a folder `faces/`.
"""

import contextlib
import io
import re
import shlex
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from paths import ROOT

from urfr_tf.cli import COMMANDS, main

PAGES = ("README.md", "docs/getting-started.md")
LONGEST_README = 150
# Command -> why no test here runs it. The fixture `fine_tuned` runs the last with 2 people for validation.
NOT_RUN = {
    "make venv": "it made the environment of these tests, and CI starts with it",
    "make demo": "CI runs it, and tests/commands/test_demo.py its steps",
    "make test": "it runs these tests",
    "source .venv/bin/activate": "it changes the shell of the user",
    "pip wheel --no-deps --wheel-dir dist .": "tests/test_wheel.py builds the wheel",
    'pip install --find-links dist "urfr-tf[default-network]==0.1.0"': "tests/test_wheel.py does",
    "python examples/fine_tune.py faces/ --validation 20 --out runs/mine": "the fixture has run it",
}


def blocks(page):
    """The indented commands and the fenced blocks of a page, in order: (language or "sh", text)."""
    text = (ROOT / page).read_text(encoding="utf-8")
    for match in re.finditer(r"(?m)^```(\w*)\n([\s\S]*?)^```$|^((?: {4}.+\n)+)", text):
        if match[3]:
            yield from (("sh", line.partition(" # ")[0].strip()) for line in match[3].splitlines())
        else:
            yield match[1], match[2]


def commands(page):
    """Indented lines that are no output of a program."""
    first = ("urfr", "make", "pip", "python", "source")
    return [text for kind, text in blocks(page) if kind == "sh" and text.split()[0] in first]


@pytest.fixture(scope="module")
def folder(fine_tuned, orl_people, tmp_path_factory):
    """Where a reader is who has followed the page so far."""
    folder = tmp_path_factory.mktemp("reader")
    shutil.copytree(fine_tuned / "runs", folder / "runs")
    (folder / "faces").symlink_to(orl_people)
    for name, number in (("A.jpg", 1), ("B.jpg", 2)):
        shutil.copyfile(orl_people / "s1" / f"{number}.jpg", folder / name)
    return folder


@pytest.fixture
def here(folder, default_network, monkeypatch):
    monkeypatch.chdir(folder)


def said_by(run):
    """What `run()` prints."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        run()
    return said.getvalue()


def give(command):
    """Runs a command of `urfr` in this process, and gives what it prints."""
    words = shlex.split(command)
    assert words[0] == "urfr", f"{command} is neither run nor listed in NOT_RUN"
    done = SimpleNamespace(code=None)
    said = said_by(lambda: setattr(done, "code", main(words[1:])))
    assert done.code == 0, command
    return said


@pytest.mark.parametrize("page", PAGES)
def test_every_command(page, here):
    given = commands(page)
    assert len(given) > 3
    for command in given:
        if command in NOT_RUN:
            continue
        said = give(command)
        if " compare " in command:
            assert re.match(r"cosine      0\.9\d", said), command
    assert Path("runs/mine/export/model.tflite").is_file() or page != "README.md"


def test_what_is_not_run_is_in_a_page_and_the_targets_of_make_exist():
    given = [command for page in PAGES for command in commands(page)]
    assert set(NOT_RUN) <= set(given)
    targets = set(re.findall(r"(?m)^([\w-]+):", (ROOT / "Makefile").read_text()))
    for page in PAGES:
        named = re.findall(r"\bmake ([a-z-]+)[`\n ]", (ROOT / page).read_text(encoding="utf-8"))
        assert {name for name in named if name != "a"} <= targets


@pytest.mark.parametrize("page", PAGES)
def test_every_block_of_python(page, here):
    programs = [text for kind, text in blocks(page) if kind == "python"]
    assert len(programs) == 1
    said = said_by(lambda: exec(compile(programs[0], page, "exec"), {}))
    # The two photographs show one person.
    assert re.fullmatch(r"cosine 0\.9\d\d, same person: True\n", said)


@pytest.mark.parametrize("page", PAGES)
def test_every_command_inside_a_sentence_is_one(page):
    text = re.sub(r"(?ms)^```.*?^```", "", (ROOT / page).read_text(encoding="utf-8"))
    named = re.findall(r"`urfr ([\w-]+)", text)
    assert set(named) <= set(COMMANDS)


def test_no_other_language_has_a_block():
    kinds = {kind for page in PAGES for kind, _ in blocks(page)}
    assert kinds <= {"sh", "python", "bibtex"}


def test_the_front_page_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= LONGEST_README
