"""Replaces a depthwise convolution over the whole map by a product with the map and a mean."""

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from urfr_tf.export.fold_batch_norm import KerasTensor
from urfr_tf.keras2 import keras


def replace_global_depthwise(folded: keras.Model) -> keras.Model:
    """Gives the same function with other operators, for TFLite.

    TFLite's kernels for such a convolution are slow. XNNPACK has one for 9 and one for 25 taps, and runs the
    49 of a 7 x 7 map as 512 matrix products of one column each.

    Args:
        folded: what `fold_batch_norm` gives. Its layers are used again, so it is not to be changed
            afterwards.

    Returns:
        A functional model with the same inputs and outputs, which are equal up to rounding; `folded` itself
        where it has no such convolution.
    """
    whole = [layer for layer in folded.layers if _covers_map(layer)]
    if not whole:
        return folded
    new: dict[int, KerasTensor] = {id(tensor): tensor for tensor in folded.input.values()}
    for layer in folded.layers:
        if isinstance(layer, keras.layers.InputLayer):
            continue
        inputs, output = tf.nest.map_structure(lambda tensor: new[id(tensor)], layer.input), id(layer.output)
        new[output] = _replacement(layer)(inputs) if layer in whole else layer(inputs)
    outputs = tf.nest.map_structure(lambda tensor: new[id(tensor)], folded.output)
    return keras.Model(folded.input, outputs, name=folded.name)


def _covers_map(layer: keras.layers.Layer) -> bool:
    """Whether it is a depthwise convolution, one filter a channel, that gives a single pixel."""
    return (
        type(layer) is keras.layers.DepthwiseConv2D
        and layer.padding == "valid"
        and layer.depth_multiplier == 1
        and layer.use_bias
        and tuple(layer.input.shape[1:3]) == layer.kernel_size
    )


def _replacement(layer: keras.layers.Layer) -> "WeightedMean":
    kernel, bias = layer.get_weights()
    return WeightedMean(kernel[..., 0], bias, name=f"{layer.name}_mean")


@keras.saving.register_keras_serializable(package="urfr_tf")
class WeightedMean(keras.layers.Layer):
    """x [B, h, w, C] -> sum over the map of kernel x, plus bias: [B, 1, 1, C].

    Args:
        kernel: [h, w, C].
        bias: [C].
        **kwargs: of the Keras layer.
    """

    def __init__(self, kernel: ArrayLike, bias: ArrayLike, **kwargs: Any) -> None:
        super().__init__(trainable=False, **{key: kwargs[key] for key in kwargs if key != "trainable"})
        self.kernel = np.asarray(kernel, np.float32)
        self.bias = np.asarray(bias, np.float32)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """[B, h, w, C] -> [B, 1, 1, C]."""
        height, width, _ = self.kernel.shape
        # A mean, not a sum: every version of XNNPACK has it as pooling.
        product = x * tf.constant(self.kernel * (height * width))
        return tf.reduce_mean(product, axis=(1, 2), keepdims=True) + tf.constant(self.bias)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "kernel": self.kernel.tolist(), "bias": self.bias.tolist()}
