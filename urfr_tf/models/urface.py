"""The URFace network as a Keras functional model: the one place where the heads meet."""

import tensorflow as tf

from urfr_tf import keys
from urfr_tf.config.tree import ConfidenceConfig, ModelConfig
from urfr_tf.keras2 import keras
from urfr_tf.layers import Confidence, Prototypes, SubEmbedding
from urfr_tf.models.ir import ir_network
from urfr_tf.models.pixels import normalize_pixels

FEATURES = "features"


@tf.autograph.experimental.do_not_convert
def embedding_network(
    model: ModelConfig, confidence: ConfidenceConfig, *, synchronized: bool = False
) -> keras.Model:
    """Images -> sub-embeddings and confidences; what training and inference share.

    The two heads share the last convolution and nothing after it (supplement, section B).

    Args:
        model: the network's settings.
        confidence: the confidence head's settings.
        synchronized: batch norm statistics over all replicas.

    Returns:
        A functional model: {image: float32 [B, S, S, 3], RGB, 0..255} ->
        {embedding: [B, K, d], confidence: [B, K]}, float32.
    """
    size = model.input_size
    image = keras.Input([size, size, 3], name=keys.IMAGE, dtype="float32")
    x = normalize_pixels(image, model.zero_pixel)
    x = _backbone(x, model, synchronized)
    features = keras.layers.Flatten(name=FEATURES)(x)
    embedding = SubEmbedding(
        model.groups,
        model.embedding_dim // model.groups,
        synchronized=synchronized,
        name=keys.EMBEDDING,
    )(features)
    scores = Confidence(
        model.groups,
        confidence.initial,
        confidence.minimum,
        confidence.maximum,
        confidence.learned,
        confidence.norm,
        name=keys.CONFIDENCE,
    )(features)
    return keras.Model(
        {keys.IMAGE: image}, {keys.EMBEDDING: embedding, keys.CONFIDENCE: scores}, name="embedding_network"
    )


def with_logits(network: keras.Model, classes: int, groups: int) -> keras.Model:
    """Adds the prototypes of `classes` identities to an embedding network.

    Returns:
        The same graph with one more output, logits [B, C].
    """
    embedding, confidence = network.output[keys.EMBEDDING], network.output[keys.CONFIDENCE]
    logits = Prototypes(classes, groups, name=keys.LOGITS)([embedding, confidence])
    return keras.Model(network.input, {**network.output, keys.LOGITS: logits}, name=network.name)


def _backbone(x: tf.Tensor, model: ModelConfig, synchronized: bool) -> tf.Tensor:
    if model.backbone == "mobilefacenet":
        from urfr_tf.models.mobilefacenet import mobilefacenet

        return mobilefacenet(x, width=model.width, synchronized=synchronized)
    if model.backbone == "dlib_resnet":
        from urfr_tf.models.dlib_resnet import dlib_resnet

        return dlib_resnet(x)
    return ir_network(x, model.backbone, width=model.width, synchronized=synchronized)
