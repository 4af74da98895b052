"""Batch normalization (Ioffe and Szegedy, ICML 2015) in one pass over memory where it is frozen."""

from collections.abc import Callable

import tensorflow as tf

from urfr_tf.keras2 import keras
from urfr_tf.layers.cpu.cpu_kernels import fused


@fused
def _forward(x: tf.Tensor, scale: tf.Tensor, shift: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.cast(x, tf.float32) * scale + shift, x.dtype)


@fused
def _backward(scale: tf.Tensor, upstream: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.cast(upstream, tf.float32) * scale, upstream.dtype)


@tf.custom_gradient
def frozen_norm(
    x: tf.Tensor, scale: tf.Tensor, shift: tf.Tensor
) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple[tf.Tensor, None, None]]]:
    """Computes x scale + shift in float32, with a gradient by x alone.

    Args:
        x: [..., C], of any float type.
        scale: float32 [C].
        shift: float32 [C].

    Returns:
        A tensor of x's shape and type.
    """
    return _forward(x, scale, shift), lambda upstream: (_backward(scale, upstream), None, None)


def scale_and_shift(norm: keras.layers.BatchNormalization) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns what a batch norm with its stored statistics is: x scale + shift, float32 [C] each."""
    scale = tf.math.rsqrt(norm.moving_variance + norm.epsilon)
    if norm.gamma is not None:
        scale *= norm.gamma
    shift = -norm.moving_mean * scale
    if norm.beta is not None:
        shift += norm.beta
    return scale, shift


def normalize_batch(
    norm: keras.layers.BatchNormalization, x: tf.Tensor, training: bool | None = None
) -> tf.Tensor:
    """Applies a Keras batch norm over the last axis; a frozen one in training is one product and one sum.

    Keras computes the gradients by the scale and the offset of a frozen one, too, which nobody reads.

    Args:
        norm: built.
        x: [B, ..., C].
        training: as in Keras.
    """
    if norm.trainable or not training:
        return norm(x, training=training)
    return frozen_norm(tf.cast(x, norm.compute_dtype), *scale_and_shift(norm))
