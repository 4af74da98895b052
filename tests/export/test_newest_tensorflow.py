"""The SavedModel in the newest TensorFlow, whose Keras is 3: the same outputs.

Needs a second environment, since the lock file holds TensorFlow 2.15:

    python -m venv /tmp/tf_new && /tmp/tf_new/bin/pip install tensorflow==2.21.0
    URFR_NEWEST_PYTHON=/tmp/tf_new/bin/python python -m pytest -m slow tests/export/test_newest_tensorflow.py
"""

import json
import os
import subprocess

import numpy as np
import pytest

from urfr_tf import keys
from urfr_tf.export.fold_batch_norm import fold_batch_norm
from urfr_tf.export.saved_model import write_saved_model

PROGRAM = """
import json, sys
import keras, numpy as np, tensorflow as tf
folder, images, out = sys.argv[1:]
crops = np.load(images)
loaded = tf.saved_model.load(folder).signatures["serving_default"](image=tf.constant(crops))
layer = keras.layers.TFSMLayer(folder, call_endpoint="serving_default")
through_keras = layer(crops)
np.savez(
    out,
    **{f"loaded_{name}": value.numpy() for name, value in loaded.items()},
    **{f"keras_{name}": keras.ops.convert_to_numpy(value) for name, value in through_keras.items()},
)
print(json.dumps({"tensorflow": tf.__version__, "keras": keras.__version__}))
"""


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_same_outputs(network, card, images, dtype, tmp_path):
    python = os.environ.get("URFR_NEWEST_PYTHON")
    if not python:
        pytest.skip(
            "URFR_NEWEST_PYTHON does not name the Python of an environment with the newest TensorFlow"
        )
    saved = network if dtype == "float32" else fold_batch_norm(network, prelu="maximum", dtype=dtype)
    expected = saved({keys.IMAGE: images.astype(np.float32)})
    # A kernel of another version may round a bfloat16 the other way: 2^-8 of it, in two convolutions.
    tolerance = {"float32": 1e-5, "bfloat16": 0.02}[dtype]
    write_saved_model(saved, tmp_path / "1", card)
    np.save(tmp_path / "images.npy", images.astype(np.float32))
    done = subprocess.run(
        [python, "-c", PROGRAM, tmp_path / "1", tmp_path / "images.npy", tmp_path / "out.npz"],
        capture_output=True,
        text=True,
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    versions = json.loads(done.stdout.splitlines()[-1])
    assert int(versions["tensorflow"].split(".")[1]) > 15 and versions["keras"].startswith("3.")
    with np.load(tmp_path / "out.npz") as found:
        for way in ("loaded", "keras"):
            for name, value in expected.items():
                np.testing.assert_allclose(
                    found[f"{way}_{name}"], value.numpy(), rtol=tolerance, atol=tolerance
                )
