"""dlib's face network: a residual network of 29 convolutions without batch norms.

King, "High Quality Face Recognition with Deep Metric Learning" (dlib's blog, 2017). The affine layers that
dlib keeps beside its convolutions are in their kernels and biases here.
"""

import tensorflow as tf

from urfr_tf.keras2 import keras

INPUT_SIZE = 112
"""Side of the aligned crop in pixels; dlib's own chip of 150 px is cut out of it."""
CHIP = 150
STAGES = ((32, 3), (64, 4), (128, 3), (256, 3), (256, 1))
"""Channels and blocks. Each stage but the first halves the map in its first block."""
# Where dlib's chip lies in a crop of 112 px: its last rows are below the crop.
_ROWS, _COLUMNS, _BELOW = (22, 112), (6, 106), 10


@keras.saving.register_keras_serializable(package="urfr_tf")
class DlibChip(keras.layers.Layer):
    """Aligned crops [B, 112, 112, C] -> dlib's chips [B, 150, 150, C].

    A chip shows rows 22 to 121 and columns 6 to 105 of the crop, enlarged 1.5 times (bilinear). The crop has
    no rows below 111; its last one is repeated.
    """

    def call(self, crop: tf.Tensor) -> tf.Tensor:
        """[B, 112, 112, C] -> [B, 150, 150, C], in the layer's dtype."""
        area = crop[:, _ROWS[0] : _ROWS[1], _COLUMNS[0] : _COLUMNS[1]]
        area = tf.concat([area, *[area[:, -1:]] * _BELOW], axis=1)
        return tf.image.resize(area, [CHIP, CHIP])


@keras.saving.register_keras_serializable(package="urfr_tf")
class AddPadded(keras.layers.Layer):
    """Adds two maps, the smaller with zeros at the end of rows, columns and channels (dlib's add_prev)."""

    def call(self, maps: list[tf.Tensor]) -> tf.Tensor:
        """Two of [B, h, w, c] -> [B, max h, max w, max c]."""
        shapes = [x.shape.as_list()[1:] for x in maps]
        largest = [max(sizes) for sizes in zip(*shapes, strict=True)]
        padded = [
            tf.pad(x, [[0, 0], *([0, most - size] for size, most in zip(shape, largest, strict=True))])
            if shape != largest
            else x
            for x, shape in zip(maps, shapes, strict=True)
        ]
        return padded[0] + padded[1]


def dlib_resnet(inputs: tf.Tensor) -> tf.Tensor:
    """Wires the network.

    Args:
        inputs: symbolic [B, 112, 112, 3], normalized pixels of aligned crops.

    Returns:
        Symbolic [B, 1, 1, 256]: the mean of the last map, in the policy's compute dtype.

    Raises:
        ValueError: the crops are not of 112 px.
    """
    if tuple(inputs.shape[1:3]) != (INPUT_SIZE, INPUT_SIZE):
        raise ValueError(f"dlib_resnet expects crops of {INPUT_SIZE} px, got {inputs.shape}")
    x = DlibChip(name="chip")(inputs)
    x = _convolve(x, 32, "stem", kernel=7, stride=2)
    x = keras.layers.MaxPooling2D(3, 2, name="stem_pool")(x)
    for stage, (filters, blocks) in enumerate(STAGES, 1):
        for block in range(1, blocks + 1):
            x = _block(x, filters, stage > 1 and block == 1, f"stage{stage}_block{block}")
    return keras.layers.GlobalAveragePooling2D(keepdims=True, name="mean")(x)


def _block(x: tf.Tensor, filters: int, halve: bool, name: str) -> tf.Tensor:
    shortcut = keras.layers.AveragePooling2D(2, 2, name=f"{name}_shortcut")(x) if halve else x
    x = _convolve(x, filters, f"{name}_conv1", stride=2 if halve else 1)
    x = _convolve(x, filters, f"{name}_conv2", rectify=False)
    x = AddPadded(name=f"{name}_add")([x, shortcut])
    return keras.layers.ReLU(name=f"{name}_relu")(x)


def _convolve(
    x: tf.Tensor, filters: int, name: str, *, kernel: int = 3, stride: int = 1, rectify: bool = True
) -> tf.Tensor:
    """Convolution with bias; dlib pads by 1 px where the stride is 1 and not at all where it is 2."""
    x = keras.layers.Conv2D(
        filters,
        kernel,
        strides=stride,
        padding="same" if stride == 1 else "valid",
        kernel_initializer="he_normal",
        name=name,
    )(x)
    return keras.layers.ReLU(name=f"{name}_relu")(x) if rectify else x
