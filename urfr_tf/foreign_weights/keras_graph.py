"""A Keras backbone with its embedding head, read as a graph of operations."""

import dataclasses

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from urfr_tf.foreign_weights.graph import ADD, CONVOLUTION, DENSE, NORM, PRELU, Operation, make_image_input
from urfr_tf.keras2 import keras

TRANSPARENT = (keras.layers.Rescaling, keras.layers.Flatten, keras.layers.Dropout)


@dataclasses.dataclass
class KerasGraph:
    """The operations up to the embedding, before its normalization. The arrays hold shapes, but no values.

    Attributes:
        output: the last operation.
        layers: the layer of each operation, by id(operation).
        map_shape: (rows, columns, channels) of the map that the dense layer flattens.
    """

    output: Operation
    layers: dict[int, keras.layers.Layer]
    map_shape: tuple[int, int, int]


def read_keras_graph(model: keras.Model, embedding: str) -> KerasGraph:
    """Reads a functional model backwards from its SubEmbedding layer named `embedding`.

    Raises:
        TypeError: a layer on the way is of no kind that a backbone of ours has.
    """
    head = model.get_layer(embedding)
    graph = KerasGraph(make_image_input(), {}, _flattened(head))
    operations: dict[str, Operation] = {}
    needed = _layers_before(head)
    # model.layers is in order of depth: every layer comes after the layers that it takes from.
    for layer in (layer for layer in model.layers if layer.name in needed):
        sources = [operations[source.name] for source in _sources(layer)]
        if isinstance(layer, keras.layers.InputLayer):
            operations[layer.name] = make_image_input()
        elif layer is head:
            graph.output = _head(head, sources, graph)
            return graph
        else:
            operations[layer.name] = _operation(layer, sources)
            graph.layers.setdefault(id(operations[layer.name]), layer)
    raise TypeError(f"{embedding} cannot be reached from the input of {model.name}")


def _sources(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    return [node.layer for node in layer.inbound_nodes[0].parent_nodes]


def _layers_before(head: keras.layers.Layer) -> set[str]:
    names, waiting = {head.name}, [head]
    while waiting:
        new = [layer for layer in _sources(waiting.pop()) if layer.name not in names]
        names.update(layer.name for layer in new)
        waiting.extend(new)
    return names


def _flattened(head: keras.layers.Layer) -> tuple[int, int, int]:
    flatten = _sources(head)[0]
    if not isinstance(flatten, keras.layers.Flatten):
        raise TypeError(f"expected Flatten before {head.name}, got {flatten.name}")
    rows, columns, channels = flatten.input_shape[1:]
    return rows, columns, channels


def _operation(layer: keras.layers.Layer, sources: list[Operation]) -> Operation:
    name = layer.name
    if isinstance(layer, TRANSPARENT):
        return sources[0]
    if isinstance(layer, keras.layers.ZeroPadding2D):
        return Operation("padding", name, sources, padding=layer.padding[0][0])
    if isinstance(layer, keras.layers.Add):
        return Operation(ADD, name, sources)
    if isinstance(layer, keras.layers.PReLU):
        return Operation(PRELU, name, sources)
    if isinstance(layer, keras.layers.BatchNormalization):
        return Operation(NORM, name, sources, {"offset": _empty(layer.beta)}, epsilon=layer.epsilon)
    depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
    if depthwise or isinstance(layer, keras.layers.Conv2D):
        padding = 0 if layer.padding == "valid" else layer.kernel_size[0] // 2
        if sources[0].kind == "padding":
            padding, sources = sources[0].padding, sources[0].sources
        kernel = _empty(layer.depthwise_kernel).swapaxes(2, 3) if depthwise else _empty(layer.kernel)
        groups = kernel.shape[-1] if depthwise else 1
        return Operation(CONVOLUTION, name, sources, {"kernel": kernel}, layer.strides[0], padding, groups)
    raise TypeError(f"no weights can be imported into {type(layer).__name__} {name}")


def _head(head: keras.layers.Layer, sources: list[Operation], graph: KerasGraph) -> Operation:
    dense = Operation(DENSE, f"{head.name}/dense", sources, {"kernel": _empty(head.dense.kernel)})
    norm = Operation(NORM, f"{head.name}/norm", [dense], {"offset": _empty(head.norm.beta)})
    graph.layers.update({id(dense): head.dense, id(norm): head.norm})
    return norm


def _empty(variable: tf.Variable) -> NDArray[np.float32]:
    return np.broadcast_to(np.float32(0), variable.shape)
