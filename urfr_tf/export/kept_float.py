"""Which operators of a TFLite file int8 leaves in float, because they would be wrong or slower."""

from typing import Any

from tensorflow.lite.python import schema_py_generated as schema

from urfr_tf.runs.tflite_file import find_operators, unpack

_KIND = schema.BuiltinOperator
_PRODUCTS = _KIND.CONV_2D, _KIND.FULLY_CONNECTED


def float_outputs(content: bytes) -> list[str]:
    """Outputs of the operators that int8 leaves in float: the heads, but for the embedding's big product.

    8 bits are 1 % of a confidence at best, and exp and normalisation have fixed scales in int8. The
    backbone ends at the flattening; what hangs on it directly (that one matrix product) is quantised.

    Args:
        content: a float TFLite file.

    Returns:
        Names of tensors.
    """
    model = unpack(content)
    graph = model.subgraphs[0]
    products = set(find_operators(model, graph, _KIND.FULLY_CONNECTED))
    flat: set[int] = set()
    names: list[str] = []
    for operator in graph.operators:
        source, outputs = operator.inputs[0], [graph.tensors[index] for index in operator.outputs]
        if _rank(outputs[0]) == 4:
            continue
        if _rank(graph.tensors[source]) == 4:
            flat.update(operator.outputs)
        elif not (operator in products and source in flat):
            names.extend(tensor.name.decode("utf-8") for tensor in outputs)
    return names


def unquantised_outputs(content: bytes) -> list[str]:
    """Outputs of the operators of the backbone that int8 leaves in float, because it would be slower.

    These are PRELU and depthwise convolutions: XNNPACK has no PRELU of int8, and TensorFlow Lite's own took twenty
    times as long; an int8 depthwise convolution takes 1.7 times as long as a float one (AVX-512). With them goes what
    reads only float and is no convolution or matrix product (normalisation of pixels, a padding, a weighted mean): it
    would be put between two conversions. And the convolution of the pixels, where only such operators read it: its 3
    channels leave the int8 kernel nearly empty, and its output is the largest map of all.

    Args:
        content: a float TFLite file.

    Returns:
        Names of tensors.
    """
    model = unpack(content)
    graph = model.subgraphs[0]
    kept = [
        *find_operators(model, graph, _KIND.PRELU),
        *find_operators(model, graph, _KIND.DEPTHWISE_CONV_2D),
    ]
    products = [each for kind in _PRODUCTS for each in find_operators(model, graph, kind)]
    readers: dict[int, list[Any]] = {}
    for operator in graph.operators:
        for index in operator.inputs:
            readers.setdefault(index, []).append(operator)
    pixels, floating = set(graph.inputs), set(graph.inputs)
    for operator in graph.operators:
        changing = {index for index in operator.inputs if index >= 0 and not _constant(model, graph, index)}
        if operator in products:
            reading = readers.get(operator.outputs[0], [])
            if changing <= pixels and reading and all(reader in kept for reader in reading):
                kept.append(operator)
        elif operator in kept or changing <= floating:
            if operator not in kept:
                kept.append(operator)
            floating.update(operator.outputs)
            if changing <= pixels:
                pixels.update(operator.outputs)
    return [graph.tensors[index].name.decode("utf-8") for each in kept for index in each.outputs]


def _constant(model: Any, graph: Any, index: int) -> bool:
    data = model.buffers[graph.tensors[index].buffer].data
    return data is not None and len(data) > 0


def _rank(tensor: Any) -> int:
    return 0 if tensor.shape is None else len(tensor.shape)
