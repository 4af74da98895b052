"""A depthwise convolution whose gradient does not stall in bfloat16 on a CPU."""

from collections.abc import Callable, Sequence

import tensorflow as tf

from urfr_tf.keras2 import keras
from urfr_tf.layers.cpu.cpu_kernels import on_cpu, with_bias_and_activation


def depthwise_with_float32_gradient(
    x: tf.Tensor, kernel: tf.Tensor, strides: Sequence[int], padding: str
) -> tf.Tensor:
    """Computes a depthwise convolution in x's type, and its gradient in float32.

    Args:
        x: [B, H, W, C], of any float type.
        kernel: of the same type, [k, k, C, M].
        strides: four numbers, as `tf.nn.depthwise_conv2d` takes them.
        padding: `SAME` or `VALID`.

    Returns:
        [B, H', W', C * M] of x's type.
    """

    @tf.custom_gradient
    def convolved(
        x: tf.Tensor, kernel: tf.Tensor
    ) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]]:
        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            wide = tf.cast(upstream, tf.float32)
            by_x = tf.raw_ops.DepthwiseConv2dNativeBackpropInput(
                input_sizes=tf.shape(x),
                filter=tf.cast(kernel, tf.float32),
                out_backprop=wide,
                strides=strides,
                padding=padding,
            )
            by_kernel = tf.raw_ops.DepthwiseConv2dNativeBackpropFilter(
                input=tf.cast(x, tf.float32),
                filter_sizes=kernel.shape,
                out_backprop=wide,
                strides=strides,
                padding=padding,
            )
            return tf.cast(by_x, x.dtype), tf.cast(by_kernel, kernel.dtype)

        return tf.nn.depthwise_conv2d(x, kernel, strides, padding), gradient

    return convolved(x, kernel)


def convolve_depthwise(layer: keras.layers.DepthwiseConv2D, x: tf.Tensor) -> tf.Tensor:
    """Applies a Keras depthwise convolution in training, [B, H, W, C] -> [B, H', W', C * M].

    The values are Keras's. In bfloat16 on a CPU, the gradient of a convolution that is strided or covers the
    whole map is computed in float32: oneDNN's bfloat16 gradient takes many times as long.
    """
    slow = layer.strides[0] > 1 or layer.padding == "valid"
    if not (slow and layer.compute_dtype == "bfloat16" and on_cpu()):
        return layer(x)
    x = tf.cast(x, layer.compute_dtype)
    outputs = depthwise_with_float32_gradient(
        x, tf.cast(layer.depthwise_kernel, x.dtype), (1, *layer.strides, 1), layer.padding.upper()
    )
    return with_bias_and_activation(layer, outputs)
