"""Where a threshold is stored, what is in it, and which model it counts for."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from urfr_tf.errors import UrfrError
from urfr_tf.runs.thresholds import (
    find_threshold,
    read_run_threshold,
    read_threshold,
    threshold_path,
    write_threshold,
)

MODEL = SimpleNamespace(kind="run", fingerprint="f" * 64)


def test_each_kind_of_model_has_its_place():
    assert threshold_path("run", "m") == Path("m/threshold.json")
    # TensorFlow Serving ignores assets.extra.
    assert threshold_path("saved_model", "m/1") == Path("m/1/assets.extra/threshold.json")
    assert threshold_path("tflite", "m/n.tflite") == Path("m/n.tflite.threshold.json")


def test_what_is_written_is_found_by_the_same_model(tmp_path):
    write_threshold(tmp_path / "threshold.json", MODEL, "cosine", "pairs", {"far": 0.1, "threshold": 0.25})
    expected = {
        "score": "cosine",
        "far": 0.1,
        "threshold": 0.25,
        "protocol": "pairs",
        "kind": "run",
        "fingerprint": "f" * 64,
    }
    assert read_run_threshold(tmp_path) == expected
    assert find_threshold("run", tmp_path, "f" * 64, None) == expected
    assert find_threshold("run", tmp_path, "another", None) is None
    assert read_run_threshold(tmp_path / "another") is None


def test_of_a_server_the_card_counts(tmp_path):
    by_hand = {"score": "likelihood", "threshold": -3.0}
    write_threshold(tmp_path / "threshold.json", MODEL, "cosine", "pairs", {"threshold": 0.25})
    assert find_threshold("server", tmp_path, "f" * 64, by_hand) == by_hand


@pytest.mark.parametrize(
    "text",
    [
        '{"score": "cosine"}',
        '{"score": "norm", "threshold": 1}',
        "[]",
        '{"score": "cosine", "threshold": NaN}',
    ],
)
def test_a_mangled_threshold_is_a_sentence(tmp_path, text):
    (tmp_path / "threshold.json").write_text(text)
    with pytest.raises(UrfrError, match=r"number\} in .*threshold\.json, but got"):
        read_threshold(tmp_path / "threshold.json")
