"""The TFLite files in ai-edge-litert, whose protobuf does not go with the lock file.

python -m venv /tmp/litert && /tmp/litert/bin/pip install ai-edge-litert==2.3.0
URFR_LITERT_PYTHON=/tmp/litert/bin/python python -m pytest -m slow tests/export/test_litert.py
"""

import os
import subprocess

import numpy as np
import pytest

from urfr_export.parity import measure
from urfr_export.tflite import QUANTIZATIONS, convert

PROGRAM = """
import sys
import numpy as np
from ai_edge_litert.interpreter import Interpreter
runner = Interpreter(sys.argv[1]).get_signature_runner("serving_default")
np.savez(sys.argv[3], **runner(image=np.load(sys.argv[2])))
"""


@pytest.mark.slow
@pytest.mark.parametrize("quantize", QUANTIZATIONS)
def test_same_outputs(network, card, images, expected, quantize, tmp_path):
    python = os.environ.get("URFR_LITERT_PYTHON")
    if not python:
        pytest.skip("URFR_LITERT_PYTHON does not name the Python of an environment with ai-edge-litert")
    crops = images.astype(np.float32)
    (tmp_path / "model.tflite").write_bytes(convert(network, card, quantize, crops))
    np.save(tmp_path / "images.npy", crops)
    names = ("model.tflite", "images.npy", "out.npz")
    done = subprocess.run(
        [python, "-c", PROGRAM, *(tmp_path / name for name in names)],
        capture_output=True,
        text=True,
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    with np.load(tmp_path / "out.npz") as found:
        measured = measure(expected, dict(found))
    # The limits of tests/export/test_tflite.py: sub-embeddings of four numbers each.
    limits = {"none": (0.99999, 1e-5), "float16": (0.999, 1e-2), "dynamic": (0.97, 0.1), "int8": (0.9, 0.2)}
    assert measured["worst_cosine"] > limits[quantize][0]
    assert measured["worst_confidence_error"] < limits[quantize][1]
