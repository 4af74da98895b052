"""Helpers of the kernels in this folder."""

import functools
import math

import tensorflow as tf

from urfr_tf.keras2 import keras

fused = functools.partial(tf.function, jit_compile=True, autograph=False)
"""Compiles a function with XLA, which fuses elementwise operations into one pass over memory."""

_SLICES = 8


def on_cpu() -> bool:
    """Returns whether TensorFlow sees neither a GPU nor a TPU."""
    return not any(tf.config.list_logical_devices(kind) for kind in ("GPU", "TPU"))


def batch_slices(batch: tf.Tensor) -> int:
    """Returns into how many equal slices a batch [B, ...] is cut for sums over it.

    The number is the greatest common divisor of B and 8, or 1 where B is unknown.
    """
    return math.gcd(batch.shape[0] or 1, _SLICES)


def with_bias_and_activation(
    layer: keras.layers.Conv2D | keras.layers.DepthwiseConv2D, outputs: tf.Tensor
) -> tf.Tensor:
    """Adds the bias and applies the activation of a Keras convolution to `outputs` [B, H, W, F]."""
    if layer.use_bias:
        outputs = tf.nn.bias_add(outputs, tf.cast(layer.bias, outputs.dtype))
    return outputs if layer.activation is None else layer.activation(outputs)
