"""The regularizer that keeps the confidences from growing without end (method, section 2)."""

import tensorflow as tf


def confidence_regularizer(confidence: tf.Tensor) -> tf.Tensor:
    """L_reg = mean_k s_k^2, for each image.

    Args:
        confidence: s, float [B, K].

    Returns:
        float32 [B].
    """
    return tf.reduce_mean(tf.square(tf.cast(confidence, tf.float32)), axis=-1)
