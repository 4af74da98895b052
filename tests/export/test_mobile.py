"""What is done to the mobile backbone's TFLite files so that XNNPACK runs them fast: the function stays."""

from collections import Counter

import numpy as np
import pytest
import tensorflow as tf

from urfr_tf.export.dynamic_range import use_one_range_per_image
from urfr_tf.export.fold_batch_norm import fold_batch_norm
from urfr_tf.export.global_depthwise import WeightedMean, replace_global_depthwise
from urfr_tf.export.tflite import QUANTIZATIONS, convert_to_tflite, list_operators
from urfr_tf.keras2 import keras
from urfr_tf.litert import Interpreter, OpResolverType
from urfr_tf.models.mobilefacenet import mobilefacenet

SIZE = 64
IMAGES = np.random.default_rng(2).uniform(0, 255, [4, SIZE, SIZE, 3]).astype(np.float32)


@pytest.fixture(scope="module")
def network():
    """A narrow MobileFaceNet on pixels, whose batch norms and slopes are drawn at random."""
    keras.utils.set_random_seed(5)
    image = keras.Input([SIZE, SIZE, 3], name="image")
    pixels = keras.layers.Rescaling(1 / 128, offset=-127.5 / 128)(image)
    features = keras.layers.Flatten()(mobilefacenet(pixels, width=0.25))
    network = keras.Model({"image": image}, {"embedding": features})
    random = np.random.default_rng(0)
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.gamma.assign(random.uniform(0.5, 1.5, layer.gamma.shape))
            layer.beta.assign(random.normal(0, 0.3, layer.beta.shape))
    return network


@pytest.fixture(scope="module")
def files(network):
    return {quantize: convert_to_tflite(network, {}, quantize, IMAGES) for quantize in QUANTIZATIONS}


def interpreter(content, batch=1):
    """Without delegates: every operator and its types can be seen."""
    kind = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    made = Interpreter(model_content=content, experimental_op_resolver_type=kind)
    made.resize_tensor_input(made.get_input_details()[0]["index"], [batch, SIZE, SIZE, 3])
    made.allocate_tensors()
    return made


def embeddings(content):
    runner = interpreter(content, len(IMAGES)).get_signature_runner("serving_default")
    return runner(image=IMAGES)["embedding"].astype(np.float64)


def cosines(a, b):
    return np.sum(a * b, axis=1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))


def test_a_weighted_mean_is_the_depthwise_convolution():
    random = np.random.default_rng(1)
    x, kernel, bias = (random.normal(size=shape) for shape in ([2, 3, 5, 4], [3, 5, 4], [4]))
    # A valid convolution with a filter of the map's size has one place: sum over h and w, channels apart.
    oracle = np.einsum("bhwc,hwc->bc", x, kernel)[:, None, None] + bias
    layer = WeightedMean(kernel, bias)
    np.testing.assert_allclose(layer(x.astype(np.float32)), oracle, atol=1e-5)
    copy = WeightedMean.from_config(layer.get_config())
    np.testing.assert_array_equal(copy(x.astype(np.float32)), layer(x.astype(np.float32)))


def test_only_the_convolution_over_the_whole_map_is_replaced(network):
    folded = fold_batch_norm(network)
    wanted = folded({"image": IMAGES})["embedding"].numpy()
    kept = [layer.name for layer in folded.layers]
    changed = replace_global_depthwise(folded)
    names = [layer.name for layer in changed.layers]
    assert [a for a, b in zip(kept, names, strict=True) if a != b] == ["global_depthwise_conv_folded"]
    found = changed({"image": IMAGES})["embedding"].numpy()
    np.testing.assert_allclose(found, wanted, atol=1e-5 * np.abs(wanted).max())


def test_a_network_without_one_is_left_as_it_is(make_network):
    folded = fold_batch_norm(make_network(keras.layers.DepthwiseConv2D(3)))
    assert replace_global_depthwise(folded) is folded


@pytest.mark.parametrize("quantize", QUANTIZATIONS)
def test_operators_and_closeness(network, files, quantize):
    ops = Counter(list_operators(files[quantize]))
    # 1 stem + 3 halving blocks + 4 + 6 + 2 residual ones are depthwise; the one over the whole map is a MEAN.
    assert (ops["DEPTHWISE_CONV_2D"], ops["MEAN"]) == (16, 1)
    # PReLU after each of them and after the convolutions before them, and after the last 1 x 1 convolution.
    assert ops["PRELU"] == 2 * 16 + 1
    wanted = network({"image": IMAGES})["embedding"].numpy().astype(np.float64)
    least = {"none": 0.999999, "float16": 0.9999, "dynamic": 0.98, "int8": 0.95}
    assert cosines(wanted, embeddings(files[quantize])).min() > least[quantize]


def test_int8_converts_only_around_its_products(files):
    run = interpreter(files["int8"])
    types = {detail["index"]: detail["dtype"] for detail in run.get_tensor_details()}
    ops = run._get_ops_details()
    products = [op for op in ops if op["op_name"] == "CONV_2D"]
    # The stem reads pixels and gives a float map; of the 2 x 15 + 1 others all are int8.
    assert [types[op["inputs"][1]] for op in products] == [np.float32] + 31 * [np.int8]
    for name in ("PAD", "PRELU", "DEPTHWISE_CONV_2D", "MUL", "MEAN"):
        found = {types[op["outputs"][0]] for op in ops if op["op_name"] == name}
        assert found == {np.float32}, name
    count = Counter(op["op_name"] for op in ops)
    # Into int8 before each of the 15 convolutions that end a block, and nowhere else: the map that the stem's
    # block gives is float, so its reader, the first block's expansion, is one more. Out of it after each
    # expansion and after the last convolution.
    assert (count["QUANTIZE"], count["DEQUANTIZE"]) == (15 + 1, 15 + 1)


def test_dynamic_ranges_are_of_an_image(files):
    run = interpreter(files["dynamic"])
    details = {detail["index"]: detail for detail in run.get_tensor_details()}
    quantised = [
        op
        for op in run._get_ops_details()
        if op["op_name"] == "CONV_2D" and details[op["inputs"][1]]["dtype"] == np.int8
    ]
    # TensorFlow Lite quantises weights of 1,024 numbers and more; the expansion of stage2 has 16 x 32.
    assert len(quantised) > 20
    for op in quantised:
        batch, rows, across, _ = details[op["inputs"][0]]["shape"]
        assert (batch, across) == (1, 1)
        assert rows == int(rows**0.5) ** 2


def test_the_rewriting_changes_no_number():
    """TensorFlow Lite's own kernel has one range an image before and after: the same integers are added."""
    random = np.random.default_rng(3)
    image = keras.Input([SIZE, SIZE, 3], name="image")
    x = keras.layers.Conv2D(32, 3, 4, padding="same")(image)
    output = keras.layers.Conv2D(48, 1)(x)
    model = keras.Model(image, output)
    model.set_weights([random.normal(0, 0.1, weight.shape) for weight in model.get_weights()])
    function = tf.function(
        lambda image: {"embedding": model(image)},
        input_signature=[tf.TensorSpec([None, SIZE, SIZE, 3], tf.float32, "image")],
    )
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    content = converter.convert()
    assert "RESHAPE" not in list_operators(content)
    changed = use_one_range_per_image(content)
    assert Counter(list_operators(changed))["RESHAPE"] == 2
    np.testing.assert_allclose(embeddings(changed), embeddings(content), rtol=1e-6, atol=1e-6)
