"""The identification loss against its closed form, its stated gradients, and CosFace."""

import math

import numpy as np
import pytest
import tensorflow as tf

from urfr_tf.layers.prototypes import confidence_logits
from urfr_tf.losses import ConfidenceAwareIdentification, confidence_regularizer, identification

B, C, K, D = 5, 7, 4, 12


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


@pytest.fixture()
def case():
    random = np.random.default_rng(3)
    embedding = unit(random.normal(size=[B, K, D // K]))
    prototypes = unit(random.normal(size=[C, K, D // K]))
    confidence = random.uniform(1, 20, [B, K])
    labels = random.integers(0, C, B)
    return embedding, prototypes, confidence, labels


def oracle(embedding, prototypes, confidence, labels, margin):
    """Method, section 2, term by term in float64: logits, loss, probabilities after the margin."""
    logits = np.einsum("bk,bkd,ckd->bc", confidence, embedding, prototypes) / K
    shifted = logits.copy()
    shifted[np.arange(B), labels] -= margin
    shifted -= shifted.max(1, keepdims=True)
    p = np.exp(shifted) / np.exp(shifted).sum(1, keepdims=True)
    return logits, -np.log(p[np.arange(B), labels]), p


def test_logits_and_loss_match_float64(case):
    embedding, prototypes, confidence, labels = case
    logits, loss, _ = oracle(embedding, prototypes, confidence, labels, 3.0)
    ours = confidence_logits(
        tf.constant(embedding, tf.float32),
        tf.constant(confidence, tf.float32),
        tf.constant(prototypes.reshape(C, D) * 2.5, tf.float32),  # a scale that normalization removes
    )
    np.testing.assert_allclose(ours, logits, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(identification(labels, ours, 3.0), loss, rtol=1e-5, atol=1e-5)


def test_gradients_are_those_of_equations_25_and_26(case):
    """dL/da_j = p_j - [j=y]; dL/dw_jk = s_k (p_j - [j=y]) f_k / K;
    dL/df_k = s_k ((p_y - 1) w_yk + sum_{j != y} p_j w_jk) / K, before normalization's Jacobian."""
    embedding, prototypes, confidence, labels = case
    _, _, p = oracle(embedding, prototypes, confidence, labels, 3.0)
    delta = p - np.eye(C)[labels]
    by_prototype = np.einsum("bk,bc,bkd->ckd", confidence, delta, embedding) / K
    by_embedding = np.einsum("bk,bc,ckd->bkd", confidence, delta, prototypes) / K

    f, w = tf.constant(embedding), tf.constant(prototypes)
    s = tf.constant(confidence)
    with tf.GradientTape() as tape:
        tape.watch([f, w])
        # The product without the layer's normalization, so that its Jacobian stays out.
        a = tf.reshape(f * s[..., tf.newaxis] / K, [B, D]) @ tf.transpose(tf.reshape(w, [C, D]))
        loss = tf.reduce_sum(identification(labels, a, 3.0))
    df, dw, da = tape.gradient(loss, [f, w, a])
    np.testing.assert_allclose(da, delta, atol=2e-6)
    np.testing.assert_allclose(dw, by_prototype, atol=2e-5)
    np.testing.assert_allclose(df, by_embedding, atol=2e-5)


def test_one_group_with_constant_confidence_is_cosface():
    """CosFace (eq. 4 there): softmax of s (cos - m [j=y]); so the margin in logit units is s m."""
    random = np.random.default_rng(0)
    f, w = unit(random.normal(size=[B, 1, D])), unit(random.normal(size=[C, 1, D]))
    labels = random.integers(0, C, B)
    cosine = np.einsum("bkd,ckd->bc", f, w)
    scaled = 64 * (cosine - 0.35 * np.eye(C)[labels])
    scaled -= scaled.max(1, keepdims=True)
    expected = -np.log((np.exp(scaled) / np.exp(scaled).sum(1, keepdims=True))[np.arange(B), labels])
    logits = confidence_logits(
        tf.constant(f, tf.float32), tf.fill([B, 1], 64.0), tf.constant(w.reshape(C, D), tf.float32)
    )
    np.testing.assert_allclose(identification(labels, logits, 64 * 0.35), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("classes", "s", "cosine", "margin"), [(76500, 48.2, 0.9, 30.0), (10, 5.0, 0.6, 1.0)]
)
def test_closed_form_of_section_2(classes, s, cosine, margin):
    """The right prototype at cosine c, all others at 0: softplus(log(C - 1) - s c + m)."""
    logits = np.zeros([1, classes], np.float32)
    logits[0, 3] = s * cosine
    expected = np.log1p(np.exp(math.log(classes - 1) - s * cosine + margin))
    np.testing.assert_allclose(identification([3], logits, margin), [expected], rtol=1e-4)


def test_minimising_confidence_of_section_2():
    """C = 76,500, m = 30, weight 0.001, c = 0.9: the table of section 2 gives s = 48.2, loss 0.11."""
    s = np.linspace(1, 120, 11901)
    loss = np.log1p(np.exp(math.log(76499) - 0.9 * s + 30))
    reg = confidence_regularizer(tf.constant(s[:, np.newaxis], tf.float32)).numpy()
    best = np.argmin(loss + 0.001 * reg)
    assert abs(s[best] - 48.2) < 0.05
    assert abs(loss[best] - 0.11) < 0.005


def test_regularizer_is_the_mean_square():
    np.testing.assert_allclose(confidence_regularizer(tf.constant([[1.0, 3.0], [2.0, 2.0]])), [5.0, 4.0])


def test_labels_beyond_half_precision():
    """70,001 is not a float16 or int16: the label must select its own logit."""
    logits = tf.one_hot([70000], 70002, on_value=100.0, dtype=tf.float16)
    assert float(identification(tf.constant([70000]), logits, 0.0)[0]) < 1e-3


def test_margin_warmup_follows_the_step():
    loss = ConfidenceAwareIdentification(30.0, warmup_steps=10)
    assert float(loss.current_margin()) == 30.0
    loss.step = tf.Variable(5, dtype=tf.int64)
    assert float(loss.current_margin()) == 15.0
    loss.step.assign(50)
    assert float(loss.current_margin()) == 30.0


def test_serialised_loss_gives_the_same_values(case):
    loss = ConfidenceAwareIdentification(3.0, reduction="none")
    again = ConfidenceAwareIdentification.from_config(loss.get_config())
    logits = tf.random.stateless_normal([B, C], [1, 2])
    np.testing.assert_array_equal(loss(case[3], logits), again(case[3], logits))
    assert loss(case[3], logits).shape == [B]


@pytest.mark.parametrize("cosine", [-1.0, 1.0])
@pytest.mark.parametrize("s", [1.0, 245.0])
@pytest.mark.parametrize("dtype", [tf.float32, tf.float16, tf.bfloat16])
def test_gradients_are_finite_at_the_ends(cosine, s, dtype):
    kernel = tf.Variable(tf.ones([3, 8]) * cosine)
    features = tf.Variable(tf.cast(tf.ones([1, 8]), dtype))
    with tf.GradientTape() as tape:
        embedding = tf.math.l2_normalize(tf.reshape(tf.cast(features, tf.float32), [1, 2, 4]), -1)
        loss = identification([0], confidence_logits(embedding, tf.fill([1, 2], s), kernel), 30.0)
    for gradient in tape.gradient(loss, [kernel, features]):
        assert np.all(np.isfinite(tf.cast(gradient, tf.float32)))
