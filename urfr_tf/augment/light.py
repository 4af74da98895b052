"""Light: contrast and brightness of some images change, linearly.

The paper does not have it, and it is no variation: it has no label.
"""

import math

import tensorflow as tf

GAIN = (0.3, 1.3)
"""Factor on a pixel's value, drawn on a logarithmic scale: mostly darker."""
OFFSET = (-20.0, 20.0)
"""Grey levels that are added, each equally likely."""


def draw_light(count: tf.Tensor | int, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Gains and offsets, and the coin of each image from 0 to 1: float32 [count] each.

    `seed` is an integer pair [2].
    """
    gain, offset, coin = tf.unstack(tf.random.stateless_uniform([3, count], seed))
    low, high = (math.log(bound) for bound in GAIN)
    return tf.exp(low + gain * (high - low)), OFFSET[0] + offset * (OFFSET[1] - OFFSET[0]), coin


def relight(images: tf.Tensor, seed: tf.Tensor, probability: float) -> tf.Tensor:
    """gain x + offset for each image with this probability, in whole gray levels.

    Args:
        images: float32 [B, H, W, C] in 0..255.
        seed: an integer pair [2]; the same seed gives the same light.
        probability: from 0 to 1.

    Returns:
        The same shape, cut off at 0 and 255.
    """
    gain, offset, coin = draw_light(tf.shape(images)[0], seed)
    gain, offset, coin = (drawn[:, None, None, None] for drawn in (gain, offset, coin))
    lit = tf.floor(tf.clip_by_value(images * gain + offset, 0.0, 255.0) + 0.5)
    return tf.where(coin < probability, lit, images)
