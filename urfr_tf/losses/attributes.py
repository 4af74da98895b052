"""The attribute loss of theta_A (method, section 5)."""

import tensorflow as tf


def attribute_loss(logits: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """Binary cross-entropy summed over the attributes.

    Args:
        logits: float [B, A].
        targets: float [B, A], each from 0 to 1.

    Returns:
        float32 [B].
    """
    entropy = tf.nn.sigmoid_cross_entropy_with_logits(
        tf.cast(targets, tf.float32), tf.cast(logits, tf.float32)
    )
    return tf.reduce_sum(entropy, axis=-1)


def confusion(logits: tf.Tensor) -> tf.Tensor:
    """Cross-entropy of the uniform distribution against softmax(logits), [B, N] -> [B].

    Its minimum, log N, is reached where an adversary cannot tell its N classes apart.
    """
    return -tf.reduce_mean(tf.nn.log_softmax(tf.cast(logits, tf.float32)), axis=-1)
