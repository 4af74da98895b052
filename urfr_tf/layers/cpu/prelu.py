"""PReLU (He et al., ICCV 2015) in one pass over memory, alone or after a frozen batch norm."""

from collections.abc import Callable

import tensorflow as tf

from urfr_tf.keras2 import keras
from urfr_tf.layers.cpu.batch_norm import scale_and_shift
from urfr_tf.layers.cpu.cpu_kernels import batch_slices, fused


# XLA fuses what TensorFlow does in five passes over a feature map, and ten more for the gradient.
@fused
def _forward(x: tf.Tensor, slope: tf.Tensor) -> tf.Tensor:
    return tf.cast(_rectified(tf.cast(x, tf.float32), slope), x.dtype)


@fused
def _backward(x: tf.Tensor, slope: tf.Tensor, upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    by_x = tf.cast(_slopes(tf.cast(x, tf.float32), slope) * tf.cast(upstream, tf.float32), x.dtype)
    return by_x, _below(lambda x: x, x, upstream)


@fused
def _forward_normalized(x: tf.Tensor, scale: tf.Tensor, shift: tf.Tensor, slope: tf.Tensor) -> tf.Tensor:
    return tf.cast(_rectified(tf.cast(x, tf.float32) * scale + shift, slope), x.dtype)


@fused
def _backward_normalized(
    x: tf.Tensor, scale: tf.Tensor, shift: tf.Tensor, slope: tf.Tensor, upstream: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    slopes = _slopes(tf.cast(x, tf.float32) * scale + shift, slope)
    by_x = tf.cast(slopes * scale * tf.cast(upstream, tf.float32), x.dtype)
    return by_x, _below(lambda x: x * scale + shift, x, upstream)


def _rectified(x: tf.Tensor, slope: tf.Tensor) -> tf.Tensor:
    return tf.nn.relu(x) + tf.cast(slope, tf.float32) * tf.minimum(x, 0.0)


def _slopes(x: tf.Tensor, slope: tf.Tensor) -> tf.Tensor:
    return tf.where(x > 0, 1.0, tf.cast(slope, tf.float32))


def _below(before: Callable[[tf.Tensor], tf.Tensor], x: tf.Tensor, upstream: tf.Tensor) -> tf.Tensor:
    """Sums min(before(x), 0) upstream over slices of the batch in float32; only one slice is written."""
    slices = batch_slices(x)
    pairs = zip(tf.split(x, slices), tf.split(upstream, slices), strict=True)
    return sum(
        tf.minimum(before(tf.cast(one, tf.float32)), 0.0) * tf.cast(up, tf.float32) for one, up in pairs
    )


def _by_slope(below: tf.Tensor, slope: tf.Tensor) -> tf.Tensor:
    """Sums over all axes but the channels.

    The sum is a product with a row of ones, outside of XLA, where a reduction over leading axes is slow.
    """
    channels = below.shape[-1]
    ones = tf.ones([1, tf.size(below) // channels], tf.float32)
    summed = tf.matmul(ones, tf.reshape(below, [-1, channels]))
    return tf.cast(tf.reshape(summed, tf.shape(slope)), slope.dtype)


@tf.custom_gradient
def fused_prelu(
    x: tf.Tensor, slope: tf.Tensor
) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]]:
    """Computes max(x, 0) + slope min(x, 0), and keeps nothing but x for its gradient.

    Args:
        x: [..., C], of any float type.
        slope: of the same type, [1, ..., 1, C].

    Returns:
        A tensor of x's shape and type. At x = 0 the derivative by x is `slope`.
    """

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        by_x, below = _backward(x, slope, upstream)
        return by_x, _by_slope(below, slope)

    return _forward(x, slope), gradient


@tf.custom_gradient
def fused_norm_prelu(
    x: tf.Tensor, scale: tf.Tensor, shift: tf.Tensor, slope: tf.Tensor
) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple[tf.Tensor, None, None, tf.Tensor]]]:
    """Computes `fused_prelu` of x scale + shift, without writing the normalized x to memory.

    Args:
        x: [..., C], of any float type.
        scale: float32 [C], without a gradient.
        shift: float32 [C], without a gradient.
        slope: of x's type, [1, ..., 1, C].

    Returns:
        A tensor of x's shape and type.
    """

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, None, None, tf.Tensor]:
        by_x, below = _backward_normalized(x, scale, shift, slope, upstream)
        return by_x, None, None, _by_slope(below, slope)

    return _forward_normalized(x, scale, shift, slope), gradient


def has_slope_per_channel(layer: keras.layers.PReLU) -> bool:
    """Returns whether a built Keras PReLU is one that these kernels compute: one slope for each channel."""
    return bool(layer.alpha.shape.num_elements() == layer.alpha.shape[-1])


def rectify(layer: keras.layers.PReLU, x: tf.Tensor) -> tf.Tensor:
    """Applies a Keras PReLU that has one slope per channel, [B, ..., C] -> [B, ..., C]."""
    x = tf.cast(x, layer.compute_dtype)
    return fused_prelu(x, tf.cast(layer.alpha, x.dtype))


def normalize_and_rectify(
    norm: keras.layers.BatchNormalization, layer: keras.layers.PReLU, x: tf.Tensor
) -> tf.Tensor:
    """Applies a batch norm with its stored statistics and then a PReLU, [B, ..., C] -> [B, ..., C]."""
    x = tf.cast(x, norm.compute_dtype)
    return fused_norm_prelu(x, *scale_and_shift(norm), tf.cast(layer.alpha, x.dtype))
