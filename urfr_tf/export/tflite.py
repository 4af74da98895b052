"""The inference graph as one TFLite file: builtin operators only, float or quantized."""

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator

import tensorflow as tf

from urfr_tf import keys
from urfr_tf.errors import UrfrError, reason_of
from urfr_tf.export.dynamic_range import dequantize_slow_weights, use_one_range_per_image
from urfr_tf.export.equalize import EQUALIZED_ON, equalize_channels
from urfr_tf.export.float_operators import find_float_backbone, find_float_heads
from urfr_tf.export.fold_batch_norm import fold_batch_norm
from urfr_tf.export.global_depthwise import replace_global_depthwise
from urfr_tf.export.images import Images
from urfr_tf.keras2 import keras
from urfr_tf.litert import Interpreter, OpResolverType
from urfr_tf.runs.card import ModelCard
from urfr_tf.runs.tflite_file import add_card

QUANTIZATIONS = ("none", "float16", "dynamic", "int8")


def convert_to_tflite(
    network: keras.Model, card: ModelCard, quantize: str = "none", images: Images | None = None
) -> bytes:
    """Converts the inference model.

    Args:
        network: {image [B, S, S, 3]} -> {embedding, confidence, variance}.
        card: what the model says about itself; becomes metadata `urfr.json` of the file.
        quantize: `none` (float32), `float16` (weights), `dynamic` (int8 weights, activations
            quantized at run time), `int8` (weights and activations; in and out stay float32).
        images: float32 [N, S, S, 3], RGB, 0..255; what int8 measures its ranges on.

    Returns:
        The file's bytes, with the signature `serving_default`; the batch is set by resizing the input.

    Raises:
        UrfrError: the network needs an operator that TFLite has not, or int8 has no images.
    """
    size = network.input[keys.IMAGE].shape[1]
    # Next to a depthwise convolution, which stays in float, PReLU is best in float too.
    depthwise = any(isinstance(layer, keras.layers.DepthwiseConv2D) for layer in network.layers)
    network = fold_batch_norm(network, prelu="sum" if quantize == "int8" and not depthwise else "one")
    if quantize == "int8" and images is not None:
        equalize_channels(network, images[:EQUALIZED_ON])
    network = replace_global_depthwise(network)
    serving = tf.function(
        lambda image: network({keys.IMAGE: image}, training=False),
        input_signature=[tf.TensorSpec([None, size, size, 3], tf.float32, keys.IMAGE)],
        autograph=False,
    )
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
            raise UrfrError("int8 needs images to measure ranges on, but got none")
        converter.representative_dataset = lambda: ({keys.IMAGE: image[None]} for image in images)
        content = _run_converter(lambda: _quantize(converter))
    else:
        content = _run_converter(converter.convert)
    if quantize == "dynamic" and depthwise:
        content = use_one_range_per_image(dequantize_slow_weights(content))
    return add_card(content, {**card, "quantize": quantize})


def _quantize(converter: tf.lite.TFLiteConverter) -> bytes:
    """Converts to int8, except for the operators that stay in float.

    Which ones stay can only be said once the graph is converted. TensorFlow Lite's debugger takes a list of
    them after it has measured the ranges, and gives the file without its debugging operators.
    """
    debugger = tf.lite.experimental.QuantizationDebugger(converter=converter)
    calibrated = debugger.calibrated_model
    in_float = [*find_float_heads(calibrated), *find_float_backbone(calibrated)]
    debugger.options = tf.lite.experimental.QuantizationDebugOptions(denylisted_nodes=in_float)
    content: bytes = debugger.get_nondebug_quantized_model()
    return content


def list_operators(content: bytes) -> list[str]:
    """Lists the operators of a TFLite file in the order in which they run; `FLEX...` if not builtin."""
    interpreter = Interpreter(
        model_content=content,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    return [each["op_name"] for each in interpreter._get_ops_details()]


def _run_converter(step: Callable[[], bytes]) -> bytes:
    with _captured_output() as read_output:
        try:
            return step()
        except Exception as error:  # the converter's errors are of several classes
            raise UrfrError(
                f"TensorFlow Lite could not convert the network: {_cause(error, read_output())}"
            ) from error


@contextlib.contextmanager
def _captured_output() -> Iterator[Callable[[], str]]:
    """Captures what the converter's C++ prints on stdout and stderr; gives a function that reads it."""
    with tempfile.TemporaryFile() as file:
        saved = os.dup(1), os.dup(2)
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)

        def read_output() -> str:
            file.seek(0)
            return file.read().decode("utf-8", "replace")

        try:
            yield read_output
        finally:
            for target, original in zip((1, 2), saved, strict=True):
                os.dup2(original, target)
                os.close(original)


def _cause(error: Exception, output: str) -> str:
    """Gives the line that says what is wrong, without the place in the source."""
    lines = [
        line.rpartition("error: ")[2].strip()
        for line in f"{error}\n{output}".splitlines()
        if "error: " in line
    ]
    return (lines[0] if lines else reason_of(error))[:300]
