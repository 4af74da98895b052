"""Gaussian blur of a batch, each image with its own kernel size."""

import numpy as np
import tensorflow as tf

SMALLEST, LARGEST = 3, 11
_REACH = LARGEST // 2


def _kernels() -> np.ndarray:
    """The normalised kernel of each odd size 3, 5, ... 11, centred in 11 taps: float32 [5, 11].

    Sigma follows from the size by OpenCV's rule, sigma = 0.3 ((k - 1) / 2 - 1) + 0.8; taps beyond it are 0.
    """
    offset = np.arange(-_REACH, _REACH + 1, dtype=np.float64)
    sizes = np.arange(SMALLEST, LARGEST + 1, 2, dtype=np.float64)[:, None]
    sigma = 0.3 * ((sizes - 1) / 2 - 1) + 0.8
    taps = np.exp(-(offset**2) / (2 * sigma**2)) * (np.abs(offset) <= (sizes - 1) / 2)
    return (taps / taps.sum(axis=1, keepdims=True)).astype(np.float32)


def draw_kernel_size(count: tf.Tensor | int, seed: tf.Tensor) -> tf.Tensor:
    """Odd sizes from 3 to 11, each equally likely: int32 [count]. `seed` is an integer pair [2]."""
    sizes = (LARGEST - SMALLEST) // 2 + 1
    return SMALLEST + 2 * tf.random.stateless_uniform([count], seed, 0, sizes, tf.int32)


def gaussian_blur(images: tf.Tensor, kernel_size: tf.Tensor) -> tf.Tensor:
    """Blurs every image with a separable Gaussian; borders are reflected without repeating the edge pixel.

    Args:
        images: [B, H, W, C] of any real type; H, W and C known, H and W at least 6.
        kernel_size: int32 [B], odd, 3 to 11; sigma = 0.3 ((k - 1) / 2 - 1) + 0.8, from 0.8 to 2.0.

    Returns:
        float32 [B, H, W, C], in the range of the input.
    """
    _, height, width, channels = images.shape
    taps = tf.gather(_kernels(), (kernel_size - SMALLEST) // 2)
    images = tf.gather(images, _reflected(height), axis=1)
    left, right = (
        tf.gather(images, part, axis=2) for part in (_reflected(width)[:_REACH], _reflected(width)[-_REACH:])
    )
    images = tf.concat([left, images, right], axis=2)
    rows = tf.reshape(images, [-1, height + 2 * _REACH, (width + 2 * _REACH) * channels])
    rows = _weighted_sum(rows, taps, axis=1, step=1)
    return tf.reshape(_weighted_sum(rows, taps, axis=2, step=channels), [-1, height, width, channels])


def _reflected(length: int) -> np.ndarray:
    """Where the pixels of an axis with its reflected borders come from: int32 [length + 10]."""
    return np.pad(np.arange(length, dtype=np.int32), _REACH, mode="reflect")


# Compiled, the eleven products and sums are one loop over the pixels that TensorFlow's own kernels would
# walk 22 times. One compilation for both axes would be slower: XLA would fuse them into 121 products.
@tf.function(jit_compile=True, autograph=False)
def _weighted_sum(rows: tf.Tensor, taps: tf.Tensor, axis: int, step: int) -> tf.Tensor:
    """sum_i taps[b, i] rows[b, ... shifted by i * step along the axis ...], rows [B, Y, X] -> float32."""
    rows = tf.cast(rows, tf.float32)
    kept = rows.shape[axis] - 2 * _REACH * step
    total = 0.0
    for i in range(LARGEST):
        shifted = rows[:, i * step : i * step + kept] if axis == 1 else rows[:, :, i * step : i * step + kept]
        total += taps[:, i, None, None] * shifted
    return total
