"""Drawing prototypes: a permutation in pieces, evenly drawn, the same again for the same seed."""

import numpy as np
import pytest
import tensorflow as tf

from urfr_tf.models.prototype_sampling import permuted, sampled_rows


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100, 101, 4099, 70_001])
def test_a_permutation(size):
    seed = tf.constant([3, 4])
    whole = permuted(size, size, seed).numpy()
    np.testing.assert_array_equal(np.sort(whole), np.arange(size))
    first = permuted(size // 2, size, seed).numpy()
    np.testing.assert_array_equal(first, whole[: size // 2])


def test_every_pair_is_drawn_equally_often():
    """3 of 10 in order, 4,000 seeds: of 90 ordered pairs each comes first 4,000 / 90 = 44 times.

    Chi-square of 89 degrees of freedom has mean 89 and deviation sqrt(178) = 13.3; 6 deviations are 169.
    """

    @tf.function
    def draws():
        return tf.map_fn(lambda i: permuted(3, 10, tf.stack([i, 7])), tf.range(4_000), parallel_iterations=64)

    drawn = draws().numpy()
    pairs = np.bincount(drawn[:, 0] * 10 + drawn[:, 1], minlength=100).reshape(10, 10)
    assert not np.diag(pairs).any()
    expected = 4_000 / 90
    off = pairs[~np.eye(10, dtype=bool)]
    assert ((off - expected) ** 2 / expected).sum() < 169


def test_positives_first_then_others_of_this_shard():
    """Shard of classes 100..149; the batch's labels there are 100, 149, 120 (twice)."""
    labels = tf.constant([100, 5, 149, 120, 150, 120], tf.int64)
    rows, targets = sampled_rows(labels, 100, 50, 10, tf.constant([1, 2]))
    rows, targets = rows.numpy(), targets.numpy()
    assert len(rows) == len(set(rows)) == 13
    np.testing.assert_array_equal(targets, [0, -1, 1, 2, -1, 2])
    np.testing.assert_array_equal(rows[:3], [0, 49, 20])
    assert rows.min() >= 0
    assert rows.max() < 50
    # 47 others at most, however many are asked for.
    rows, _ = sampled_rows(labels, 100, 50, 1000, tf.constant([1, 2]))
    np.testing.assert_array_equal(np.sort(rows), np.arange(50))


def test_a_draw_is_a_function_of_its_seed():
    labels = tf.constant([1, 2], tf.int64)
    first, again, other = (
        sampled_rows(labels, 0, 1000, 20, tf.constant([1, s]))[0].numpy() for s in (5, 5, 6)
    )
    np.testing.assert_array_equal(first, again)
    assert set(first) != set(other)


@pytest.mark.parametrize("dtype", [tf.int32, tf.int64])
def test_labels_beyond_half_precision(dtype):
    """65,505 has no value in float16 (65,504 is its greatest), 2,049 none either (it would be 2,048)."""
    labels = tf.constant([65_505, 2_049, 70_000], dtype)
    rows, targets = sampled_rows(labels, 0, 70_001, 5, tf.constant([0, 0]))
    np.testing.assert_array_equal(rows[:3], [65_505, 2_049, 70_000])
    np.testing.assert_array_equal(targets, [0, 1, 2])
