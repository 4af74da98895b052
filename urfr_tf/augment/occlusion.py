"""Occlusion: the face is cut in a 7 x 7 grid and a random rectangle of cells is blacked out."""

import numpy as np
import tensorflow as tf

GRID = 7


def draw_rectangle(count: tf.Tensor | int, seed: tf.Tensor) -> tf.Tensor:
    """Rectangles of cells, int32 [count, 4]: top, left, bottom, right; top < bottom and left < right.

    Each of the 28 x 28 rectangles of the 7 x 7 grid is equally likely. `seed` is an integer pair [2].
    """
    spans = np.array([[a, b] for a in range(GRID) for b in range(a + 1, GRID + 1)], np.int32)
    drawn = tf.random.stateless_uniform([count, 2], seed, 0, len(spans), tf.int32)
    return tf.reshape(tf.transpose(tf.gather(spans, drawn), [0, 2, 1]), [-1, 4])


def black_out(images: tf.Tensor, rectangle: tf.Tensor) -> tf.Tensor:
    """Sets the pixels of a rectangle of grid cells to 0.

    Cell i of an axis of n pixels begins at pixel round(i n / 7), halves rounded up.

    Args:
        images: [B, H, W, C] of any numeric type, H and W known.
        rectangle: int32 [B, 4], from `draw_rectangle`.

    Returns:
        The same shape and type as `images`.
    """
    _, height, width, channels = images.shape
    rows = _covered(height, rectangle[:, 0], rectangle[:, 2])
    columns = tf.repeat(_covered(width, rectangle[:, 1], rectangle[:, 3]), channels, axis=1)
    hidden = _clear(tf.reshape(images, [-1, height, width * channels]), rows, columns)
    return tf.reshape(hidden, [-1, height, width, channels])


@tf.function(jit_compile=True, autograph=False)
def _clear(images: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
    return tf.where(rows[:, :, None] & columns[:, None, :], tf.zeros([], images.dtype), images)


def _covered(length: int, first: tf.Tensor, last: tf.Tensor) -> tf.Tensor:
    """Which pixels of an axis lie in cells first <= cell < last: bool [B, length]."""
    edges = tf.constant([(2 * i * length + GRID) // (2 * GRID) for i in range(GRID + 1)], tf.int32)
    pixel = tf.range(length)[None, :]
    return (pixel >= tf.gather(edges, first)[:, None]) & (pixel < tf.gather(edges, last)[:, None])
