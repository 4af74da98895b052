"""The improved residual networks of ArcFace: IR-18, 34, 50, 100 (method, section 1), and a small IR-10.

A unit is BN - conv - BN - PReLU - conv - BN with the stride in the second convolution; there is no
max pooling, and the last feature map ends in a batch norm. Names follow arcface_torch's `iresnet`, so
that its checkpoints map one to one.
"""

import tensorflow as tf

from urfr_tf.keras2 import keras

BLOCKS = {
    "ir10": (1, 1, 1, 1),
    "ir18": (2, 2, 2, 2),
    "ir34": (3, 4, 6, 3),
    "ir50": (3, 4, 14, 3),
    "ir100": (3, 13, 30, 3),
}
CHANNELS = (64, 128, 256, 512)


def ir_network(
    inputs: tf.Tensor,
    depth: str,
    *,
    width: float = 1.0,
    synchronized: bool = False,
) -> tf.Tensor:
    """Wires an IR backbone.

    Args:
        inputs: [B, S, S, 3], normalized to (x - 127.5) / 127.5 or a like range.
        depth: `ir10`, `ir18`, `ir34`, `ir50` or `ir100`.
        width: factor on the channels of every stage, rounded to a multiple of 8.
        synchronized: batch norm statistics over all replicas.

    Returns:
        Feature map [B, s, s, 512 * width], s = S / 16 rounded up.
    """
    channels = [max(8, round(c * width / 8) * 8) for c in CHANNELS]
    x = _conv(inputs, channels[0], 3, 1, "conv1")
    x = _prelu(_norm(x, synchronized, "bn1"), "prelu")
    for stage, (count, filters) in enumerate(zip(BLOCKS[depth], channels, strict=True), start=1):
        for block in range(count):
            x = _unit(x, filters, 2 if block == 0 else 1, synchronized, f"layer{stage}_{block}")
    return _norm(x, synchronized, "bn2")


def _unit(x: tf.Tensor, filters: int, stride: int, synchronized: bool, name: str) -> tf.Tensor:
    shortcut = x
    if stride != 1 or x.shape[-1] != filters:
        shortcut = _conv(x, filters, 1, stride, f"{name}_downsample_conv")
        shortcut = _norm(shortcut, synchronized, f"{name}_downsample_bn")
    x = _norm(x, synchronized, f"{name}_bn1")
    x = _conv(x, filters, 3, 1, f"{name}_conv1")
    x = _prelu(_norm(x, synchronized, f"{name}_bn2"), f"{name}_prelu")
    x = _conv(x, filters, 3, stride, f"{name}_conv2")
    x = _norm(x, synchronized, f"{name}_bn3")
    return keras.layers.Add(name=f"{name}_add")([x, shortcut])


def _conv(x: tf.Tensor, filters: int, kernel: int, stride: int, name: str) -> tf.Tensor:
    # TF pads a strided 'same' convolution on one side only; the frameworks whose weights are
    # imported pad both sides, so the padding is spelt out.
    padding = "same" if stride == 1 else "valid"
    if stride != 1 and kernel == 3:
        x = keras.layers.ZeroPadding2D(1, name=f"{name}_pad")(x)
    return keras.layers.Conv2D(
        filters,
        kernel,
        strides=stride,
        padding=padding,
        use_bias=False,
        kernel_initializer="he_normal",
        name=name,
    )(x)


def _norm(x: tf.Tensor, synchronized: bool, name: str) -> tf.Tensor:
    return keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, synchronized=synchronized, name=name)(
        x
    )


def _prelu(x: tf.Tensor, name: str) -> tf.Tensor:
    return keras.layers.PReLU(
        shared_axes=[1, 2], alpha_initializer=keras.initializers.Constant(0.25), name=name
    )(x)
