"""A network that does not learn and tells a training what it made of an image before augmentation."""

import tensorflow as tf

from urfr_tf import keys
from urfr_tf.keras2 import keras
from urfr_tf.layers.cpu.fused_forward import fused_forward


class Teacher:
    """A frozen network, hidden from Keras, which would put its weights into every checkpoint.

    It computes as training does where nothing learns: each batch norm with its stored statistics, in one pass
    with its PReLU.

    Args:
        network: images -> sub-embeddings; it is frozen here.
    """

    def __init__(self, network: keras.Model) -> None:
        self.network = network
        network.trainable = False

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        """Images of any type [B, S, S, 3] in 0..255 -> sub-embeddings float32 [B, K, d]."""
        outputs = fused_forward(self.network, {keys.IMAGE: tf.cast(images, tf.float32)}, training=True)
        return tf.stop_gradient(outputs[keys.EMBEDDING])
