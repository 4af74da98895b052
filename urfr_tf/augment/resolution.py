"""Low resolution: down to a few pixels and up again, each image with its own size."""

import numpy as np
import tensorflow as tf

SMALLEST, LARGEST = 16, 64


def draw_size(count: tf.Tensor | int, seed: tf.Tensor, side: int) -> tf.Tensor:
    """Sizes from 16 to 64 pixels, or to `side` where that is less, each equally likely: int32 [count].

    `seed` is an integer pair [2]; `side` is that of the images.
    """
    last = max(SMALLEST, min(LARGEST, side))
    return tf.random.stateless_uniform([count], seed, SMALLEST, last + 1, tf.int32)


def _triangle(outputs: int, inputs: int) -> np.ndarray:
    """Bilinear resampling of an axis, antialiased when it shrinks: float64 [outputs, inputs].

    Row o weighs input i by max(0, 1 - |c - i - 1/2| / r), with the centre c = (o + 1/2) inputs / outputs
    and the reach r = max(1, inputs / outputs), and sums to 1: `tf.image.resize(..., antialias=True)`.
    """
    scale = inputs / outputs
    centre = (np.arange(outputs) + 0.5) * scale
    distance = np.abs(centre[:, None] - (np.arange(inputs) + 0.5)[None, :])
    weight = np.maximum(0.0, 1.0 - distance / max(1.0, scale))
    return weight / weight.sum(axis=1, keepdims=True)


def _down_and_up(length: int) -> np.ndarray:
    """The matrix of each size's way down and up again: float32 [49, length, length]."""
    sizes = range(SMALLEST, LARGEST + 1)
    return np.stack([_triangle(length, size) @ _triangle(size, length) for size in sizes]).astype(np.float32)


def lower_resolution(images: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Shrinks every image to size x size pixels (bilinear, antialiased) and enlarges it again (bilinear).

    Both ways are linear and separable, so that an axis is one matrix per size and the whole batch is two
    matrix products.

    Args:
        images: [B, H, W, C] of any real type, H, W and C known.
        size: int32 [B], 16 to 64.

    Returns:
        float32 [B, H, W, C], in the range of the input.
    """
    _, height, width, channels = images.shape
    vertical = tf.gather(_down_and_up(height), size - SMALLEST)
    horizontal = tf.gather(_down_and_up(width), size - SMALLEST)
    rows = tf.matmul(vertical, tf.reshape(tf.cast(images, tf.float32), [-1, height, width * channels]))
    turned = tf.transpose(tf.reshape(rows, [-1, height, width, channels]), [0, 2, 1, 3])
    columns = tf.matmul(horizontal, tf.reshape(turned, [-1, width, height * channels]))
    return tf.transpose(tf.reshape(columns, [-1, width, height, channels]), [0, 2, 1, 3])
