"""`urfr bench inference`: the arithmetic of its report; the measurement itself is run by hand."""

import argparse

import pytest

from urfr_tf.bench import inference
from urfr_tf.commands import bench
from urfr_tf.files import size_of


def test_ratios_are_medians_of_rounds():
    # int8 over float32: 1/2, 2/2, 9/3, median 1. float32 over ONNX Runtime: 2/4, 2/1, 3/2, median 1.5, where
    # the ratio of the medians would be 2/2 = 1.
    others = ("tflite_dynamic", "tflite_float16", "saved_model", "saved_model_frozen", "keras")
    times = {name: [1.0, 1.0, 1.0] for name in others}
    times |= {
        "tflite_int8": [1.0, 2.0, 9.0],
        "tflite_float32": [2.0, 2.0, 3.0],
        "onnxruntime": [4.0, 1.0, 2.0],
    }
    ratios = inference._ratios(times)
    assert ratios["int8_over_float32"] == 1.0
    assert ratios["tflite_over_onnxruntime"] == 1.5
    assert ratios["dynamic_over_float32"] == 0.5
    # Of two processes, whose rounds are not at the same time: median 1 over median 2.
    assert ratios["saved_model_over_onnxruntime"] == 0.5
    assert "bfloat16_over_float32" not in ratios
    # 2/1, 3/1, 9/1, median 3; median 3 over median 2
    half = {"saved_model_bfloat16": [2.0, 3.0, 9.0], "saved_model_bfloat16_frozen": [1.0, 1.0, 3.0]}
    ratios = inference._ratios({**times, **half})
    assert ratios["bfloat16_frozen_over_onnxruntime"] == 0.5
    assert (ratios["bfloat16_over_float32"], ratios["bfloat16_over_onnxruntime"]) == (3.0, 1.5)


def test_summary_and_sizes(tmp_path):
    # p95 of 0..20: 0.95 * 20 = 19
    assert inference._summary([float(i) for i in range(21)]) == {"min": 0, "median": 10, "max": 20, "p95": 19}
    (tmp_path / "variables").mkdir()
    (tmp_path / "graph").write_bytes(bytes(5))
    (tmp_path / "variables" / "data").write_bytes(bytes(7))
    assert size_of(tmp_path) == 12
    assert size_of(tmp_path / "graph") == 5


def test_the_command_knows_it():
    parser = argparse.ArgumentParser()
    bench.arguments(parser)
    assert parser.parse_args(["inference", "--json"]).benchmark == "inference"
    with pytest.raises(SystemExit):
        parser.parse_args(["nothing"])
