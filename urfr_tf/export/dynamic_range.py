"""What the converter's dynamic-range files of networks with depthwise convolutions need to be fast in XNNPACK."""

import copy
from typing import Any

import numpy as np
from tensorflow.lite.python import schema_py_generated as schema

from urfr_tf.runs.tflite_file import find_operators, pack, unpack

_KIND, _TYPE = schema.BuiltinOperator, schema.TensorType


def float_weights(content: bytes) -> bytes:
    """Turns the weights of depthwise convolutions, and of the convolution of the pixels, back into float32.

    XNNPACK has no depthwise convolution of float activations with int8 weights: each one ran in a slow
    kernel of its own, and the mobile backbone took twice the time of float32. The 3 channels of the pixels
    leave the int8 kernel nearly empty. The weights of both are few.
    """
    model = unpack(content)
    for graph in model.subgraphs:
        # One scale for each channel: the last axis of [1, h, w, C], the first of [C, h, w, 3].
        found = [(each, -1) for each in find_operators(model, graph, _KIND.DEPTHWISE_CONV_2D)]
        found += [(each, 0) for each in find_operators(model, graph, _KIND.CONV_2D)[:1]]
        for operator, axis in found:
            source, weights = (graph.tensors[index] for index in operator.inputs[:2])
            if (source.type, weights.type) != (_TYPE.FLOAT32, _TYPE.INT8):
                continue
            stored = np.frombuffer(bytes(bytearray(model.buffers[weights.buffer].data)), np.int8)
            shape = [1] * len(weights.shape)
            shape[axis] = -1
            scale = np.asarray(weights.quantization.scale, np.float32).reshape(shape)  # no zero point
            values = stored.reshape(weights.shape).astype(np.float32) * scale
            weights.type, weights.quantization, weights.buffer = _TYPE.FLOAT32, None, _stored(model, values)
    return pack(model, len(content))


def one_range_an_image(content: bytes) -> bytes:
    """Writes each 1 x 1 convolution of [B, h, w, C] with int8 weights over [B, h w, 1, C], with a stride of 2 across.

    Across a width of 1 a stride changes nothing, but XNNPACK takes a 1 x 1 convolution without stride for a matrix
    product and measures a range for every pixel: a minimum, a maximum, a division and a rounding for 64 numbers. With
    a stride it measures one range an image, as TensorFlow Lite's own kernel does. No copying by the two reshapes showed in perf.
    """
    model = unpack(content)
    for graph in model.subgraphs:
        pointwise = [
            each for each in find_operators(model, graph, _KIND.CONV_2D) if _quantised_pointwise(graph, each)
        ]
        operators: list[Any] = []
        for operator in graph.operators:
            if operator not in pointwise:
                operators.append(operator)
                continue
            source, result = operator.inputs[0], operator.outputs[0]
            rows, flat = _flattened(graph, source), _flattened(graph, result)
            into, back = (_reshape(model, graph, *each) for each in ((source, rows), (flat, result)))
            operator.inputs = np.asarray([rows, *operator.inputs[1:]], np.int32)
            operator.outputs = np.asarray([flat], np.int32)
            operator.builtinOptions.strideW = 2
            operators += [into, operator, back]
        graph.operators = operators
    return pack(model, len(content))


def _quantised_pointwise(graph: Any, operator: Any) -> bool:
    source, weights = (graph.tensors[index] for index in operator.inputs[:2])
    options = operator.builtinOptions
    return (
        (source.type, weights.type) == (_TYPE.FLOAT32, _TYPE.INT8)
        and list(weights.shape[1:3]) == [1, 1]
        and (options.strideH, options.strideW) == (1, 1)
    )


def _flattened(graph: Any, index: int) -> int:
    """A new tensor like the one at `index`, [B, h w, 1, C]."""
    tensor = copy.copy(graph.tensors[index])
    batch, height, width, channels = tensor.shape
    tensor.name = tensor.name + b"/rows"
    tensor.shape = np.asarray([batch, height * width, 1, channels], np.int32)
    tensor.shapeSignature = np.asarray([-1, height * width, 1, channels], np.int32)
    return _added(graph, tensor)


def _reshape(model: Any, graph: Any, source: int, result: int) -> Any:
    """An operator from tensor `source` to tensor `result`, for any batch."""
    target = schema.TensorT()
    target.name = graph.tensors[result].name + b"/shape"
    target.type, target.shape = _TYPE.INT32, np.asarray([4], np.int32)
    target.buffer = _stored(model, np.asarray([-1, *graph.tensors[result].shape[1:]], np.int32))
    operator = schema.OperatorT()
    operator.opcodeIndex = _code(model, _KIND.RESHAPE)
    operator.inputs = np.asarray([source, _added(graph, target)], np.int32)
    operator.outputs = np.asarray([result], np.int32)
    return operator


def _code(model: Any, kind: int) -> int:
    """The place of a builtin operator in the model's table, where it is put if it is not there."""
    for place, code in enumerate(model.operatorCodes):
        if max(code.builtinCode, code.deprecatedBuiltinCode) == kind:
            return place
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = kind
    code.version = 1
    model.operatorCodes = [*model.operatorCodes, code]
    return len(model.operatorCodes) - 1


def _added(graph: Any, tensor: Any) -> int:
    graph.tensors = [*graph.tensors, tensor]
    return len(graph.tensors) - 1


def _stored(model: Any, values: np.ndarray) -> int:
    """The place of a new buffer that holds an array."""
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(values.tobytes(), np.uint8)
    model.buffers = [*model.buffers, buffer]
    return len(model.buffers) - 1
