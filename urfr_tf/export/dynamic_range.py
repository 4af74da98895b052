"""Makes dynamic-range files of networks with depthwise convolutions fast in XNNPACK."""

import copy

import numpy as np
from numpy.typing import NDArray
from tensorflow.lite.python import schema_py_generated as schema

from urfr_tf.runs.tflite_file import find_operators, pack, unpack

_KIND, _TYPE = schema.BuiltinOperator, schema.TensorType


def dequantize_slow_weights(content: bytes) -> bytes:
    """Turns the weights of depthwise convolutions, and of the convolution of the pixels, back into float32.

    XNNPACK has no depthwise convolution of float activations with int8 weights, so each one runs in a slow
    kernel. The 3 channels of the pixels leave the int8 kernel nearly empty. The weights of both are few.
    """
    model = unpack(content)
    for graph in model.subgraphs:
        # One scale for each channel: the last axis of [1, h, w, C], the first of [C, h, w, 3].
        slow = [(each, -1) for each in find_operators(model, graph, _KIND.DEPTHWISE_CONV_2D)]
        slow += [(each, 0) for each in find_operators(model, graph, _KIND.CONV_2D)[:1]]
        for operator, axis in slow:
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


def use_one_range_per_image(content: bytes) -> bytes:
    """Writes each 1 x 1 convolution of [B, h, w, C] with int8 weights over [B, h w, 1, C], with a stride of 2
    across.

    Across a width of 1 a stride changes nothing. But XNNPACK takes a 1 x 1 convolution without stride for a
    matrix product and measures a range for every pixel: a minimum, a maximum, a division and a rounding for
    64 numbers. With a stride it measures one range per image, as TensorFlow Lite's own kernel does.
    """
    model = unpack(content)
    for graph in model.subgraphs:
        pointwise = [
            each
            for each in find_operators(model, graph, _KIND.CONV_2D)
            if _is_quantized_pointwise(graph, each)
        ]
        operators: list[schema.OperatorT] = []
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


def _is_quantized_pointwise(graph: schema.SubGraphT, operator: schema.OperatorT) -> bool:
    source, weights = (graph.tensors[index] for index in operator.inputs[:2])
    options = operator.builtinOptions
    return (
        (source.type, weights.type) == (_TYPE.FLOAT32, _TYPE.INT8)
        and list(weights.shape[1:3]) == [1, 1]
        and (options.strideH, options.strideW) == (1, 1)
    )


def _flattened(graph: schema.SubGraphT, index: int) -> int:
    """A new tensor like the one at `index`, [B, h w, 1, C]."""
    tensor = copy.copy(graph.tensors[index])
    batch, height, width, channels = tensor.shape
    tensor.name = tensor.name + b"/rows"
    tensor.shape = np.asarray([batch, height * width, 1, channels], np.int32)
    tensor.shapeSignature = np.asarray([-1, height * width, 1, channels], np.int32)
    return _added(graph, tensor)


def _reshape(model: schema.ModelT, graph: schema.SubGraphT, source: int, result: int) -> schema.OperatorT:
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


def _code(model: schema.ModelT, kind: int) -> int:
    """The place of a builtin operator in the model's table, where it is put if it is not there."""
    for place, code in enumerate(model.operatorCodes):
        if max(code.builtinCode, code.deprecatedBuiltinCode) == kind:
            return place
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = kind
    code.version = 1
    model.operatorCodes = [*model.operatorCodes, code]
    return len(model.operatorCodes) - 1


def _added(graph: schema.SubGraphT, tensor: schema.TensorT) -> int:
    graph.tensors = [*graph.tensors, tensor]
    return len(graph.tensors) - 1


def _stored(model: schema.ModelT, values: NDArray[np.float32] | NDArray[np.int32]) -> int:
    """The place of a new buffer that holds an array."""
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(values.tobytes(), np.uint8)
    model.buffers = [*model.buffers, buffer]
    return len(model.buffers) - 1
