"""`urfr bench step`: the arithmetic of its report; the measurement itself is run by hand."""

import numpy as np
import pytest

from urfr_tf.bench import step, step_point
from urfr_tf.training.tasks.recognition import build_recognition_model


def test_rates_and_shares_of_a_point():
    # Medians 2 and 1 s of 4 images; the fastest product does 12 operations in 2 s, so the peak is 6 a second.
    point = {
        "batch": 4,
        "seconds": {"train": [1.0, 2.0, 9.0], "inference": [1.0, 1.0, 1.0], "matmul": [3.0, 2.0, 4.0]},
        "flops": {"train": 9.0, "inference": 3.0, "matmul": 12.0},
    }
    assert step.compute_rates(point) == {"train": 2.0, "inference": 4.0}
    assert step.compute_shares_of_peak(point) == {"train": 0.75, "inference": 0.5}


def test_multiply_adds_are_those_of_the_layers():
    """IR-10 at 32 px by hand: kernels times the places that they are applied at, and the two products of the
    heads.
    """
    job = {"backbone": "ir10", "size": 32, "batch": 2, "precision": "float32"}
    model, network = build_recognition_model(
        step_point.configure_cosface(job), step_point.CLASSES, synchronized=False
    )
    # A unit's first convolution is before its stride, the second and the shortcut after it.
    expected = 27 * 64 * 32 * 32
    before, side = 64, 32
    for channels in (64, 128, 256, 512):
        expected += 9 * before * channels * side**2
        side //= 2
        expected += (9 * channels * channels + before * channels) * side**2
        before = channels
    expected += 512 * side**2 * 512 + 1000 * 512
    assert step_point.count_multiply_adds(model, network) == expected


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_the_product_is_in_the_precision(precision):
    """The sum of the first row of X X, X rounded as the policy computes; bfloat16 keeps 8 bits."""
    import tensorflow as tf

    from urfr_tf.bench.step_point import make_matrix_product

    square = tf.random.stateless_normal([64, 64], [0, 1]).numpy().astype(np.float64)
    expected = (square @ square)[0].sum()
    tolerance = 1e-4 if precision == "float32" else 64 * 8 * 2**-8
    assert make_matrix_product(64, precision)() == pytest.approx(expected, abs=tolerance)
