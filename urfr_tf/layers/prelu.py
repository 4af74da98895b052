"""PReLU that training computes in one pass over memory, forward and backward (He et al., ICCV 2015)."""

import contextlib
import contextvars
import functools
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

# XLA fuses what TensorFlow does in five passes over a feature map, and ten more for the gradient.
_fused = functools.partial(tf.function, jit_compile=True, autograph=False)


@_fused
def _forward(x: tf.Tensor, slope: tf.Tensor) -> tf.Tensor:
    return tf.nn.relu(x) + slope * tf.minimum(x, tf.zeros([], x.dtype))


@_fused
def _backward(x: tf.Tensor, slope: tf.Tensor, upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    channels = x.shape[-1]
    below = tf.cast(tf.minimum(x, tf.zeros([], x.dtype)) * upstream, tf.float32)
    # As a product with a row of ones: XLA's own reduction over the leading axes is six times as slow on a CPU.
    ones = tf.ones([1, tf.size(below) // channels], tf.float32)
    by_slope = tf.matmul(ones, tf.reshape(below, [-1, channels]))
    by_x = tf.where(x > 0, upstream, slope * upstream)
    return by_x, tf.cast(tf.reshape(by_slope, tf.shape(slope)), slope.dtype)


@tf.custom_gradient
def fused_prelu(x: tf.Tensor, slope: tf.Tensor) -> tuple[tf.Tensor, Callable[..., Any]]:
    """max(x, 0) + slope min(x, 0), keeping nothing but x for its gradient.

    Args:
        x: [..., C], of any float type. slope: of the same type, [1, ..., 1, C].

    Returns:
        Of x's shape and type. At x = 0 the derivative by x is `slope`.
    """
    return _forward(x, slope), lambda upstream: _backward(x, slope, upstream)


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
            return fused_prelu(inputs, tf.cast(self.alpha, inputs.dtype))
        return super().call(inputs)
