"""The loss over some rows against float64 NumPy, value and gradient; and against the dense loss."""

import numpy as np
import pytest
import tensorflow as tf

from urfr_tf.layers.prototypes import confidence_logits
from urfr_tf.losses import identification, partial_identification
from urfr_tf.models.collectives import Alone

B, K, D, C, MARGIN = 5, 2, 3, 7, 1.5


def inputs(seed=0):
    random = np.random.default_rng(seed)
    f = random.normal(size=[B, K, D])
    f /= np.linalg.norm(f, axis=-1, keepdims=True)
    return f, random.uniform(2, 9, [B, K]), random.normal(size=[C, K * D]), random.integers(0, C, B)


def oracle(f, s, w, y):
    """Method, sections 1 and 2, in float64; one number: the sum of the losses weighted 1, 2, ..., B."""
    unit = w.reshape(-1, K, D)
    unit = unit / np.linalg.norm(unit, axis=-1, keepdims=True)
    a = np.einsum("bk,bkd,jkd->bj", s, f, unit) / K
    a[np.arange(B), y] -= MARGIN
    losses = np.log(np.exp(a).sum(1)) - a[np.arange(B), y]
    return losses, losses @ np.arange(1, B + 1)


def differences(function, x, step=1e-5):
    gradient = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        moved = x.copy()
        moved[place] += step
        up = function(moved)
        moved[place] -= 2 * step
        gradient[place] = (up - function(moved)) / (2 * step)
    return gradient


def test_value_and_gradient_against_float64():
    f, s, w, y = inputs()
    x = [tf.constant(v, tf.float32) for v in (f, s, w)]
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss, right = partial_identification(*x, tf.constant(y, tf.int32), tf.constant(MARGIN), Alone())
        total = tf.reduce_sum(loss * tf.range(1.0, B + 1))
    np.testing.assert_allclose(loss, oracle(f, s, w, y)[0], rtol=1e-5)
    expected = (
        differences(lambda v: oracle(v, s, w, y)[1], f),
        differences(lambda v: oracle(f, v, w, y)[1], s),
        differences(lambda v: oracle(f, s, v, y)[1], w),
    )
    for ours, theirs in zip(tape.gradient(total, x), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    logits = confidence_logits(*x).numpy()
    np.testing.assert_array_equal(right, logits.argmax(1) == y)


def test_all_rows_in_another_order_equal_the_dense_loss():
    f, s, w, y = inputs(1)
    x = [tf.constant(v, tf.float32) for v in (f, s, w)]
    order = np.random.default_rng(2).permutation(C)
    targets = np.argsort(order)[y]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        dense = identification(y, confidence_logits(*x), MARGIN)
        kernel = tf.gather(x[2], order)
        partial, _ = partial_identification(
            x[0], x[1], kernel, tf.constant(targets, tf.int32), tf.constant(MARGIN), Alone()
        )
    np.testing.assert_allclose(partial, dense, atol=1e-6)
    for ours, theirs in zip(tape.gradient(partial, x), tape.gradient(dense, x), strict=True):
        np.testing.assert_allclose(tf.convert_to_tensor(ours), theirs, atol=1e-6)


@pytest.mark.parametrize("dtype", [tf.float32, tf.float16, tf.bfloat16])
def test_finite_where_logits_are_huge_and_a_prototype_is_zero(dtype):
    """s = 245 on a cosine of +-1 against m = 30; a row of zeros has no direction, and gradient 0 / finite."""
    f = np.zeros([2, K, D])
    f[:, :, 0] = 1
    w = np.zeros([3, K, D])
    w[0, :, 0], w[1, :, 0] = 1, -1
    kernel = tf.constant(w.reshape(3, -1), tf.float32)
    embedding = tf.constant(f, dtype)
    with tf.GradientTape() as tape:
        tape.watch([embedding, kernel])
        loss, right = partial_identification(
            embedding,
            tf.cast(tf.fill([2, K], 245.0), dtype),
            kernel,
            tf.constant([0, 1]),
            tf.constant(30.0),
            Alone(),
        )
    # Right: log(1 + e^-215 + e^-490) = 0. Wrong: 245 - (-245 - 30) = 520.
    np.testing.assert_allclose(loss, [0, 520], atol=1e-4)
    np.testing.assert_array_equal(right, [True, False])
    gradients = tape.gradient(loss, [embedding, kernel])
    assert all(np.isfinite(tf.cast(g, tf.float32)).all() for g in gradients)
