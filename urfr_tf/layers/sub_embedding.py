"""The embedding head: one fully connected layer, split into unit sub-embeddings."""

import tensorflow as tf

from urfr_tf.keras2 import keras
from urfr_tf.layers.cpu.batch_norm import normalize_batch


def normalize(vectors: tf.Tensor) -> tf.Tensor:
    """Divides by the L2 norm over the last axis; a zero vector stays zero, with finite gradient.

    Args:
        vectors: float [..., d].

    Returns:
        The same shape and dtype, each norm 1.
    """
    return tf.math.l2_normalize(vectors, axis=-1, epsilon=1e-12)


@keras.saving.register_keras_serializable(package="urfr_tf")
class SubEmbedding(keras.layers.Layer):
    """Features [B, F] -> sub-embeddings float32 [B, groups, dim], every [b, k] of norm 1.

    One fully connected layer (supplement, section B), a batch norm as in ArcFace's head, a split and
    a normalization per group. It computes in float32 whatever the policy.

    Args:
        groups: K, the number of sub-embeddings.
        dim: d = D / K, the width of one of them.
        batch_norm: whether a batch norm (offset, no scale) follows the fully connected layer.
        synchronized: whether the batch norm's statistics are taken over all replicas.
    """

    def __init__(
        self, groups: int, dim: int, batch_norm: bool = True, synchronized: bool = False, **kwargs: object
    ) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.groups = groups
        self.dim = dim
        self.batch_norm = batch_norm
        self.synchronized = synchronized
        self.dense = keras.layers.Dense(
            groups * dim,
            use_bias=False,
            kernel_initializer=keras.initializers.VarianceScaling(1.0, "fan_in"),
            dtype="float32",
            name="dense",
        )
        self.norm = (
            keras.layers.BatchNormalization(
                scale=False,
                momentum=0.9,
                epsilon=2e-5,
                synchronized=synchronized,
                dtype="float32",
                name="norm",
            )
            if batch_norm
            else None
        )

    def build(self, input_shape: tf.TensorShape) -> None:
        """Builds the fully connected layer and the batch norm for features [B, F]."""
        self.dense.build(input_shape)
        if self.norm is not None:
            self.norm.build([None, self.groups * self.dim])
        super().build(input_shape)

    def call(self, features: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """[B, F] -> [B, K, d]."""
        return normalize(tf.reshape(self.flat(features, training), [-1, self.groups, self.dim]))

    def flat(self, features: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """[B, F] -> [B, K * d], not normalized: its length is a quality of the image (MagFace)."""
        flat = self.dense(features)
        return flat if self.norm is None else normalize_batch(self.norm, flat, training)

    def get_config(self) -> dict[str, object]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "groups": self.groups,
            "dim": self.dim,
            "batch_norm": self.batch_norm,
            "synchronized": self.synchronized,
        }
