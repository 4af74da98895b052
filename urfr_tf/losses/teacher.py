"""How far an embedding is from what a frozen network makes of the same image before augmentation."""

import tensorflow as tf


def teacher_distance(embedding: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """1 - cosine, in the mean over the sub-embeddings (embedding distillation; not of the paper).

    Args:
        embedding: float [B, K, d], each sub-embedding of norm 1.
        target: of the same shape; no gradient reaches it.

    Returns:
        float32 [B], from 0 to 2.
    """
    target = tf.stop_gradient(tf.cast(target, tf.float32))
    cosines = tf.reduce_sum(tf.cast(embedding, tf.float32) * target, axis=-1)
    return 1.0 - tf.reduce_mean(cosines, axis=-1)
