"""The inference graph: the same layers as in training, without prototypes and variation classifier."""

import tensorflow as tf

from urfr_tf import keys
from urfr_tf.config.tree import Experiment
from urfr_tf.keras2 import keras
from urfr_tf.layers import SubEmbedding
from urfr_tf.models.urface import embedding_network


@keras.saving.register_keras_serializable(package="urfr_tf")
class JoinGroups(keras.layers.Layer):
    """Sub-embeddings [B, K, d] of norm 1 -> embedding [B, K * d] of norm 1, each group 1/sqrt(K)."""

    def call(self, embedding: tf.Tensor) -> tf.Tensor:
        """[B, K, d] -> [B, D]."""
        groups, dim = embedding.shape[1], embedding.shape[2]
        return tf.reshape(embedding, [-1, groups * dim]) * groups**-0.5


@keras.saving.register_keras_serializable(package="urfr_tf")
class Reciprocal(keras.layers.Layer):
    """Confidence s [B, K] -> variance sigma^2 = 1 / s [B, K]."""

    def call(self, confidence: tf.Tensor) -> tf.Tensor:
        """[B, K] -> [B, K]."""
        return tf.math.reciprocal(confidence)


class EmbeddingLength(keras.layers.Layer):
    """Features [B, F] -> length [B] of what an embedding head gives before its normalization.

    Args:
        head: built; its weights are shared, not copied.
    """

    def __init__(self, head: SubEmbedding, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.head = head

    def call(self, features: tf.Tensor) -> tf.Tensor:
        """[B, F] -> [B]."""
        return tf.norm(self.head.flat(features), axis=1)


def inference_outputs(network: keras.Model) -> dict[str, tf.Tensor]:
    """Outputs of serving: embedding [B, D], confidence [B, K], variance = 1 / confidence [B, K]."""
    confidence = network.output[keys.CONFIDENCE]
    joined = JoinGroups(name="join_groups", dtype="float32")(network.output[keys.EMBEDDING])
    variance = Reciprocal(name="reciprocal", dtype="float32")(confidence)
    return {keys.EMBEDDING: joined, keys.CONFIDENCE: confidence, keys.VARIANCE: variance}


def with_embedding_norm(network: keras.Model) -> keras.Model:
    """The same graph with one more output, `norm` float32 [B]: the embedding's length before normalization.

    MagFace (Meng et al., CVPR 2021) reads it as the quality of an image; reject curves compare with it.
    """
    head = network.get_layer(keys.EMBEDDING)
    norm = EmbeddingLength(head, name=keys.NORM, dtype="float32")(head.input)
    return keras.Model(network.input, {**network.output, keys.NORM: norm}, name=network.name)


def build_inference(config: Experiment) -> keras.Model:
    """The inference model of a configuration, with fresh weights.

    Returns:
        A functional model: {image: float32 [B, S, S, 3], RGB, 0..255} -> {embedding float32 [B, D],
        confidence float32 [B, K], variance float32 [B, K]}.
    """
    network = embedding_network(config.model, config.confidence)
    return keras.Model(network.input, inference_outputs(network), name="urface")
