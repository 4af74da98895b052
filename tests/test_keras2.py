"""Keras 2 is ours alone: a program's own Keras and TF_USE_LEGACY_KERAS stay what they are."""

import functools
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from paths import ROOT

import urfr_tf
from urfr_tf.keras2 import KERAS_2_IS_TF_KERAS
from urfr_tf.keras2 import keras as keras2

GOLDENS = ROOT / "tests" / "runs" / "goldens"
LOAD = """
import sys, numpy, urfr_tf
with numpy.load(sys.argv[1] + "/outputs.npz") as stored:
    outputs = urfr_tf.load(sys.argv[1] + "/run").embed_with_norm(stored["images"])
    print(abs(outputs["embedding"] - stored["run/embedding"]).max() < 1e-5)
"""

QUANTIZE = """
import os, urfr_tf.export.quantization_aware_training, keras, tensorflow as tf
print(tf.keras.Model is keras.Model, os.environ.get("TF_USE_LEGACY_KERAS"))
"""


def run_program(code, value):
    """What a new interpreter says to code; TensorFlow reads TF_USE_LEGACY_KERAS once."""
    done = subprocess.run(
        [sys.executable, "-c", code, str(GOLDENS)],
        cwd=ROOT,
        env={**os.environ, "TF_USE_LEGACY_KERAS": value},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()


@pytest.mark.skipif(not KERAS_2_IS_TF_KERAS, reason="the set of TensorFlow 2.15 has no Keras 3")
@pytest.mark.training
def test_a_program_trains_with_keras_3_and_loads_our_models():
    import keras

    assert keras.__version__.startswith("3.") and tf.keras.Model is keras.Model is not keras2.Model
    random = np.random.default_rng(0)
    inputs = random.normal(size=[64, 3]).astype(np.float32)
    theirs = keras.Sequential([keras.layers.Dense(1)])
    theirs.compile(keras.optimizers.SGD(0.1), "mse")
    losses = theirs.fit(inputs, inputs @ [1.0, 2.0, 3.0], epochs=3, verbose=0).history["loss"]
    assert losses[2] < losses[0] / 2
    with np.load(GOLDENS / "outputs.npz") as stored:
        for name, path in {"run": "run", "saved_model": "saved_model/1"}.items():
            ours = urfr_tf.load(GOLDENS / path).embed_with_norm(stored["images"])
            np.testing.assert_allclose(ours["embedding"], stored[f"{name}/embedding"], atol=1e-5)
    assert theirs.evaluate(inputs, inputs @ [1.0, 2.0, 3.0], verbose=0) < losses[0]


# In front of what loads a model, so that one interpreter says both. TensorFlow has read the variable by then,
# but decides what `tf.keras` is at its first use, which is that of the quantization.
QUANTIZE_FIRST = f"""
import os, tensorflow
value = os.environ.pop("TF_USE_LEGACY_KERAS")
{QUANTIZE}
os.environ["TF_USE_LEGACY_KERAS"] = value
"""


@pytest.fixture(scope="module")
def said():
    """value of the variable -> what a new interpreter says, which loads a model."""
    return functools.cache(lambda value: run_program(PROGRAMS[value], value))


PROGRAMS = {"0": QUANTIZE_FIRST + LOAD if KERAS_2_IS_TF_KERAS else LOAD, "1": LOAD}


@pytest.mark.skipif(not KERAS_2_IS_TF_KERAS, reason="the set of TensorFlow 2.15 has no Keras 3")
def test_quantization_leaves_a_programs_keras_alone(said):
    """In a new interpreter; tensorflow-model-optimization chooses Keras 2 for the whole process."""
    assert said("0")[:-1] == ["True None"]


@pytest.mark.parametrize("value", ["0", "1"])
def test_the_variable_for_keras_2_does_no_harm(said, value):
    """A new interpreter, as TensorFlow reads it once."""
    assert said(value)[-1] == "True" and len(said(value)) == PROGRAMS[value].count("print(")
