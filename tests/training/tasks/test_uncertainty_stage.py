"""The measure of the uncertainty stage."""

import numpy as np
import pytest

from urfr_tf.errors import UrfrError
from urfr_tf.training.tasks.uncertainty_stage import genuine_mean


def test_genuine_mean_over_people():
    """K = d = 1, f = 1, v = 0.5: each pair gives 1/2 log(0.5 + 0.5) + 0 = 0; with v = 2, 1/2 log 4."""
    ones = np.ones([5, 1, 1], np.float32)
    labels = np.array([3, 1, 3, 1, 7])
    assert genuine_mean(ones, np.full([5, 1], 0.5, np.float32), labels) == pytest.approx(0.0, abs=1e-6)
    assert genuine_mean(ones, np.full([5, 1], 2.0, np.float32), labels) == pytest.approx(0.5 * np.log(4))
    with pytest.raises(UrfrError, match="two images"):
        genuine_mean(ones[:2], np.ones([2, 1]), np.array([0, 1]))
