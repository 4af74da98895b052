"""Computes a network of Keras's layers with the kernels of this folder, where they are faster."""

import inspect
from collections.abc import Mapping

import tensorflow as tf

from urfr_tf.keras2 import keras
from urfr_tf.layers.cpu.batch_norm import normalize_batch
from urfr_tf.layers.cpu.convolution import convolve
from urfr_tf.layers.cpu.depthwise import convolve_depthwise
from urfr_tf.layers.cpu.prelu import has_slope_per_channel, normalize_and_rectify, rectify


def fused_forward(
    network: keras.Model, inputs: Mapping[str, tf.Tensor], *, training: bool
) -> dict[str, tf.Tensor]:
    """Gives what `network(inputs, training=training)` gives, in fewer passes over memory.

    The network holds Keras's layers. Its weight files, its exports and everything that rewrites graphs do
    not know of these kernels.

    In training, every PReLU is one pass, and so is a PReLU together with a frozen batch norm before it. Other
    kernels are chosen layer by layer. In inference, only the PReLUs differ from Keras's. This suits many
    images: XLA compiles a network anew for each batch size, which takes about a second, and no converter to
    TFLite knows the result.

    Args:
        network: a functional model whose layers are called once each, with tensors and nothing else.
        inputs: name -> tensor, as the network takes them.
        training: as in Keras.

    Returns:
        name -> output.
    """
    values = {id(symbol): tf.cast(inputs[name], symbol.dtype) for name, symbol in network.input.items()}
    producers = {id(layer.output): layer for layer in network.layers if layer.inbound_nodes}
    for layer in producers.values():
        if isinstance(layer, keras.layers.InputLayer):
            continue
        x = tf.nest.map_structure(lambda symbol: values[id(symbol)], layer.input)
        before = producers.get(id(layer.input))
        if before is not None and training and _is_frozen_norm(before) and _is_channel_prelu(layer):
            # Where nobody else reads the output of the batch norm, TensorFlow prunes it from the graph.
            output = normalize_and_rectify(before, layer, values[id(before.input)])
        else:
            output = _apply(layer, x, training)
        values[id(layer.output)] = output
    return {name: values[id(symbol)] for name, symbol in network.output.items()}


def _apply(layer: keras.layers.Layer, x: tf.Tensor | list[tf.Tensor], training: bool) -> tf.Tensor:
    if _is_channel_prelu(layer):
        return rectify(layer, x)
    if training and isinstance(layer, keras.layers.BatchNormalization):
        return normalize_batch(layer, x, training)
    if training and isinstance(layer, keras.layers.DepthwiseConv2D):
        return convolve_depthwise(layer, x)
    if training and isinstance(layer, keras.layers.Conv2D):
        return convolve(layer, x)
    if "training" in inspect.signature(layer.call).parameters:
        return layer(x, training=training)
    return layer(x)


def _is_frozen_norm(layer: keras.layers.Layer) -> bool:
    return isinstance(layer, keras.layers.BatchNormalization) and not layer.trainable


def _is_channel_prelu(layer: keras.layers.Layer) -> bool:
    return isinstance(layer, keras.layers.PReLU) and has_slope_per_channel(layer)
