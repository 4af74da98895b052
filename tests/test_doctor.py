"""`urfr doctor`: what it says of sound and of broken installations."""

import inspect
import json
import os
import sys

import pytest

from urfr_tf import cli, doctor
from urfr_tf.metrics.likelihood_kernel import load_kernel
from urfr_tf.system.cores import count_cores

SOUND = {"gpus": [], "built_for_gpus": False, "problem": None}


@pytest.fixture()
def sound(monkeypatch):
    """TensorFlow is not asked: that takes seconds, and test_the_real_tensorflow does it."""
    monkeypatch.setattr(doctor, "ask_tensorflow", lambda: dict(SOUND))


def test_json_has_everything(sound, capsys):
    code = cli.main(["doctor", "--json"])
    diagnosis = json.loads(capsys.readouterr().out)
    assert set(diagnosis) == set(doctor.Diagnosis.__annotations__)
    assert diagnosis["versions"]["python"] == sys.version.split()[0]
    assert diagnosis["cores"] == {"machine": os.cpu_count(), "usable": count_cores()}
    assert (diagnosis["kernel"] is None) == (load_kernel() is None)
    assert code == (1 if diagnosis["problems"] else 0)


def test_the_text_is_one_screen(sound, capsys):
    cli.main(["doctor"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 26
    assert any(line.startswith("cores ") and line.endswith(f" of {os.cpu_count()}") for line in lines)


def test_a_missing_extra_is_named_with_its_installation(sound, monkeypatch):
    monkeypatch.setitem(doctor.EXTRAS, "no_such_module", "detect")
    diagnosis = doctor.diagnose()
    assert diagnosis["extras"]["detect"] == ["no_such_module"]
    assert any("no_such_module: pip install 'urfr-tf[detect]'" in line for line in doctor.describe(diagnosis))


def test_beam_has_an_environment_of_its_own(sound, monkeypatch):
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda module: None)
    (line,) = [line for line in doctor.describe(doctor.diagnose()) if line.startswith("extra beam ")]
    assert line.endswith("missing apache_beam: pip install 'urfr-tf[beam]' in an environment of its own")


def test_without_the_kernel_it_says_what_to_do_and_fails(sound, monkeypatch, capsys):
    monkeypatch.setattr(doctor, "load_kernel", lambda: None)
    assert cli.main(["doctor"]) == 1
    assert "install a C compiler" in capsys.readouterr().out.splitlines()[-1]


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        (
            "import os, signal; os.kill(os.getpid(), signal.SIGILL)",
            "SIGILL ended the process; a processor without AVX",
        ),
        (
            "raise ImportError('libfoo.so is missing')",
            "ImportError: libfoo.so is missing; install urfr-tf anew",
        ),
        ("raise SystemExit(3)", "exit code 3; install"),
    ],
)
def test_a_tensorflow_that_does_not_import(program, expected):
    answer = doctor.ask_tensorflow([sys.executable, "-S", "-c", program])
    assert answer["problem"].startswith("TensorFlow does not import: " + expected)


def test_a_python_that_is_not_there():
    assert "No such file" in doctor.ask_tensorflow(["/nowhere/python"])["problem"]


def test_the_real_tensorflow(capsys):
    """Its program in this process, which has imported it, and what it says from a command."""
    command = inspect.signature(doctor.ask_tensorflow).parameters["command"].default
    assert command[:2] == (sys.executable, "-c") and len(command) == 3
    exec(command[2], {})
    answer = doctor.ask_tensorflow(["echo", capsys.readouterr().out.strip()])
    assert answer["problem"] is None and set(answer) == set(SOUND)
