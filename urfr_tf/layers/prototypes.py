"""Prototypes of the identities, and the logits in one matrix product (method, section 1)."""

import tensorflow as tf

from urfr_tf.keras2 import keras
from urfr_tf.layers.sub_embedding import normalize


def confidence_logits(embedding: tf.Tensor, confidence: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """a[i, j] = (1/K) sum_k s[i, k] f[i, k] . w[j, k]   (supplement, eq. 24, mean for the sum).

    s gates each sub-embedding before one [B, D] x [D, C] product; no [B, C, K] tensor exists.

    Args:
        embedding: float32 [B, K, d], groups of norm 1.
        confidence: float32 [B, K].
        kernel: float32 [C, D], prototypes before normalization.

    Returns:
        Logits float32 [B, C].
    """
    groups, dim = embedding.shape[1], embedding.shape[2]
    unit = tf.reshape(normalize(tf.reshape(kernel, [-1, groups, dim])), [-1, groups * dim])
    gated = tf.reshape(embedding * confidence[..., tf.newaxis] / groups, [-1, groups * dim])
    return tf.matmul(gated, unit, transpose_b=True)


@keras.saving.register_keras_serializable(package="urfr_tf")
class Prototypes(keras.layers.Layer):
    """[embedding [B, K, d], confidence [B, K]] -> logits a float32 [B, classes].

    Its only weight `kernel` [classes, D] is normalized per group when used.

    Args:
        classes: C, the number of identities.
        groups: K; D must be the embedding's K * d.
    """

    def __init__(self, classes: int, groups: int, **kwargs: object) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.classes = classes
        self.groups = groups

    def build(self, input_shape: list[tf.TensorShape]) -> None:
        """Creates `kernel` [C, D]; each group starts at a norm of about 1."""
        embedding_shape = tf.TensorShape(input_shape[0])
        groups, dim = embedding_shape[1], embedding_shape[2]
        if groups != self.groups:
            raise ValueError(f"expected an embedding of {self.groups} groups, but got {groups}")
        self.kernel = self.add_weight(
            name="kernel",
            shape=[self.classes, groups * dim],
            initializer=keras.initializers.RandomNormal(stddev=dim**-0.5),
        )
        super().build(input_shape)

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        """[[B, K, d], [B, K]] -> [B, C]."""
        embedding, confidence = inputs
        return confidence_logits(tf.cast(embedding, tf.float32), tf.cast(confidence, tf.float32), self.kernel)

    def get_config(self) -> dict[str, object]:
        """The constructor's arguments."""
        return {**super().get_config(), "classes": self.classes, "groups": self.groups}
