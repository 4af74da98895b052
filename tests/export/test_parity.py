"""The parity gate on numbers worked out by hand."""

from dataclasses import asdict

import numpy as np
import pytest

from urfr_tf.errors import UrfrError
from urfr_tf.export.parity import Limit, check_parity, measure_parity


def outputs(embedding, confidence):
    confidence = np.asarray(confidence, np.float32)
    return {
        "embedding": np.asarray(embedding, np.float32),
        "confidence": confidence,
        "variance": 1 / confidence,
    }


# Two images, K = 2 groups of d = 2, each of norm 1/sqrt(2).
H = 0.5**0.5
REFERENCE = outputs([[H, 0, 0, H], [0, H, H, 0]], [[10, 20], [30, 40]])


def test_equal_outputs():
    measured = measure_parity(REFERENCE, REFERENCE)
    assert measured["worst_cosine"] == pytest.approx(1, abs=1e-12)
    assert measured["worst_confidence_error"] == pytest.approx(0, abs=1e-7)
    assert measured["images"] == 2


def test_worst_group_and_image_are_found():
    # Image 1, group 0 turns from (0, 1) to (0.6, 0.8): cosine 0.8. Confidence 20 -> 21: 5 %, and its
    # variance 1/20 -> 1/21: 4.8 %.
    other = outputs([[H, 0, 0, H], [0.6 * H, 0.8 * H, H, 0]], [[10, 21], [30, 40]])
    measured = measure_parity(REFERENCE, other)
    assert measured["worst_cosine"] == pytest.approx(0.8, abs=1e-6)
    assert (measured["worst_group"], measured["worst_image"]) == (0, 1)
    assert measured["worst_cosine_of_group"] == pytest.approx([0.8, 1.0], abs=1e-6)
    assert measured["median_cosine"] == pytest.approx(1, abs=1e-6)
    assert measured["worst_confidence_error"] == pytest.approx(0.05, abs=1e-6)
    with pytest.raises(UrfrError, match=r"embedding group 0 of image 1 has 0\.8000"):
        check_parity("file", measured, Limit(cosine=0.9, confidence=0.1))
    with pytest.raises(UrfrError, match=r"error of confidence .* at most 0\.01, but it is 0\.05"):
        check_parity("file", measured, Limit(cosine=0.7, confidence=0.01))
    assert check_parity("file", measured, Limit(0.7, 0.1)) == asdict(Limit(0.7, 0.1))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_never_passes(value):
    broken = outputs([[H, 0, 0, value], [0, H, H, 0]], [[10, 20], [30, 40]])
    with pytest.raises(UrfrError, match="group 1 of image 0"):
        check_parity("file", measure_parity(REFERENCE, broken), Limit(0.0, 1.0))
    broken = outputs([[H, 0, 0, H], [0, H, H, 0]], [[10, value], [30, 40]])
    with pytest.raises(UrfrError, match="confidence"):
        check_parity("file", measure_parity(REFERENCE, broken), Limit(0.0, 1e6))


def test_a_dead_embedding_does_not_pass():
    dead = outputs(np.zeros([2, 4]), [[10, 20], [30, 40]])
    assert measure_parity(REFERENCE, dead)["worst_cosine"] == 0
