"""Writes addons.npz with tensorflow-addons.

PYTHONPATH=.:tests/helpers python tests/training/goldens/make_addons.py
"""

import tempfile
from pathlib import Path

import numpy as np
from optimizer_steps import CASES, hundred_steps

from urfr_tf.keras2 import KERAS_2_IS_TF_KERAS

assert not KERAS_2_IS_TF_KERAS, "the numbers are those of tensorflow-addons, which this TensorFlow has not"
with tempfile.TemporaryDirectory() as folder:
    arrays = {
        f"{case}//{name}": value
        for case in CASES
        for name, value in hundred_steps(case, Path(folder)).items()
    }
np.savez_compressed(Path(__file__).with_name("addons.npz"), **arrays)
