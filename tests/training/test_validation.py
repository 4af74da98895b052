"""The measures that training takes at the end of an epoch."""

import numpy as np
import pytest

from urfr_tf.errors import UrfrError
from urfr_tf.training.tasks.attributes import attribute_accuracy, class_weights
from urfr_tf.training.tasks.uncertainty_stage import genuine_mean
from urfr_tf.training.validation import read_image_batches, verification_measure


def test_a_model_that_knows_the_answer_is_right(shards):
    """An embedding that is one-hot in the label."""
    answers = iter([labels for _, labels in read_image_batches(str(shards), 32)])

    def embed(images):
        labels = next(answers)
        return {"embedding": np.eye(4, dtype=np.float32)[labels], "confidence": np.ones([len(images), 2])}

    values = verification_measure(str(shards), 32)(embed)
    assert values["accuracy"] == 1.0
    assert values["rank1"] == 1.0
    assert values["tar@far=1e-1"] == 1.0  # 4 people x 7: 6 x 49 = 294 impostor pairs, 29 behind 0.1
    assert "tar@far=1e-2" not in values  # 2.94 impostors: too few


def test_attribute_accuracy_by_class():
    """Class 1: 2 of 3 right; class 0: 1 of 1. Overall 3/4, balanced (2/3 + 1) / 2 = 5/6."""
    values = attribute_accuracy(
        np.array([[1.0], [2.0], [-1.0], [-3.0]]), np.array([[1], [1], [1], [0]]), ["g"]
    )
    assert values["g_accuracy"] == 0.75
    assert values["g_accuracy_1"] == pytest.approx(2 / 3)
    assert values["g_balanced"] == pytest.approx(5 / 6)


def test_genuine_mean_over_people():
    """K = d = 1, f = 1, v = 0.5: each pair gives 1/2 log(0.5 + 0.5) + 0 = 0; with v = 2, 1/2 log 4."""
    ones = np.ones([5, 1, 1], np.float32)
    labels = np.array([3, 1, 3, 1, 7])
    assert genuine_mean(ones, np.full([5, 1], 0.5, np.float32), labels) == pytest.approx(0.0, abs=1e-6)
    assert genuine_mean(ones, np.full([5, 1], 2.0, np.float32), labels) == pytest.approx(0.5 * np.log(4))
    with pytest.raises(UrfrError, match="two images"):
        genuine_mean(ones[:2], np.ones([2, 1]), np.array([0, 1]))


def test_class_weights_make_classes_equal():
    """Shares 1/4 and 3/4: weights 1 / (2 * 3/4) = 2/3 and 1 / (2 * 1/4) = 2; each class sums to N / 2."""
    np.testing.assert_allclose(class_weights(np.array([[1.0], [0], [0], [0]])), [[2 / 3], [2]], rtol=1e-6)
