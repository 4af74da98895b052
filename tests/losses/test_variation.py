"""Variation losses: derived values, and no gradient that crosses the wrong way."""

import math

import numpy as np
import pytest
import tensorflow as tf

from urfr_tf.layers import VariationClassifier
from urfr_tf.losses import variation_losses
from urfr_tf.losses.variation import decorrelation_weights


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


@pytest.mark.parametrize("t", [1, 2, 3, 6])
def test_perfect_decorrelation(t):
    """Every logit 0: each of the T (T - 1) foreign variations costs -(log 1/2 + log 1/2) / 2 = log 2."""
    _, _, adv = variation_losses(tf.zeros([4, t, t]), tf.zeros([4, t]))
    np.testing.assert_allclose(adv, np.full(4, t * (t - 1) * math.log(2)), rtol=1e-6)


@pytest.mark.parametrize("t", [2, 3, 6])
def test_averaged_weights_make_means_of_the_sums(t):
    """Every logit 0: each term of either loss is log 2, and so is their mean, whatever T is."""
    _, cls, adv = variation_losses(tf.zeros([1, t, t]), tf.zeros([1, t]))
    own, others = decorrelation_weights(1.0, 3.0, t)
    np.testing.assert_allclose([own * cls[0], others * adv[0]], [math.log(2), 3 * math.log(2)], rtol=1e-6)


def test_averaged_weights_of_terms_that_are_not_there():
    assert decorrelation_weights(2.0, 2.0, 1) == (2.0, 0.0)
    assert decorrelation_weights(2.0, 2.0, 0) == (0.0, 0.0)


def test_no_variation_gives_no_term():
    for term in variation_losses(tf.zeros([3, 0, 0]), tf.zeros([3, 0])):
        np.testing.assert_array_equal(term, np.zeros(3))


def test_against_float64_with_soft_labels():
    random = np.random.default_rng(1)
    z, u = random.normal(scale=3, size=[5, 3, 3]), random.uniform(size=[5, 3])
    p = sigmoid(z)
    entropy = -(u[:, None] * np.log(p) + (1 - u[:, None]) * np.log(1 - p))
    half = -0.5 * (np.log(p) + np.log(1 - p))
    expected = (
        entropy.sum((1, 2)),
        sum(entropy[:, t, t] for t in range(3)),
        sum(half[:, t, v] for t in range(3) for v in range(3) if v != t),
    )
    for ours, theirs in zip(variation_losses(z, u), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)


def test_a_variation_that_never_occurs_and_extreme_logits_stay_finite():
    logits = tf.Variable(tf.constant([[[80.0, -80.0], [-300.0, 300.0]]]))
    with tf.GradientTape() as tape:
        total = tf.add_n(variation_losses(logits, tf.zeros([1, 2])))
    assert np.all(np.isfinite(total))
    assert np.all(np.isfinite(tape.gradient(total, logits)))


def test_gradients_go_one_way_only():
    """L_C must not reach the embedding, L_cls and L_adv must not reach the classifier."""
    classifier = VariationClassifier(3, 4)
    embedding = tf.Variable(tf.random.stateless_normal([6, 4, 2], [0, 1]))
    labels = tf.cast(tf.random.stateless_uniform([6, 3], [2, 3]) > 0.5, tf.float32)
    classifier.build(embedding.shape)
    classifier.kernel.assign(tf.random.stateless_normal(classifier.kernel.shape, [4, 5]))
    with tf.GradientTape(persistent=True) as tape:
        own, _, _ = variation_losses(classifier(tf.stop_gradient(embedding)), labels)
        _, cls, adv = variation_losses(classifier(embedding, frozen=True), labels)
    assert tape.gradient(own, embedding) is None
    assert all(np.any(g) for g in tape.gradient(own, classifier.trainable_variables))
    for term in (cls, adv):
        assert tape.gradient(term, classifier.trainable_variables) == [None, None]
        assert np.any(tape.gradient(term, embedding))
