"""MobileFaceNet: a small backbone of depthwise residual blocks.

Chen, Liu, Gao and Han, "MobileFaceNets: Efficient CNNs for Accurate Real-time Face Verification on
Mobile Devices" (CCBR 2018), in the proportions of InsightFace's MXNet network of that name, so that
its weights can be loaded: expansions of 128, 256, 512, 256 channels, the first of each stage halves
the map, and the last convolution is depthwise over the whole map that is left.
"""

from collections.abc import Callable

import tensorflow as tf

from urfr_tf.keras2 import keras

MOMENTUM = 0.9
EPSILON = 1e-3
SMALLEST_INPUT = 64

STAGES = (
    # name, channels inside the halving block, channels between blocks, residual blocks, channels inside them
    ("stage2", 128, 64, 4, 128),
    ("stage3", 256, 128, 6, 256),
    ("stage4", 512, 128, 2, 256),
)


def mobilefacenet(inputs: tf.Tensor, *, width: float = 1.0, synchronized: bool = False) -> tf.Tensor:
    """Feature map of the last convolution, with its batch norm and without a non-linearity.

    Args:
        inputs: symbolic [B, S, S, 3], normalized to (x - 127.5) / 128; S >= 64, known, any residue.
        width: multiplier of every channel count (rounded to a multiple of 8, at least 8).
        synchronized: batch norms share their statistics between replicas.

    Returns:
        Symbolic [B, 1, 1, round8(512 width)], in the policy's compute dtype.

    Raises:
        ValueError: the input's sides are unknown, unequal or below 64, or width is not positive.

    A strided convolution sees one row and one column of zeros on EVERY side, as in MXNet and PyTorch;
    TensorFlow's "same" would pad only below and on the right when S is even. So the map's side is
    (n - 1) // 2 + 1 after each of the four halvings: 112 -> 56 -> 28 -> 14 -> 7, 100 -> 50 -> 25 -> 13 -> 7.
    """
    height, width_px = inputs.shape[1:3]
    if height is None or height != width_px or height < SMALLEST_INPUT:
        raise ValueError(
            f"mobilefacenet expects a square input of at least {SMALLEST_INPUT} px, got {inputs.shape}"
        )
    if not width > 0:
        raise ValueError(f"mobilefacenet expects width > 0, got {width}")

    def channels(count: int) -> int:
        return max(8, 8 * round(count * width / 8))

    def normalize(x: tf.Tensor, name: str) -> tf.Tensor:
        return keras.layers.BatchNormalization(
            momentum=MOMENTUM, epsilon=EPSILON, synchronized=synchronized, name=f"{name}_bn"
        )(x)

    def block(x: tf.Tensor, name: str, inside: int, outside: int, stride: int) -> tf.Tensor:
        x = convolution(x, f"{name}_expand", normalize, channels(inside))
        x = depthwise(x, f"{name}_depthwise", normalize, stride=stride)
        return convolution(x, f"{name}_project", normalize, channels(outside), linear=True)

    x = convolution(inputs, "stem", normalize, channels(64), kernel=3, stride=2)
    x = depthwise(x, "stem_depthwise", normalize)
    for stage, halving, outside, blocks, inside in STAGES:
        x = block(x, f"{stage}_halve", halving, outside, stride=2)
        for number in range(1, blocks + 1):
            name = f"{stage}_block{number}"
            x = keras.layers.Add(name=f"{name}_add")([block(x, name, inside, outside, stride=1), x])
    x = convolution(x, "last", normalize, channels(512))
    return depthwise(x, "global_depthwise", normalize, kernel=x.shape[1], padding="valid", linear=True)


def convolution(
    x: tf.Tensor,
    name: str,
    normalize: Callable[[tf.Tensor, str], tf.Tensor],
    filters: int,
    *,
    kernel: int = 1,
    stride: int = 1,
    linear: bool = False,
) -> tf.Tensor:
    """Convolution, batch norm and, unless `linear`, PReLU with one slope a channel."""
    if stride > 1:
        x = keras.layers.ZeroPadding2D(kernel // 2, name=f"{name}_pad")(x)
    x = keras.layers.Conv2D(
        filters,
        kernel,
        strides=stride,
        padding="valid" if stride > 1 else "same",
        use_bias=False,
        kernel_initializer=keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal"),
        name=f"{name}_conv",
    )(x)
    x = normalize(x, name)
    return x if linear else prelu(x, name)


def depthwise(
    x: tf.Tensor,
    name: str,
    normalize: Callable[[tf.Tensor, str], tf.Tensor],
    *,
    kernel: int = 3,
    stride: int = 1,
    padding: str = "same",
    linear: bool = False,
) -> tf.Tensor:
    """Depthwise convolution, batch norm and, unless `linear`, PReLU with one slope a channel.

    TensorFlow's own operation is the fastest form measured on a CPU: forward and both gradients as nine
    shifted products took 10 to 30 times its processor time, or 1.1 to 9 times under XLA.
    """
    if stride > 1:
        x = keras.layers.ZeroPadding2D(kernel // 2, name=f"{name}_pad")(x)
        padding = "valid"
    x = keras.layers.DepthwiseConv2D(
        kernel,
        strides=stride,
        padding=padding,
        use_bias=False,
        # Keras counts fan_out of a depthwise kernel [k, k, C, 1] as k * k, which is its true fan-in.
        depthwise_initializer=keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal"),
        name=f"{name}_conv",
    )(x)
    x = normalize(x, name)
    return x if linear else prelu(x, name)


def prelu(x: tf.Tensor, name: str) -> tf.Tensor:
    """PReLU whose slope [1, 1, C] is shared over the map, starting at 1/4 (He et al. 2015)."""
    return keras.layers.PReLU(
        shared_axes=(1, 2), alpha_initializer=keras.initializers.Constant(0.25), name=f"{name}_prelu"
    )(x)
