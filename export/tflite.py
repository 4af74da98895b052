"""The inference graph as one TFLite file: builtin operators only, float or quantised."""

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.python.convert import mlir_quantize

from urfr_tf import heads
from urfr_tf.errors import UrfrError
from urfr_tf.tflite_file import pack, unpack, with_card

from .equalise import EQUALISED_ON, equalise
from .fold import fold

QUANTIZATIONS = ("none", "float16", "dynamic", "int8")


def convert(
    network: keras.Model, card: dict[str, Any], quantize: str = "none", images: np.ndarray | None = None
) -> bytes:
    """Converts the inference model.

    Args:
        network: {image [B, S, S, 3]} -> {embedding, confidence, variance}.
        card: what the model says about itself; becomes metadata `urfr.json` of the file.
        quantize: `none` (float32), `float16` (weights), `dynamic` (int8 weights, activations
            quantised as they come), `int8` (weights and activations; in and out stay float32).
        images: float32 [N, S, S, 3], RGB, 0..255; what int8 measures its ranges on.

    Returns:
        The file's bytes, with the signature `serving_default`; the batch is set by resizing the input.

    Raises:
        UrfrError: the network needs an operator that TFLite has not, or int8 has no images.
    """
    size = network.input[heads.IMAGE].shape[1]
    # Beside a depthwise convolution, which stays in float, PReLU is best in float too.
    depthwise = any(isinstance(layer, keras.layers.DepthwiseConv2D) for layer in network.layers)
    network = fold(network, prelu="sum" if quantize == "int8" and not depthwise else "one")
    serving = tf.function(
        lambda image: network({heads.IMAGE: image}, training=False),
        input_signature=[tf.TensorSpec([None, size, size, 3], tf.float32, heads.IMAGE)],
        autograph=False,
    )
    if quantize == "int8" and images is not None:
        equalise(network, images[:EQUALISED_ON])
    holder = tf.train.Checkpoint()
    # The variables, not the Keras model: that would be saved layer by layer on the way, for minutes.
    holder.variables = list(network.variables)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([serving.get_concrete_function()], holder)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if quantize != "none":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantize == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if quantize == "int8":
        if images is None or not len(images):
            raise UrfrError("int8 needs images to measure ranges on, but none came")
        converter.representative_dataset = lambda: ({heads.IMAGE: image[None]} for image in images)
        converter._experimental_calibrate_only = True
    content = _converted(converter.convert)
    if quantize == "int8":
        calibrated = content
        left = [*float_outputs(content), *unquantised_outputs(content)]
        content = _converted(lambda: mlir_quantize(calibrated, denylisted_nodes=left))
    if quantize == "dynamic":
        content = _float_depthwise(content)
    return with_card(content, {**card, "quantize": quantize})


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
    products = set(_of_kind(model, graph, schema.BuiltinOperator.FULLY_CONNECTED))
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
    """Outputs of the operators of the backbone that int8 leaves in float, because it would be slower: PRELU and
    depthwise convolutions.

    XNNPACK has no PRELU of int8, and TensorFlow Lite's own took twenty times as long; an int8 depthwise convolution
    takes 1.7 times as long as a float one (AVX-512). The other convolutions are nearly all of the work.

    Args:
        content: a float TFLite file.

    Returns:
        Names of tensors.
    """
    model = unpack(content)
    graph = model.subgraphs[0]
    kinds = schema.BuiltinOperator.PRELU, schema.BuiltinOperator.DEPTHWISE_CONV_2D
    found = [operator for kind in kinds for operator in _of_kind(model, graph, kind)]
    return [graph.tensors[index].name.decode("utf-8") for operator in found for index in operator.outputs]


def _float_depthwise(content: bytes) -> bytes:
    """Turns the weights of depthwise convolutions back into float32.

    XNNPACK has no depthwise convolution of float activations with int8 weights: each one ran in a slow
    kernel of its own, and the mobile backbone took twice the time of float32. Their weights are few.
    """
    model = unpack(content)
    for graph in model.subgraphs:
        for operator in _of_kind(model, graph, schema.BuiltinOperator.DEPTHWISE_CONV_2D):
            source, weights = (graph.tensors[index] for index in operator.inputs[:2])
            if (source.type, weights.type) != (schema.TensorType.FLOAT32, schema.TensorType.INT8):
                continue
            stored = np.frombuffer(bytes(bytearray(model.buffers[weights.buffer].data)), np.int8)
            # One scale for each channel, along the last axis of [1, h, w, C]; weights have no zero point.
            values = stored.reshape(weights.shape).astype(np.float32) * np.asarray(
                weights.quantization.scale, np.float32
            )
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(values.tobytes(), np.uint8)
            weights.type, weights.quantization, weights.buffer = (
                schema.TensorType.FLOAT32,
                None,
                len(model.buffers),
            )
            model.buffers = [*model.buffers, buffer]
    return pack(model, len(content))


def _of_kind(model: Any, graph: Any, kind: int) -> list[Any]:
    """The graph's operators of one of `schema.BuiltinOperator`'s kinds, in the order in which they run."""
    codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
    return [operator for operator in graph.operators if codes[operator.opcodeIndex] == kind]


def operators(content: bytes) -> list[str]:
    """Names of the operators of a TFLite file in the order they run, `FLEX...` where not builtin."""
    interpreter = tf.lite.Interpreter(
        model_content=content,
        experimental_op_resolver_type=tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    return [each["op_name"] for each in interpreter._get_ops_details()]


def _rank(tensor: Any) -> int:
    return 0 if tensor.shape is None else len(tensor.shape)


def _converted(step: Callable[[], bytes]) -> bytes:
    with _quiet() as said:
        try:
            return step()
        except Exception as error:  # the converter's errors are of several classes
            raise UrfrError(
                f"TensorFlow Lite could not convert the network: {_cause(error, said())}"
            ) from error


@contextlib.contextmanager
def _quiet() -> Iterator[Any]:
    """Keeps what the converter's C++ prints on stdout and stderr; gives a function that reads it."""
    with tempfile.TemporaryFile() as kept:
        saved = os.dup(1), os.dup(2)
        os.dup2(kept.fileno(), 1)
        os.dup2(kept.fileno(), 2)

        def said() -> str:
            kept.seek(0)
            return kept.read().decode("utf-8", "replace")

        try:
            yield said
        finally:
            for target, original in zip((1, 2), saved, strict=True):
                os.dup2(original, target)
                os.close(original)


def _cause(error: Exception, said: str) -> str:
    """The line that says what is wrong, without the place in the source it was traced from."""
    lines = [
        line.rpartition("error: ")[2].strip() for line in f"{error}\n{said}".splitlines() if "error: " in line
    ]
    return (lines[0] if lines else str(error).strip().partition("\n")[0])[:300]
