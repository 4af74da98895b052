"""Negative mutual likelihood of genuine pairs against the formula of section 6 in float64."""

import numpy as np
import pytest
import tensorflow as tf

from urfr_tf.losses import mutual_likelihood


def test_against_float64_pair_by_pair():
    random = np.random.default_rng(0)
    f = random.normal(size=[6, 3, 4])
    f /= np.linalg.norm(f, axis=-1, keepdims=True)
    v = random.uniform(0.01, 2, [6, 3])
    labels = np.array([0, 1, 0, 2, 1, 0])
    expected = []
    for i, j in [(0, 2), (0, 5), (1, 4), (2, 5)]:  # the pairs i < j of equal labels, by hand
        total = v[i] + v[j]
        expected.append(0.5 * np.sum(np.sum((f[i] - f[j]) ** 2, -1) / total + 4 * np.log(total)))
    np.testing.assert_allclose(mutual_likelihood(f, v, labels), expected, rtol=1e-5)


def test_no_genuine_pair_gives_an_empty_result():
    assert mutual_likelihood(tf.ones([3, 2, 2]), tf.ones([3, 2]), [0, 1, 2]).shape == [0]


@pytest.mark.parametrize("dtype", [tf.float32, tf.float16, tf.bfloat16])
@pytest.mark.parametrize("s", [1.0, 245.0])
@pytest.mark.parametrize("cosine", [-1.0, 1.0])
def test_finite_at_the_ends(dtype, s, cosine):
    """Both images of a pair alike or opposite, s at its bounds: |f - f'|^2 is 0 or 4 in each group."""
    f = np.zeros([2, 2, 4])
    f[0, :, 0], f[1, :, 0] = 1, cosine
    x = tf.constant(f, dtype), tf.cast(tf.fill([2, 2], s), dtype)
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = mutual_likelihood(x[0], 1.0 / x[1], [0, 0])
    variance = 2 * float(1.0 / tf.cast(s, dtype))
    expected = 0.5 * 2 * ((2 - 2 * cosine) / variance + 4 * np.log(variance))
    np.testing.assert_allclose(value, [expected], rtol=1e-6)
    gradients = [tf.convert_to_tensor(g) for g in tape.gradient(value, x)]
    assert all(np.isfinite(tf.cast(g, tf.float32)).all() for g in gradients)
