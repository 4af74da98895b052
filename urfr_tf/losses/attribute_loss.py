"""The attribute loss of theta_A (method, section 5)."""

import tensorflow as tf


def attribute_loss(
    logits: tf.Tensor, targets: tf.Tensor, class_weights: tf.Tensor | None = None
) -> tf.Tensor:
    """Binary cross-entropy summed over the attributes.

    Args:
        logits: float [B, A].
        targets: float [B, A], each from 0 to 1.
        class_weights: float [2, A], the weight of class 0 and of class 1 of each attribute; None for 1.

    Returns:
        float32 [B].
    """
    targets = tf.cast(targets, tf.float32)
    entropy = tf.nn.sigmoid_cross_entropy_with_logits(targets, tf.cast(logits, tf.float32))
    if class_weights is not None:
        entropy *= targets * class_weights[1] + (1.0 - targets) * class_weights[0]
    return tf.reduce_sum(entropy, axis=-1)


def confusion(logits: tf.Tensor) -> tf.Tensor:
    """Cross-entropy of the uniform distribution against softmax(logits), [B, N] -> [B].

    Its minimum, log N, is reached where an adversary cannot tell its N classes apart.
    """
    return -tf.reduce_mean(tf.nn.log_softmax(tf.cast(logits, tf.float32)), axis=-1)
