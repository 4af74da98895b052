"""Where in the network an export begins to differ from Keras."""

from pathlib import Path
from typing import TypeAlias

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike, NDArray

from urfr_tf import keys
from urfr_tf.export.equalize import find_depthwise_pairs
from urfr_tf.export.fold_batch_norm import FOLDED, fold_batch_norm
from urfr_tf.export.images import Images
from urfr_tf.keras2 import keras
from urfr_tf.litert import Interpreter, OpResolverType
from urfr_tf.system.plain_paths import plain_path

Maps: TypeAlias = dict[str, NDArray[np.float32] | NDArray[np.float64]]
"""Layer -> its output [N, h, w, C], in the order in which the layers run."""


def find_difference_of_file(network: keras.Model, content: bytes, images: Images, least_cosine: float) -> str:
    """Compares the convolutions and residual sums of a TFLite file with Keras, in the order in which they
    run.

    Args:
        network: the inference model that the file was made from.
        content: the TFLite file.
        images: float32 [N, S, S, 3], RGB, 0..255; few are enough.
        least_cosine: a layer differs where the cosine of its whole map is below this, for the worst image.

    Returns:
        A clause for a message: the first layer that differs and its cosine, or that none does.
    """
    folded = fold_batch_norm(network)
    return _first(_maps_of_network(folded, images), _maps(content, images, _compared(folded)), least_cosine)


def find_difference_of_saved_model(
    network: keras.Model, served: keras.Model, saved_model: Path, images: Images, least_cosine: float
) -> str:
    """Does the same for a SavedModel: first the variables in the folder, then the layers of what was saved.

    Args:
        network: the inference model.
        served: what was saved: `network` itself, or its folded copy.
        saved_model: the folder.
        images, least_cosine: see `find_difference_of_file`.
    """
    stored = tf.saved_model.load(plain_path(saved_model)).variables
    # A frozen one has none: its weights are constants of the graph.
    for variable, other in zip(served.variables if stored else [], stored, strict=True):
        if not np.array_equal(variable.numpy(), other.numpy()):
            return f"{variable.name} in the folder is the first variable that is not that of Keras"
    if served is network:
        return "every variable in the folder is that of Keras: it is the graph of the signature"
    folded = fold_batch_norm(network)
    return _first(_maps_of_network(folded, images), _maps_of_network(served, images), least_cosine)


def _first(expected: Maps, actual: Maps, least_cosine: float) -> str:
    for name, value in actual.items():
        cosine = min(_cosine(a, b) for a, b in zip(expected[name], value, strict=True))
        if not cosine >= least_cosine:
            return (
                f"{name.removesuffix(FOLDED)} is the first layer that differs, with a cosine of {cosine:.4f}"
            )
    return "no layer of the backbone differs: it is the heads"


def _compared(network: keras.Model) -> list[str]:
    """Convolutions and sums of residual units, but for the convolutions whose channels int8 scales."""
    scaled = {before.name for before, _ in find_depthwise_pairs(network)}
    kinds = keras.layers.Conv2D, keras.layers.Add
    return [each.name for each in network.layers if isinstance(each, kinds) and each.name not in scaled]


def _maps_of_network(network: keras.Model, images: Images) -> Maps:
    """Layer -> its output [N, h, w, C], in the order of the graph."""
    maps = keras.Model(network.input, {name: network.get_layer(name).output for name in _compared(network)})
    outputs = maps({keys.IMAGE: images})
    return {name: tf.cast(outputs[name], tf.float32).numpy() for name in _compared(network)}


def _maps(content: bytes, images: Images, names: list[str]) -> Maps:
    """Layer -> its output [N, h, w, C] in float, in the order in which the file computes them."""
    interpreter = Interpreter(
        model_content=content,
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    image = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(image, images.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(image, images)
    interpreter.invoke()
    tensors = {detail["index"]: detail for detail in interpreter.get_tensor_details()}
    maps: Maps = {}
    operators = interpreter._get_ops_details()
    readers: dict[int, list[str]] = {}
    for operator in operators:
        for index in operator["inputs"]:
            readers.setdefault(index, []).append(operator["op_name"])
    for operator in operators:
        # A sum writes over what only it reads: that convolution's output is gone.
        overwritten = readers.get(operator["outputs"][0]) == ["ADD"]
        if operator["op_name"] not in ("CONV_2D", "ADD") or overwritten:
            continue
        detail = tensors[operator["outputs"][0]]
        # The converter joins the names of the operators that it fused, the last one first.
        name = next((each for each in names if f"/{each}/" in f"/{detail['name'].partition(';')[0]}"), None)
        if name is None:
            continue
        value = interpreter.get_tensor(detail["index"])
        scale, zero = detail["quantization"]
        maps[name] = (value.astype(np.float64) - zero) * scale if value.dtype == np.int8 else value
    return maps


def _cosine(a: ArrayLike, b: ArrayLike) -> float:
    x, y = np.ravel(np.asarray(a, np.float64)), np.ravel(np.asarray(b, np.float64))
    return float(x @ y / max(float(np.linalg.norm(x) * np.linalg.norm(y)), 1e-30))
