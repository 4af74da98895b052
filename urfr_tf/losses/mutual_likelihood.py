"""Negative mutual likelihood of genuine pairs, for the uncertainty stage (method, section 6)."""

import tensorflow as tf


def mutual_likelihood(embedding: tf.Tensor, variance: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """1/2 sum_k [ |f_i,k - f_j,k|^2 / (v_i,k + v_j,k) + d log(v_i,k + v_j,k) ] of each genuine pair.

    Args:
        embedding: float [B, K, d], groups of norm 1.
        variance: float [B, K], above 0.
        labels: int [B]; a pair i < j is genuine where the labels are equal.

    Returns:
        float32 [pairs], in the order of (i, j); empty where no label occurs twice.
    """
    embedding = tf.cast(embedding, tf.float32)
    variance = tf.cast(variance, tf.float32)
    labels = tf.reshape(labels, [-1])
    order = tf.range(tf.size(labels))
    genuine = (labels[:, tf.newaxis] == labels[tf.newaxis]) & (order[:, tf.newaxis] < order[tf.newaxis])
    pairs = tf.where(genuine)
    first, second = pairs[:, 0], pairs[:, 1]
    distance = tf.reduce_sum(
        tf.math.squared_difference(tf.gather(embedding, first), tf.gather(embedding, second)), axis=-1
    )
    total = tf.gather(variance, first) + tf.gather(variance, second)
    width = tf.cast(tf.shape(embedding)[2], tf.float32)
    return 0.5 * tf.reduce_sum(distance / total + width * tf.math.log(total), axis=-1)
