"""PReLU that training computes in one pass over memory, forward and backward (He et al., ICCV 2015)."""

import contextlib
import contextvars
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

from urfr_tf.layers.cpu.batch_norm import norm_of
from urfr_tf.layers.cpu.cpu_kernels import fused, parts_of


# XLA fuses what TensorFlow does in five passes over a feature map, and ten more for the gradient.
@fused
def _forward(x: tf.Tensor, slope: tf.Tensor) -> tf.Tensor:
    return tf.cast(_rectified(tf.cast(x, tf.float32), slope), x.dtype)


@fused
def _backward(x: tf.Tensor, slope: tf.Tensor, upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    by_x = tf.cast(_slopes(tf.cast(x, tf.float32), slope) * tf.cast(upstream, tf.float32), x.dtype)
    return by_x, _below(lambda part: part, x, upstream)


@fused
def _forward_normalised(x: tf.Tensor, scale: tf.Tensor, shift: tf.Tensor, slope: tf.Tensor) -> tf.Tensor:
    return tf.cast(_rectified(tf.cast(x, tf.float32) * scale + shift, slope), x.dtype)


@fused
def _backward_normalised(
    x: tf.Tensor, scale: tf.Tensor, shift: tf.Tensor, slope: tf.Tensor, upstream: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    slopes = _slopes(tf.cast(x, tf.float32) * scale + shift, slope)
    by_x = tf.cast(slopes * scale * tf.cast(upstream, tf.float32), x.dtype)
    return by_x, _below(lambda part: part * scale + shift, x, upstream)


def _rectified(x: tf.Tensor, slope: tf.Tensor) -> tf.Tensor:
    return tf.nn.relu(x) + tf.cast(slope, tf.float32) * tf.minimum(x, 0.0)


def _slopes(x: tf.Tensor, slope: tf.Tensor) -> tf.Tensor:
    return tf.where(x > 0, 1.0, tf.cast(slope, tf.float32))


def _below(before: Callable[[tf.Tensor], tf.Tensor], x: tf.Tensor, upstream: tf.Tensor) -> tf.Tensor:
    """min(before(x), 0) upstream in float32, added up over eighths of the batch: an eighth to be written."""
    parts = parts_of(x)
    pairs = zip(tf.split(x, parts), tf.split(upstream, parts), strict=True)
    return sum(
        tf.minimum(before(tf.cast(one, tf.float32)), 0.0) * tf.cast(up, tf.float32) for one, up in pairs
    )


def _by_slope(below: tf.Tensor, slope: tf.Tensor) -> tf.Tensor:
    """The sum over all but channels.

    As a product with a row of ones, outside of XLA, whose own reduction over leading axes is slow on a CPU, as are some of its
    products. ([64, 56, 56, 128] in bfloat16, with the gradient by x: 248 ms as a reduction, 28 ms as one product of everything in XLA,
    9 ms so; two cores of an Intel Xeon with AMX.)
    """
    channels = below.shape[-1]
    ones = tf.ones([1, tf.size(below) // channels], tf.float32)
    summed = tf.matmul(ones, tf.reshape(below, [-1, channels]))
    return tf.cast(tf.reshape(summed, tf.shape(slope)), slope.dtype)


@tf.custom_gradient
def fused_prelu(x: tf.Tensor, slope: tf.Tensor) -> tuple[tf.Tensor, Callable[..., Any]]:
    """max(x, 0) + slope min(x, 0), keeping nothing but x for its gradient.

    Args:
        x: [..., C], of any float type. slope: of the same type, [1, ..., 1, C].

    Returns:
        Of x's shape and type. At x = 0 the derivative by x is `slope`.
    """

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        by_x, below = _backward(x, slope, upstream)
        return by_x, _by_slope(below, slope)

    return _forward(x, slope), gradient


@tf.custom_gradient
def fused_norm_prelu(
    x: tf.Tensor, scale: tf.Tensor, shift: tf.Tensor, slope: tf.Tensor
) -> tuple[tf.Tensor, Callable[..., Any]]:
    """`fused_prelu` of x scale + shift: a batch norm that stands still is not written to memory between the two.

    Args:
        x: [..., C], of any float type. scale, shift: float32 [C], without a gradient. slope: of x's type, [1, ..., 1, C].

    Returns:
        Of x's shape and type.
    """

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, None, None, tf.Tensor]:
        by_x, below = _backward_normalised(x, scale, shift, slope, upstream)
        return by_x, None, None, _by_slope(below, slope)

    return _forward_normalised(x, scale, shift, slope), gradient


_in_bulk = contextvars.ContextVar("in_bulk", default=False)


@contextlib.contextmanager
def in_bulk() -> Iterator[None]:
    """What is traced inside has the fused PReLU in inference, too: the same values, for many images.

    XLA compiles it anew for each new size of a batch, which takes about a second for a whole network, and no
    converter to TFLite knows it.
    """
    token = _in_bulk.set(True)
    try:
        yield
    finally:
        _in_bulk.reset(token)


@keras.saving.register_keras_serializable(package="urfr_tf")
class PReLU(keras.layers.PReLU):
    """keras.layers.PReLU with one slope a channel and the same weights and values; in training it is fused.

    In inference it is Keras's own, which TFLite's converter knows as one operator, but for `in_bulk`.
    """

    def call(self, inputs: tf.Tensor, training: Any = None) -> tf.Tensor:
        """[B, ..., C] -> [B, ..., C]."""
        if training or _in_bulk.get():
            slope, norm = tf.cast(self.alpha, inputs.dtype), norm_of(inputs)
            return fused_prelu(inputs, slope) if norm is None else fused_norm_prelu(*norm, slope)
        return super().call(inputs)
