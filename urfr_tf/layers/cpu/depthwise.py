"""A depthwise convolution whose gradient does not stall in bfloat16 on a CPU."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from urfr_tf.layers.cpu.cpu_kernels import on_cpu, with_bias_and_activation


def _float32_gradient(x: tf.Tensor, kernel: tf.Tensor, **how: Any) -> tf.Tensor:
    @tf.custom_gradient
    def convolved(x: tf.Tensor, kernel: tf.Tensor) -> tuple[tf.Tensor, Callable[..., Any]]:
        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            by = {"out_backprop": tf.cast(upstream, tf.float32), **how}
            by_x = tf.raw_ops.DepthwiseConv2dNativeBackpropInput(
                input_sizes=tf.shape(x), filter=tf.cast(kernel, tf.float32), **by
            )
            by_kernel = tf.raw_ops.DepthwiseConv2dNativeBackpropFilter(
                input=tf.cast(x, tf.float32), filter_sizes=kernel.shape, **by
            )
            return tf.cast(by_x, x.dtype), tf.cast(by_kernel, kernel.dtype)

        return tf.nn.depthwise_conv2d(x, kernel, **how), gradient

    return convolved(x, kernel)


@keras.saving.register_keras_serializable(package="urfr_tf")
class DepthwiseConv2D(keras.layers.DepthwiseConv2D):
    """keras.layers.DepthwiseConv2D with the same weights and values.

    Training in bfloat16 on a CPU, one that takes steps or covers the whole map has its gradient computed in
    float32: oneDNN's bfloat16 gradient by the input of a strided one takes 17 to 30 times as long as float32's
    ([64, 58, 58, 128]: 240 ms and 14 ms), and that by a 7 x 7 kernel twice as long.
    """

    def call(self, inputs: tf.Tensor, training: Any = None) -> tf.Tensor:
        """[B, H, W, C] -> [B, H', W', C]."""
        slow = self.strides[0] > 1 or self.padding == "valid"
        if not (training and slow and inputs.dtype == tf.bfloat16 and on_cpu()):
            return super().call(inputs)
        outputs = _float32_gradient(
            inputs,
            tf.cast(self.depthwise_kernel, inputs.dtype),
            strides=(1, *self.strides, 1),
            padding=self.padding.upper(),
        )
        return with_bias_and_activation(self, outputs)
