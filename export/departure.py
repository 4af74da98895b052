"""Where in the network a TFLite file begins to differ from Keras."""

import keras
import numpy as np
import tensorflow as tf

from urfr_tf import heads

from .fold import fold


def first_departure(
    network: keras.Model, content: bytes, quantize: str, images: np.ndarray, least_cosine: float
) -> str:
    """Compares what every convolution gives, in the order in which they run.

    Args:
        network: the inference model that the file was made from.
        content: the TFLite file.
        quantize: how it was quantised.
        images: float32 [N, S, S, 3], RGB, 0..255; few are enough.
        least_cosine: a convolution departs where the cosine of its whole map, of the worst image, is below.

    Returns:
        A clause for a message: the first convolution that departs and its cosine, or that none does.
    """
    folded = fold(network, prelu_as_maximum=quantize == "int8")
    layers = {layer.name: layer for layer in folded.layers if isinstance(layer, keras.layers.Conv2D)}
    maps = keras.Model(folded.input, {name: layer.output for name, layer in layers.items()})
    expected = {name: value.numpy() for name, value in maps({heads.IMAGE: images}).items()}
    found = _maps(content, images, list(layers))
    for name, value in found.items():
        cosine = min(_cosine(a, b) for a, b in zip(expected[name], value, strict=True))
        if not cosine >= least_cosine:
            return f"{name.removesuffix('_folded')} is the first layer that departs, with a cosine of {cosine:.4f}"
    return "no convolution departs on its own: it is the heads"


def _maps(content: bytes, images: np.ndarray, names: list[str]) -> dict[str, np.ndarray]:
    """Layer -> its output [N, h, w, C] in float, in the order in which the file computes them."""
    interpreter = tf.lite.Interpreter(
        model_content=content,
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    image = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(image, images.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(image, images)
    interpreter.invoke()
    tensors = {detail["index"]: detail for detail in interpreter.get_tensor_details()}
    maps = {}
    for operator in interpreter._get_ops_details():
        if not operator["op_name"].endswith("CONV_2D"):
            continue
        detail = tensors[operator["outputs"][0]]
        # The converter joins the names of the operators that it fused.
        name = next((each for each in names if f"/{each}/" in f"/{detail['name']}"), None)
        if name is None:
            continue
        value = interpreter.get_tensor(detail["index"])
        scale, zero = detail["quantization"]
        maps[name] = (value.astype(np.float64) - zero) * scale if value.dtype == np.int8 else value
    return maps


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    x, y = np.ravel(a).astype(np.float64), np.ravel(b).astype(np.float64)
    return float(x @ y / max(float(np.linalg.norm(x) * np.linalg.norm(y)), 1e-30))
