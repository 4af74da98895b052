"""A convolution whose gradient by a 1 x 1 kernel is a product of matrices in bfloat16 on a CPU."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from urfr_tf.layers.cpu.cpu_kernels import on_cpu, parts_of, with_bias_and_activation


@tf.custom_gradient
def pointwise(x: tf.Tensor, kernel: tf.Tensor) -> tuple[tf.Tensor, Callable[..., Any]]:
    """The convolution of x with a 1 x 1 kernel.

    Args:
        x: [B, H, W, C], of any float type. kernel: of the same type, [1, 1, C, F].

    Returns:
        [B, H, W, F] of x's type.
    """

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        by_x = tf.raw_ops.Conv2DBackpropInput(
            input_sizes=tf.shape(x), filter=kernel, out_backprop=upstream, strides=[1] * 4, padding="VALID"
        )
        # One product for each eighth of the batch, added in float32: faster than one, and rounded no more.
        before, after = (tf.reshape(t, [parts_of(x), -1, t.shape[-1]]) for t in (x, upstream))
        products = tf.cast(tf.matmul(before, after, transpose_a=True), tf.float32)
        return by_x, tf.cast(tf.reshape(tf.reduce_sum(products, 0), kernel.shape), kernel.dtype)

    return tf.nn.conv2d(x, kernel, 1, "VALID"), gradient


@keras.saving.register_keras_serializable(package="urfr_tf")
class Conv2D(keras.layers.Conv2D):
    """keras.layers.Conv2D with the same weights and values.

    Training in bfloat16 on a CPU computes the gradient by a 1 x 1 kernel as a product of matrices: oneDNN's
    convolution takes 1.6 to 3.5 times as long for MobileFaceNet's ([64, 56, 56, 64] to 128 channels: 18.8 ms and 12.0;
    [64, 28, 28, 64] to 128: 7.7 and 2.2; two cores of an Intel Xeon with AMX). In float32 neither is faster.
    """

    def call(self, inputs: tf.Tensor, training: Any = None) -> tf.Tensor:
        """[B, H, W, C] -> [B, H', W', F]."""
        single = self.kernel_size == self.strides == (1, 1) and self.groups == 1
        if not (training and single and inputs.dtype == tf.bfloat16 and on_cpu()):
            return super().call(inputs)
        outputs = pointwise(inputs, tf.cast(self.kernel, inputs.dtype))
        return with_bias_and_activation(self, outputs)
