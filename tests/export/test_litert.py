"""The TFLite files in ai-edge-litert 2.3, whose protobuf does not go with the lock file.

python -m venv /tmp/litert && /tmp/litert/bin/pip install ai-edge-litert==2.3.0
URFR_LITERT_PYTHON=/tmp/litert/bin/python python -m pytest -m slow tests/export/test_litert.py
"""

import json
import os
import subprocess

import numpy as np
import pytest

from urfr_tf.export.parity import measure_parity
from urfr_tf.export.tflite import QUANTIZATIONS, convert_to_tflite

PROGRAM = """
import sys
import numpy as np
from ai_edge_litert.interpreter import Interpreter
runner = Interpreter(sys.argv[1]).get_signature_runner("serving_default")
np.savez(sys.argv[3], **runner(image=np.load(sys.argv[2])))
"""
# What somebody who has only the file and only ai-edge-litert does to read the card: its own flatbuffer
# classes.
CARD = """
import sys
from ai_edge_litert import schema_py_generated as schema
content = open(sys.argv[1], "rb").read()
model = schema.Model.GetRootAsModel(content, 0)
for i in range(model.MetadataLength()):
    entry = model.Metadata(i)
    if entry.Name() == b"urfr.json":
        sys.stdout.buffer.write(model.Buffers(entry.Buffer()).DataAsNumpy().tobytes())
"""


@pytest.fixture(scope="module")
def litert():
    """Runs a program in the other environment; what it printed."""
    python = os.environ.get("URFR_LITERT_PYTHON")
    if not python:
        pytest.skip("URFR_LITERT_PYTHON does not name the Python of an environment with ai-edge-litert")

    def run(program, *words):
        done = subprocess.run(
            [python, "-c", program, *words],
            capture_output=True,
            env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
            check=False,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    return run


@pytest.mark.slow
@pytest.mark.parametrize("quantize", QUANTIZATIONS)
def test_same_outputs(litert, network, card, images, expected, quantize, tmp_path):
    crops = images.astype(np.float32)
    (tmp_path / "model.tflite").write_bytes(convert_to_tflite(network, card, quantize, crops))
    np.save(tmp_path / "images.npy", crops)
    litert(PROGRAM, *(tmp_path / name for name in ("model.tflite", "images.npy", "out.npz")))
    with np.load(tmp_path / "out.npz") as found:
        measured = measure_parity(expected, dict(found))
    # The limits of tests/export/test_tflite.py: sub-embeddings of four numbers each.
    limits = {"none": (0.99999, 1e-5), "float16": (0.999, 1e-2), "dynamic": (0.97, 0.1), "int8": (0.9, 0.2)}
    assert measured["worst_cosine"] > limits[quantize][0]
    assert measured["worst_confidence_error"] < limits[quantize][1]


@pytest.mark.slow
@pytest.mark.parametrize("quantize", QUANTIZATIONS)
def test_the_card_is_readable(litert, network, card, images, quantize, tmp_path):
    full = {
        **card,
        "alignment": {"size": 36, "template": "arcface112"},
        "threshold": {"threshold": 0.3},
        "licence": "ü",
    }
    (tmp_path / "model.tflite").write_bytes(
        convert_to_tflite(network, full, quantize, images.astype(np.float32))
    )
    assert json.loads(litert(CARD, tmp_path / "model.tflite")) == {**full, "quantize": quantize}
