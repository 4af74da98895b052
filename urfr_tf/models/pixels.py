"""How every network of this package normalizes its pixels."""

import tensorflow as tf

from urfr_tf.keras2 import keras


def normalize_pixels(image: tf.Tensor) -> tf.Tensor:
    """Maps pixels in 0..255 to (pixel - 127.5) / 128, as the first layer of a functional model.

    Args:
        image: symbolic [B, S, S, 3], RGB, 0..255.

    Returns:
        Symbolic [B, S, S, 3] in -0.996..0.996.
    """
    # The layer's name is in the graph of every model exported so far.
    return keras.layers.Rescaling(1 / 128.0, offset=-127.5 / 128.0, name="normalise")(image)
