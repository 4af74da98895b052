"""Splitting embeddings into their groups and joining them again."""

import numpy as np

from urfr_tf.metrics.groups import join_groups, split_groups


def test_groups_get_norm_1_and_the_whole_too():
    # K = 4 groups of (3, 4) / 5, each times 1/sqrt(4): the whole has norm sqrt(4 / 4) = 1.
    embedding = np.array([[0.3, 0.4] * 4], np.float32)
    groups = split_groups(embedding, 4)
    np.testing.assert_allclose(groups, [[[0.6, 0.8]] * 4], rtol=1e-6)
    assert groups.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(join_groups(groups), axis=1), 1, rtol=1e-6)


def test_joining_is_the_inverse():
    # sqrt(16) = 4 is a power of two, so both ways are exact.
    embedding = np.random.default_rng(0).normal(size=[3, 32]).astype(np.float32)
    np.testing.assert_array_equal(join_groups(split_groups(embedding, 16)), embedding)


def test_nothing_stays_nothing():
    assert join_groups(np.zeros([0, 4, 2], np.float32)).shape == (0, 8)
    assert split_groups(np.zeros([0, 8], np.float32), 4).shape == (0, 4, 2)
