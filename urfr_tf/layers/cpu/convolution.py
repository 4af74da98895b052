"""A convolution whose gradient by a 1 x 1 kernel is a product of matrices in bfloat16 on a CPU."""

from collections.abc import Callable

import tensorflow as tf

from urfr_tf.keras2 import keras
from urfr_tf.layers.cpu.cpu_kernels import batch_slices, on_cpu, with_bias_and_activation


@tf.custom_gradient
def pointwise(
    x: tf.Tensor, kernel: tf.Tensor
) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]]:
    """Computes the convolution of x with a 1 x 1 kernel.

    Args:
        x: [B, H, W, C], of any float type.
        kernel: of the same type, [1, 1, C, F].

    Returns:
        [B, H, W, F] of x's type.
    """

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        by_x = tf.raw_ops.Conv2DBackpropInput(
            input_sizes=tf.shape(x), filter=kernel, out_backprop=upstream, strides=[1] * 4, padding="VALID"
        )
        # One product for each slice of the batch, added in float32: faster than one, with less rounding.
        before, after = (tf.reshape(t, [batch_slices(x), -1, t.shape[-1]]) for t in (x, upstream))
        products = tf.cast(tf.matmul(before, after, transpose_a=True), tf.float32)
        return by_x, tf.cast(tf.reshape(tf.reduce_sum(products, 0), kernel.shape), kernel.dtype)

    return tf.nn.conv2d(x, kernel, 1, "VALID"), gradient


def convolve(layer: keras.layers.Conv2D, x: tf.Tensor) -> tf.Tensor:
    """Applies a Keras convolution in training, [B, H, W, C] -> [B, H', W', F].

    The values are Keras's. In bfloat16 on a CPU the gradient by a 1 x 1 kernel is a product of matrices,
    which is faster than oneDNN's convolution. In float32 neither is faster.
    """
    single = layer.kernel_size == layer.strides == (1, 1) and layer.groups == 1
    if not (single and layer.compute_dtype == "bfloat16" and on_cpu()):
        return layer(x)
    x = tf.cast(x, layer.compute_dtype)
    return with_bias_and_activation(layer, pointwise(x, tf.cast(layer.kernel, x.dtype)))
