"""The three losses of variation decorrelation (method, section 4)."""

import tensorflow as tf


def variation_losses(logits: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """L_C, L_cls and L_adv of each image.

    L_C   = - sum_t sum_u log p(u | V_t f), over all masks t and variations u: trains C_v;
    L_cls = - sum_t log p(u_t | V_t f): a sub-embedding's own variation stays readable;
    L_adv = - sum_t sum_{u != t} 1/2 [log p(0) + log p(1)]: the others do not.

    log p of a soft label is the binary cross-entropy with that target.

    Args:
        logits: float [B, T, T]; [:, t, u] is the logit of variation u under mask t.
        labels: float [B, T], each from 0 to 1.

    Returns:
        (classifier, cls, adv), each float32 [B]; all 0 for T = 0.
    """
    logits = tf.cast(logits, tf.float32)
    labels = tf.cast(labels, tf.float32)[:, tf.newaxis, :]
    entropy = tf.nn.sigmoid_cross_entropy_with_logits(tf.broadcast_to(labels, tf.shape(logits)), logits)
    classifier = tf.reduce_sum(entropy, axis=[1, 2])
    cls = tf.reduce_sum(tf.linalg.diag_part(entropy), axis=1)
    # -1/2 [log sigmoid(z) + log sigmoid(-z)] = |z|/2 + log(1 + e^-|z|), stable at any z.
    size = tf.abs(logits)
    confusion = size / 2 + tf.math.log1p(tf.exp(-size))
    others = 1.0 - tf.eye(tf.shape(logits)[1])
    return classifier, cls, tf.reduce_sum(confusion * others, axis=[1, 2])


def decorrelation_weights(cls: float, adv: float, variations: int) -> tuple[float, float]:
    """Returns the weights of the sums L_cls and L_adv that weigh the means of their terms by `cls` and `adv`.

    L_cls has T terms and L_adv T (T - 1). T = 1 has no adversarial term, T = 0 none at all: 0 for those.
    """
    pairs = variations * (variations - 1)
    return cls / variations if variations else 0.0, adv / pairs if pairs else 0.0
