import numpy as np
import pytest
import tensorflow as tf

from urfr_tf.augment.choose import augment, check_probabilities
from urfr_tf.errors import UrfrError

THREE = {"blur": 0.3, "occlusion": 0.3, "resolution": 0.3}
SEED = tf.constant([7, 8], tf.int64)


def noise(count, side=16, seed=0):
    """Images in which every variation changes something."""
    return tf.constant(np.random.default_rng(seed).integers(1, 256, [count, side, side, 3], dtype=np.uint8))


def test_each_variation_has_its_frequency_and_is_independent_of_the_others():
    _, labels = augment(noise(4096), SEED, THREE)
    labels = labels.numpy()
    assert labels.shape == (4096, 3) and labels.dtype == np.float32
    assert set(np.unique(labels)) == {0.0, 1.0}

    def within(count, probability):
        # Binomial; a fair draw misses five standard deviations once in 1.7 million.
        return abs(count - 4096 * probability) <= 5 * np.sqrt(4096 * probability * (1 - probability))

    for first in range(3):
        assert within(labels[:, first].sum(), 0.3)
        for second in range(first):
            assert within((labels[:, first] * labels[:, second]).sum(), 0.09)
    assert within(labels.prod(axis=1).sum(), 0.027)
    assert within((labels.sum(axis=1) == 0).sum(), 0.343)


@pytest.mark.parametrize("name", ["blur", "occlusion"])
def test_the_label_says_what_happened(name):
    images = noise(64)
    varied, labels = augment(images, SEED, {name: 0.3})
    changed = (varied.numpy() != images.numpy()).any(axis=(1, 2, 3))
    np.testing.assert_array_equal(changed, labels.numpy()[:, 0] == 1)
    assert varied.dtype == tf.float32
    assert varied.numpy().min() >= 0 and varied.numpy().max() <= 255


def test_the_seed_decides_alone_and_in_a_dataset():
    images = noise(64)
    varied, labels = augment(images, SEED, THREE)
    again, again_labels = augment(images, SEED, THREE)
    np.testing.assert_array_equal(again, varied)
    np.testing.assert_array_equal(again_labels, labels)
    stream = tf.data.Dataset.from_tensors(images).map(lambda batch: augment(batch, SEED, THREE))
    mapped, mapped_labels = next(iter(stream))
    np.testing.assert_array_equal(mapped_labels, labels)
    np.testing.assert_array_equal(mapped, varied)
    _, other_labels = augment(images, tf.constant([7, 9], tf.int64), THREE)
    assert (other_labels.numpy() != labels.numpy()).any()


def test_one_more_variation_leaves_the_coins_of_the_others():
    images = noise(64)
    _, alone = augment(images, SEED, {"resolution": 0.3})
    _, together = augment(images, SEED, {"resolution": 0.3, "blur": 0.5})
    np.testing.assert_array_equal(together[:, 1], alone[:, 0])


def test_always_never_and_nothing():
    images = noise(5)
    varied, labels = augment(images, SEED, {"occlusion": 0.0, "blur": 1.0})
    np.testing.assert_array_equal(labels, [[1.0, 0.0]] * 5)
    assert (varied.numpy() != images.numpy()).any(axis=(1, 2, 3)).all()
    same, none = augment(images, SEED, {})
    np.testing.assert_array_equal(same, images)
    assert none.shape == (5, 0)


def test_a_batch_in_which_nothing_was_chosen():
    images = noise(2)
    varied, labels = augment(images, SEED, {"blur": 1e-9, "occlusion": 1e-9, "resolution": 1e-9})
    np.testing.assert_array_equal(varied, images)
    np.testing.assert_array_equal(labels, np.zeros([2, 3]))


def test_floats_and_bytes_are_varied_alike():
    images = noise(32)
    varied, labels = augment(images, SEED, THREE)
    exact, exact_labels = augment(tf.cast(images, tf.float32), SEED, THREE)
    np.testing.assert_array_equal(exact_labels, labels)
    # Bytes are rounded after each of at most two smoothing variations, the second of which only averages.
    assert np.abs(exact - varied).max() <= 1.001
    np.testing.assert_array_equal(varied, np.rint(varied))


def test_pose_turns_the_chosen_and_labels_them():
    images = noise(8, side=48)
    points = tf.constant([[16, 22, 32, 22, 24, 31, 18, 40, 30, 40]] * 8, tf.float32)
    varied, labels = augment(images, SEED, {"pose": 0.5}, points)
    changed = (varied.numpy() != images.numpy()).any(axis=(1, 2, 3))
    np.testing.assert_array_equal(changed, labels.numpy()[:, 0] == 1)
    assert 0 < changed.sum() < 8
    with pytest.raises(UrfrError, match="five points"):
        augment(images, SEED, {"pose": 0.5})


def test_names_and_probabilities_are_checked():
    assert check_probabilities({"resolution": 0.1, "blur": 0.2}) == ("blur", "resolution")
    with pytest.raises(UrfrError, match="'glasses'"):
        check_probabilities({"glasses": 0.3})
    for wrong in (-0.1, 1.5, float("nan")):
        with pytest.raises(UrfrError, match="from 0 to 1 for blur"):
            check_probabilities({"blur": wrong})
