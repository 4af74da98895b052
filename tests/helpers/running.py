"""Training as its users start it, in processes, and what a run folder ends with."""

import csv
import subprocess
import sys

import forked
import numpy as np
import tensorflow as tf
from paths import ROOT

from urfr_tf.cli import main

# Rounding has no time to grow; the average, C_v and everything else of the tiny configuration is on.
SHORT = ("train.epochs=1", "train.steps_per_epoch=5", "data.worker_shares=2")

HELPERS = str(ROOT / "tests" / "helpers")

# A backbone that users have, and a new interpreter knows.
REAL = "model.backbone=ir10"


def training_words(config, run, *overrides):
    """The words of `urfr train`."""
    sets = [word for override in overrides for word in ("--set", override)]
    return ["train", "--config", str(config), "--run-dir", str(run), *sets]


def command(config, run, *overrides):
    """The same as a program."""
    return [sys.executable, "-m", "urfr_tf.train", *training_words(config, run, *overrides)[1:]]


def begun(config, run, *overrides, **settings):
    """A training under way; the settings are those of `forked.Forked`."""
    return forked.Forked(main, training_words(config, run, *overrides), **settings)


def start(config, run, *overrides, **settings):
    """A training that has ended; the settings are those of `forked.run`."""
    return forked.run(main, training_words(config, run, *overrides), **settings)


# `python -m urfr_tf.train` in an interpreter that knows the backbone of `one_unit`.
PROGRAM = """
import runpy, sys
sys.path[:0] = [sys.argv.pop(1), ""]
import one_unit
runpy.run_module("urfr_tf.train", run_name="__main__", alter_sys=True)
"""


def start_program(config, run, *overrides):
    """A training in a new interpreter, with a seed of hashes of its own."""
    words = [sys.executable, "-c", PROGRAM, HELPERS, *command(config, run, *overrides)[3:]]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=400)


def done(config, run, *overrides):
    """Starts a training that must succeed; returns what it printed."""
    return succeeded(start(config, run, *overrides))


def succeeded(result):
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stdout


def state(run):
    """Every tensor of the newest checkpoint: weights, momenta, averages, masks, counters."""
    reader = tf.train.load_checkpoint(tf.train.latest_checkpoint(str(run / "checkpoints")))
    # Running means of the log start anew at each epoch; the counter counts saves, not steps.
    transient = (
        "_CHECKPOINTABLE_OBJECT_GRAPH",
        "save_counter",
        "model/means",
        "model/moments",
        "model/readable",
    )
    names = [n for n in reader.get_variable_to_shape_map() if not n.startswith(transient)]
    return {name: reader.get_tensor(name) for name in names}


def assert_same_state(unbroken, resumed):
    """Bit for bit, slots of every optimizer included."""
    expected, actual = state(unbroken), state(resumed)
    assert expected.keys() == actual.keys()
    assert len([n for n in expected if "momentum" in n]) > 10
    assert len([n for n in expected if "average" in n]) > 10
    assert any("masks" in n for n in expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(actual[name], value, err_msg=name)


def assert_close_state(one, other, atol=1e-5, rtol=1e-4):
    """Equal but for rounding."""
    expected, actual = state(one), state(other)
    assert expected.keys() == actual.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(actual[name], value, atol=atol, rtol=rtol, err_msg=name)


def cut_back(run, step):
    """Takes the checkpoints after a step away, as if the run had been killed there."""
    for path in (run / "checkpoints").glob("step-*"):
        if int(path.name.split("-")[1].split(".")[0]) > step:
            path.unlink()


def rows(run):
    with open(run / "log.csv", encoding="utf-8") as file:
        return list(csv.DictReader(file))
