"""Keras 2 is ours alone: a program's own Keras and TF_USE_LEGACY_KERAS stay what they are."""

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


@pytest.mark.skipif(not KERAS_2_IS_TF_KERAS, reason="the set of TensorFlow 2.15 has no Keras 3")
def test_quantization_leaves_a_programs_keras_alone():
    """In a new interpreter; tensorflow-model-optimization chooses Keras 2 for the whole process."""
    environment = {name: value for name, value in os.environ.items() if name != "TF_USE_LEGACY_KERAS"}
    result = subprocess.run(
        [sys.executable, "-c", QUANTIZE],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stdout.splitlines()[-1:] == ["True None"], result.stderr[-2000:]


@pytest.mark.parametrize("value", ["0", "1"])
def test_the_variable_for_keras_2_does_no_harm(value):
    """A new interpreter, as TensorFlow reads it once."""
    result = subprocess.run(
        [sys.executable, "-c", LOAD, str(GOLDENS)],
        cwd=ROOT,
        env={**os.environ, "TF_USE_LEGACY_KERAS": value},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stdout.strip() == "True", result.stderr[-2000:]
