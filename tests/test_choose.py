"""requirements/choose.sh: which Python and which packages `make` takes, on machines that are made up."""

import os
import re
import shutil
import subprocess

import pytest
from paths import ROOT

CHOOSE = ROOT / "requirements" / "choose.sh"


@pytest.fixture()
def machine(tmp_path):
    """Returns a function that makes interpreters (name -> version; None: without venv) and asks choose.sh."""

    def ask(interpreters, *words, pyenv=(), **chosen):
        names = {f"bin/{name}": version for name, version in interpreters.items()}
        names |= {f"pyenv/versions/{full}/bin/python": full.rpartition(".")[0] for full in pyenv}
        for name, version in names.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"#!/bin/sh\n{f'echo {version}' if version else 'exit 1'}\n")
            path.chmod(0o755)
        tools = tmp_path / "tools"
        tools.mkdir()
        (tools / "sed").symlink_to(shutil.which("sed"))
        variables = {"PATH": f"{tmp_path / 'bin'}:{tools}", "PYENV_ROOT": str(tmp_path / "pyenv"), **chosen}
        result = subprocess.run(
            ["/bin/sh", CHOOSE, *words], env=variables, capture_output=True, text=True, check=False
        )
        assert (result.returncode == 0) == (result.stderr == "") == (result.stdout != "")
        return (result.stdout or result.stderr).strip().replace(str(tmp_path) + os.sep, "")

    return ask


EVERY = {f"python3.{minor}": f"3.{minor}" for minor in (10, 11, 12, 13, 14)}


@pytest.mark.parametrize(
    ("interpreters", "chosen", "expected"),
    [
        (EVERY, {}, "python3.13 tf2"),
        (EVERY, {"SET": "tf2"}, "python3.13 tf2"),
        (EVERY, {"SET": "tf215"}, "python3.11 tf215"),
        (EVERY, {"PYTHON": "3.12"}, "python3.12 tf2"),
        (EVERY, {"PYTHON": "python3.11"}, "python3.11 tf215"),
        (EVERY, {"PYTHON": "3.13", "SET": "tf2"}, "python3.13 tf2"),
        ({"python3.13": "3.13"}, {}, "python3.13 tf2"),
        ({"python3.11": "3.11"}, {}, "python3.11 tf215"),
        ({"python3": "3.12"}, {}, "python3 tf2"),
        ({"python": "3.11"}, {}, "python tf215"),
        ({"python3.13": None, "python3.12": "3.12"}, {}, "python3.12 tf2"),
    ],
)
def test_the_python_and_its_packages(machine, interpreters, chosen, expected):
    assert machine(interpreters, **chosen) == expected


def test_pyenv_is_looked_into(machine):
    assert machine({"python3": "3.10"}, pyenv=["3.13.1"]) == "pyenv/versions/3.13.1/bin/python tf2"


@pytest.mark.parametrize(
    ("interpreters", "chosen", "expected"),
    [
        ({"python3": "3.14"}, {}, "needs Python 3.* with venv, but there is none: run 'make uv-venv'"),
        (
            {"python3": "3.14"},
            {"SET": "tf215"},
            "SET=tf215 needs Python 3.11 with venv, but there is none",
        ),
        (EVERY, {"PYTHON": "python3.14"}, "but python3.14 is 3.14"),
        (EVERY, {"PYTHON": "nowhere"}, "but nowhere is none"),
        (EVERY, {"PYTHON": "python3.13", "SET": "tf215"}, "but python3.13 is 3.13"),
        (EVERY, {"PYTHON": "3.10"}, "no list of requirements for Python 3.10"),
        (EVERY, {"PYTHON": "3.11", "SET": "tf2"}, "no list of requirements tf2 for Python 3.11"),
        (EVERY, {"SET": "lock"}, "SET is tf2 .* or tf215 .*, not lock"),
    ],
)
def test_what_is_not_there_is_said(machine, interpreters, chosen, expected):
    assert re.search(expected, machine(interpreters, **chosen))


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [({}, "3.13 tf2"), ({"SET": "tf215"}, "3.11 tf215"), ({"PYTHON": "3.12"}, "3.12 tf2")],
)
def test_the_first_choice_for_uv_needs_no_interpreter(machine, chosen, expected):
    assert machine({}, "--first", **chosen) == expected


def test_each_set_has_its_list():
    assert {path.stem for path in CHOOSE.parent.glob("tf*.txt")} == {"tf2", "tf215"}
