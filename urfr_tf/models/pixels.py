"""How every network of this package normalizes its pixels."""

import tensorflow as tf

from urfr_tf.keras2 import keras

ZERO_PIXELS: dict[str, tuple[float, float, float]] = {
    "gray": (127.5, 127.5, 127.5),
    "black": (0.0, 0.0, 0.0),
    "imagenet": (123.675, 116.28, 103.53),
}
"""R, G, B of the choices of `model.zero_pixel`."""


def normalize_pixels(image: tf.Tensor, zero_pixel: str) -> tf.Tensor:
    """Maps pixels in 0..255 to (pixel - zero) / 128, as the first layer of a functional model.

    Args:
        image: symbolic [B, S, S, 3], RGB, 0..255.
        zero_pixel: key of `ZERO_PIXELS`.

    Returns:
        Symbolic [B, S, S, 3]: -0.996..0.996 for `gray`, 0..1.992 for `black`, -0.966..1.183 for `imagenet`.
    """
    offsets = [-value / 128.0 for value in ZERO_PIXELS[zero_pixel]]
    offset = offsets[0] if len(set(offsets)) == 1 else offsets
    # The layer's name is in the graph of every model exported so far.
    return keras.layers.Rescaling(1 / 128.0, offset=offset, name="normalise")(image)
