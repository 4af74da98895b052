"""Gaussian blur of a batch, each image with its own kernel size."""

import numpy as np
import tensorflow as tf

SMALLEST, LARGEST = 3, 11
_REACH = LARGEST // 2


def _kernels() -> np.ndarray:
    """The normalised kernel of each odd size 3, 5, ... 11, centred in 11 taps: float32 [5, 11].

    Sigma follows from the size as in OpenCV, sigma = 0.3 ((k - 1) / 2 - 1) + 0.8; taps beyond the size are 0.
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
        images: [B, H, W, 3] of any real type, H and W known and at least 6.
        kernel_size: int32 [B], odd, 3 to 11; sigma follows from it as in `cv2.GaussianBlur(x, (k, k), 0)`.

    Returns:
        float32 [B, H, W, 3], in the range of the input.
    """
    _, height, width, _ = images.shape
    taps = tf.gather(_kernels(), (kernel_size - SMALLEST) // 2)
    images = tf.pad(tf.cast(images, tf.float32), [[0, 0], [_REACH] * 2, [_REACH] * 2, [0, 0]], "REFLECT")
    columns = tf.add_n([taps[:, i, None, None, None] * images[:, i : i + height] for i in range(LARGEST)])
    return tf.add_n([taps[:, i, None, None, None] * columns[:, :, i : i + width] for i in range(LARGEST)])
