"""The layer that is named is the one whose weights were damaged."""

import numpy as np
import pytest

from urfr_tf.export.first_difference import find_difference_of_file
from urfr_tf.export.tflite import convert_to_tflite
from urfr_tf.litert import Interpreter


@pytest.mark.parametrize("quantize", ["none", "int8"])
def test_the_damaged_layer_is_named(make_network, images, quantize):
    network = make_network()
    crops = images.astype(np.float32)
    first, second = (layer for layer in network.layers if "conv2d" in layer.name)
    kernel = second.kernel.numpy()
    second.kernel.assign(-kernel)  # the file is made from this network ...
    content = convert_to_tflite(network, {}, quantize, crops)
    assert "it is the heads" in find_difference_of_file(network, content, crops, 0.95)
    second.kernel.assign(kernel)  # ... and compared with that one
    clause = find_difference_of_file(network, content, crops, 0.95)
    assert clause.startswith(f"{second.name} is the first layer that differs")
    first.kernel.assign(-first.kernel)
    assert find_difference_of_file(network, content, crops, 0.95).startswith(f"{first.name} is the first")


def test_weights_that_stay_float_in_dynamic(images):
    """XNNPACK has no kernel for depthwise ones; all three have the 1,024 numbers that the converter quantises
    from.
    """

    from urfr_tf.keras2 import keras

    image = keras.Input([32, 32, 3], name="image")
    x = keras.layers.Conv2D(64, 3, 2)(image)
    x = keras.layers.Conv2D(256, 1)(x)
    x = keras.layers.DepthwiseConv2D(3)(x)
    network = keras.Model({"image": image}, {"embedding": keras.layers.Flatten()(x)})
    crops = images.astype(np.float32)
    interpreter = Interpreter(model_content=convert_to_tflite(network, {}, "dynamic"))
    types = {detail["index"]: detail["dtype"] for detail in interpreter.get_tensor_details()}
    kernels = [
        (op["op_name"], types[op["inputs"][1]])
        for op in interpreter._get_ops_details()
        if "CONV_2D" in op["op_name"]
    ]
    pixels, pointwise = ("CONV_2D", np.float32), ("CONV_2D", np.int8)
    assert kernels == [pixels, pointwise, ("DEPTHWISE_CONV_2D", np.float32)]
    found = interpreter.get_signature_runner("serving_default")(image=crops[:1])["embedding"]
    expected = network({"image": crops[:1]})["embedding"].numpy()
    # Weights of 8 bits, and activations of 8 bits: about 1 % of the largest output.
    assert np.abs(found - expected).max() < 0.03 * np.abs(expected).max()
