"""Finds the operators of a TFLite file that int8 leaves in float, because they would be wrong or slower."""

from tensorflow.lite.python import schema_py_generated as schema

from urfr_tf.runs.tflite_file import find_operators, unpack

_KIND = schema.BuiltinOperator
_PRODUCTS = _KIND.CONV_2D, _KIND.FULLY_CONNECTED


def find_float_heads(content: bytes) -> list[str]:
    """Finds the outputs of the heads, except for the large matrix product of the embedding.

    8 bits are 1 % of a confidence at best, and exp and normalization have fixed scales in int8. The backbone
    ends at the flattening. The matrix product that directly follows it is quantized.

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


def find_float_backbone(content: bytes) -> list[str]:
    """Finds the outputs of the operators of the backbone that would be slower in int8.

    These are:

    - PRELU, which XNNPACK does not have in int8.
    - Depthwise convolutions.
    - What reads only float and is no convolution or matrix product (normalization of pixels, a padding, a
      weighted mean). In int8 it would stand between two conversions.
    - The convolution of the pixels, if only such operators read it. Its 3 channels leave the int8 kernel
      nearly empty, and its output is the largest map of all.

    Args:
        content: a float TFLite file.

    Returns:
        Names of tensors.
    """
    model = unpack(content)
    graph = model.subgraphs[0]
    in_float = [
        *find_operators(model, graph, _KIND.PRELU),
        *find_operators(model, graph, _KIND.DEPTHWISE_CONV_2D),
    ]
    products = [each for kind in _PRODUCTS for each in find_operators(model, graph, kind)]
    readers: dict[int, list[schema.OperatorT]] = {}
    for operator in graph.operators:
        for index in operator.inputs:
            readers.setdefault(index, []).append(operator)
    pixels, floating = set(graph.inputs), set(graph.inputs)
    for operator in graph.operators:
        changing = {index for index in operator.inputs if index >= 0 and not _constant(model, graph, index)}
        if operator in products:
            reading = readers.get(operator.outputs[0], [])
            if changing <= pixels and reading and all(reader in in_float for reader in reading):
                in_float.append(operator)
        elif operator in in_float or changing <= floating:
            if operator not in in_float:
                in_float.append(operator)
            floating.update(operator.outputs)
            if changing <= pixels:
                pixels.update(operator.outputs)
    return [graph.tensors[index].name.decode("utf-8") for each in in_float for index in each.outputs]


def _constant(model: schema.ModelT, graph: schema.SubGraphT, index: int) -> bool:
    data = model.buffers[graph.tensors[index].buffer].data
    return data is not None and len(data) > 0


def _rank(tensor: schema.TensorT) -> int:
    return 0 if tensor.shape is None else len(tensor.shape)
