"""Gaussian blur of a batch, each image with its own kernel size."""

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

SMALLEST, LARGEST = 3, 11
"""Kernel sizes of the paper."""


def sigma_of(size: Any) -> Any:
    """Sigma in pixels of a kernel of that size (a number or an array), by OpenCV's rule.

    0.3 ((k - 1) / 2 - 1) + 0.8.
    """
    return 0.3 * ((size - 1) / 2 - 1) + 0.8


def _kernels(largest: int) -> NDArray[np.float32]:
    """The normalized kernel of each odd size 3, 5, ... largest, in as many taps, those beyond it 0.

    Returns:
        float32 [sizes, largest].
    """
    offset = np.arange(-(largest // 2), largest // 2 + 1, dtype=np.float64)
    sizes = np.arange(SMALLEST, largest + 1, 2, dtype=np.float64)[:, None]
    taps = np.exp(-(offset**2) / (2 * sigma_of(sizes) ** 2)) * (np.abs(offset) <= (sizes - 1) / 2)
    kernels: NDArray[np.float32] = (taps / taps.sum(axis=1, keepdims=True)).astype(np.float32)
    return kernels


def draw_kernel_size(
    count: tf.Tensor | int, seed: tf.Tensor, smallest: int = SMALLEST, largest: int = LARGEST
) -> tf.Tensor:
    """Odd sizes from `smallest` to `largest`, each equally likely: int32 [count].

    `seed` is an integer pair [2].
    """
    sizes = (largest - smallest) // 2 + 1
    return smallest + 2 * tf.random.stateless_uniform([count], seed, 0, sizes, tf.int32)


def gaussian_blur(images: tf.Tensor, kernel_size: tf.Tensor, largest: int = LARGEST) -> tf.Tensor:
    """Blurs every image with a separable Gaussian; borders are reflected without repeating the edge pixel.

    Args:
        images: uint8 or float32 [B, H, W, C]; H, W and C known, H and W above half of `largest`.
        kernel_size: int32 [B], odd, 3 to `largest`; sigma = 0.3 ((k - 1) / 2 - 1) + 0.8, from 0.8 to 2.0 at
            11.
        largest: odd; the work grows with it, whatever the sizes are.

    Returns:
        The shape and type of `images`, and in their range; bytes are rounded once, at the end.
    """
    _, height, width, channels = images.shape
    reach = largest // 2
    taps = tf.gather(_kernels(largest), (kernel_size - SMALLEST) // 2)
    across, down = _reflected(width, reach), _reflected(height, reach)
    left, right = (tf.gather(images, border, axis=2) for border in (across[:reach], across[-reach:]))
    images = tf.gather(tf.concat([left, images, right], axis=2), down, axis=1)
    rows = tf.reshape(images, [-1, height + 2 * reach, (width + 2 * reach) * channels])
    rows = _weighted_sum(rows, taps, axis=1, step=1, result=tf.float32)
    rows = _weighted_sum(rows, taps, axis=2, step=channels, result=images.dtype)
    return tf.reshape(rows, [-1, height, width, channels])


def _reflected(length: int, reach: int) -> NDArray[np.float32]:
    """Where the pixels of an axis with its reflected borders come from: int32 [length + 2 reach]."""
    return np.pad(np.arange(length, dtype=np.int32), reach, mode="reflect")


# Compiled, all products and sums are one loop over the pixels, which TensorFlow's own kernels would walk 16
# times. One compilation for both axes would be slower: XLA would fuse them into 121 products.
@tf.function(jit_compile=True, autograph=False)
def _weighted_sum(rows: tf.Tensor, taps: tf.Tensor, axis: int, step: int, result: tf.DType) -> tf.Tensor:
    """sum_i taps[b, i] rows[b, ... shifted by i * step along the axis ...] for rows [B, Y, X]."""
    rows = tf.cast(rows, tf.float32)
    reach = taps.shape[1] // 2
    length = rows.shape[axis] - 2 * reach * step

    def shifted(i: int) -> tf.Tensor:
        window = slice(i * step, i * step + length)
        return rows[:, window] if axis == 1 else rows[:, :, window]

    total = taps[:, reach, None, None] * shifted(reach)
    for i in range(reach):
        total += taps[:, i, None, None] * (shifted(i) + shifted(2 * reach - i))
    # The weighted mean of bytes is above 0: half a gray level more, cut off, is the nearest one.
    return total if result == tf.float32 else tf.cast(total + 0.5, result)
