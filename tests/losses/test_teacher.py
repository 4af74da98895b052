"""The distance from a teacher's embedding: its value and its gradient."""

import numpy as np
import tensorflow as tf

from urfr_tf.losses import teacher_distance


def drawn(seed, shape=(5, 4, 3)):
    values = np.random.default_rng(seed).normal(size=shape)
    return values / np.linalg.norm(values, axis=-1, keepdims=True)


def test_is_one_minus_the_mean_cosine():
    ours, theirs = drawn(0), drawn(1)
    expected = 1 - (ours * theirs).sum(-1).mean(-1)
    got = teacher_distance(tf.constant(ours, tf.float32), tf.constant(theirs, tf.float32))
    assert got.dtype == tf.float32 and got.shape == [5]
    np.testing.assert_allclose(got, expected, atol=1e-6)
    np.testing.assert_allclose(teacher_distance(ours, ours), 0, atol=1e-6)
    np.testing.assert_allclose(teacher_distance(ours, -ours), 2, atol=1e-6)


def test_pulls_the_embedding_and_not_the_target():
    ours, theirs = (tf.Variable(drawn(seed), dtype=tf.float32) for seed in (0, 1))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(teacher_distance(ours, theirs))
    by_ours, by_theirs = tape.gradient(loss, [ours, theirs])
    np.testing.assert_allclose(by_ours, -theirs / 4, atol=1e-7)
    assert by_theirs is None
