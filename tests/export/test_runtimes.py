"""`urfr bench inference` runs each runtime in a process of its own: here TensorFlow's, on a small network."""

import sys

import pytest

from urfr_tf.bench import inference
from urfr_tf.errors import UrfrError
from urfr_tf.export.saved_model import write_saved_model
from urfr_tf.export.tflite import convert_to_tflite

pytestmark = pytest.mark.process


def test_a_small_model_is_measured_in_a_process_of_its_own(network, card, images, tmp_path, monkeypatch):
    """The program that both Pythons run, with TensorFlow's share of it: as many rounds as asked for, some
    memory.
    """
    write_saved_model(network, tmp_path / "saved", card)
    (tmp_path / "file.tflite").write_bytes(convert_to_tflite(network, card))
    jobs = {
        "one": ("saved_model", str(tmp_path / "saved")),
        "two": ("tf_lite", str(tmp_path / "file.tflite")),
    }
    monkeypatch.setattr(inference, "SIZE", images.shape[1])
    measured = inference._measured(sys.executable, jobs, batch=3, rounds=4, threads=1)
    assert list(measured) == ["one", "two"]
    for entry in measured.values():
        assert len(entry["seconds"]) == 4 and min(entry["seconds"]) > 0
        assert 0 <= entry["peak_bytes"] < 2**31
    with pytest.raises(UrfrError, match="the benchmark's runtimes failed"):
        inference._measured(sys.executable, {"gone": ("tf_lite", str(tmp_path / "gone"))}, 1, 1, 1)
