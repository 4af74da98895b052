"""Weights and accuracies of attributes."""

import numpy as np
import pytest

from urfr_tf.training.tasks.attributes import attribute_accuracy, class_weights


def test_attribute_accuracy_by_class():
    """Class 1: 2 of 3 right; class 0: 1 of 1. Overall 3/4, balanced (2/3 + 1) / 2 = 5/6."""
    values = attribute_accuracy(
        np.array([[1.0], [2.0], [-1.0], [-3.0]]), np.array([[1], [1], [1], [0]]), ["g"]
    )
    assert values["g_accuracy"] == 0.75
    assert values["g_accuracy_1"] == pytest.approx(2 / 3)
    assert values["g_balanced"] == pytest.approx(5 / 6)


def test_class_weights_make_classes_equal():
    """Shares 1/4 and 3/4: weights 1 / (2 * 3/4) = 2/3 and 1 / (2 * 1/4) = 2; each class sums to N / 2."""
    np.testing.assert_allclose(class_weights(np.array([[1.0], [0], [0], [0]])), [[2 / 3], [2]], rtol=1e-6)
