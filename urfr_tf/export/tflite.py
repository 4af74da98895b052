"""The inference graph as one TFLite file: builtin operators only, float or quantised."""

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow.lite.python.convert import mlir_quantize

from urfr_tf import keys
from urfr_tf.errors import UrfrError, reason_of
from urfr_tf.export.dynamic_range import float_weights, one_range_an_image
from urfr_tf.export.equalize import EQUALIZED_ON, equalize
from urfr_tf.export.fold_batch_norm import fold
from urfr_tf.export.kept_float import float_outputs, unquantised_outputs
from urfr_tf.export.whole_map import whole_maps
from urfr_tf.runs.card import ModelCard
from urfr_tf.runs.tflite_file import add_card

QUANTIZATIONS = ("none", "float16", "dynamic", "int8")


def convert(
    network: keras.Model, card: ModelCard, quantize: str = "none", images: np.ndarray | None = None
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
    size = network.input[keys.IMAGE].shape[1]
    # Beside a depthwise convolution, which stays in float, PReLU is best in float too.
    depthwise = any(isinstance(layer, keras.layers.DepthwiseConv2D) for layer in network.layers)
    network = fold(network, prelu="sum" if quantize == "int8" and not depthwise else "one")
    if quantize == "int8" and images is not None:
        equalize(network, images[:EQUALIZED_ON])
    network = whole_maps(network)
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
            raise UrfrError("int8 needs images to measure ranges on, but none came")
        converter.representative_dataset = lambda: ({keys.IMAGE: image[None]} for image in images)
        converter._experimental_calibrate_only = True
    content = _converted(converter.convert)
    if quantize == "int8":
        calibrated = content
        left = [*float_outputs(content), *unquantised_outputs(content)]
        content = _converted(lambda: mlir_quantize(calibrated, denylisted_nodes=left))
    if quantize == "dynamic" and depthwise:
        content = one_range_an_image(float_weights(content))
    return add_card(content, {**card, "quantize": quantize})


def operators(content: bytes) -> list[str]:
    """Names of the operators of a TFLite file in the order they run, `FLEX...` where not builtin."""
    interpreter = tf.lite.Interpreter(
        model_content=content,
        experimental_op_resolver_type=tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    return [each["op_name"] for each in interpreter._get_ops_details()]


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
    return (lines[0] if lines else reason_of(error))[:300]
