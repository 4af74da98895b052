"""TFLite files: operators, batches, formats, card; and files that were cut or bent."""

from collections import Counter

import numpy as np
import pytest
import tensorflow as tf

import urfr_tf
from urfr_tf.errors import UrfrError
from urfr_tf.export.parity import measure_parity
from urfr_tf.export.tflite import QUANTIZATIONS, convert_to_tflite, list_operators
from urfr_tf.keras2 import keras
from urfr_tf.litert import Interpreter, OpResolverType
from urfr_tf.runs.tflite_file import add_card, read_tflite


@pytest.fixture(scope="module")
def files(network, card, images, tmp_path_factory):
    """Quantisation -> path of the converted file."""
    folder = tmp_path_factory.mktemp("tflite")
    paths = {}
    for quantize in QUANTIZATIONS:
        paths[quantize] = folder / f"{quantize}.tflite"
        paths[quantize].write_bytes(convert_to_tflite(network, card, quantize, images.astype(np.float32)))
    return paths


def test_float_operators_are_builtin_and_prelu_is_one(files):
    ops = Counter(list_operators(files["none"].read_bytes()))
    # Two convolutions with folded batch norms, each followed by one PReLU; two fully connected heads.
    assert (ops["CONV_2D"], ops["PRELU"], ops["FULLY_CONNECTED"], ops["EXP"]) == (2, 2, 2, 1)
    assert set(ops) <= {
        "ADD",
        "CONV_2D",
        "DIV",
        "EXP",
        "FULLY_CONNECTED",
        "L2_NORMALIZATION",
        "MAXIMUM",
        "MEAN",
        "MINIMUM",
        "MUL",
        "PRELU",
        "RELU",
        "RESHAPE",
        "RSQRT",
        "SQUARE",
    }


def test_int8_has_only_what_xnnpack_has_in_int8(files):
    ops = Counter(list_operators(files["int8"].read_bytes()))
    # PReLU is a product, whose max(., 0) is fused, and a sum. The product and sum that normalise the pixels
    # stay in float, and so the converter folds them into the convolution, which does not pad.
    assert (ops["PRELU"], ops["MAXIMUM"], ops["ADD"]) == (0, 0, 2)
    assert list_operators(files["int8"].read_bytes())[:2] == ["QUANTIZE", "CONV_2D"]


def test_int8_keeps_prelu_beside_depthwise_convolutions_in_float(make_network, images):
    network = make_network(keras.layers.DepthwiseConv2D(3))
    content = convert_to_tflite(network, {}, "int8", images.astype(np.float32))
    interpreter = Interpreter(
        model_content=content,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    types = {detail["index"]: detail["dtype"] for detail in interpreter.get_tensor_details()}
    kernels = [
        (op["op_name"], types[op["inputs"][1]])
        for op in interpreter._get_ops_details()
        if op["op_name"] in ("CONV_2D", "DEPTHWISE_CONV_2D", "PRELU")
    ]
    conv, prelu = ("CONV_2D", np.int8), ("PRELU", np.float32)
    # The first convolution reads pixels, and only a float operator reads it.
    stem = ("CONV_2D", np.float32)
    assert kernels == [stem, prelu, conv, prelu, ("DEPTHWISE_CONV_2D", np.float32)]


@pytest.mark.parametrize("quantize", QUANTIZATIONS)
def test_no_format_needs_flex(files, quantize):
    assert not [
        op for op in list_operators(files[quantize].read_bytes()) if "FLEX" in op.upper() or op == "CUSTOM"
    ]


@pytest.mark.parametrize("quantize", QUANTIZATIONS)
def test_confidence_is_computed_in_float(files, quantize):
    interpreter = Interpreter(
        str(files[quantize]),
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    types = {detail["index"]: detail["dtype"] for detail in interpreter.get_tensor_details()}
    exp = [
        op for op in interpreter._get_ops_details() if op["op_name"] in ("EXP", "L2_NORMALIZATION", "RSQRT")
    ]
    assert len(exp) == 3
    assert {types[index] for op in exp for index in (*op["inputs"], *op["outputs"])} == {np.float32}


@pytest.mark.parametrize("quantize", QUANTIZATIONS)
def test_batches_by_resize(files, quantize, images, expected, card):
    model = urfr_tf.load(files[quantize])
    assert (model.kind, model.input_size, model.groups, model.dim) == ("tflite", 32, 4, 16)
    assert model.card == {**card, "quantize": quantize}
    together = model(images)
    # Worst of 24 random sub-embeddings of four numbers each: far harder than a trained network.
    limits = {"none": (0.99999, 1e-5), "float16": (0.999, 1e-2), "dynamic": (0.97, 0.1), "int8": (0.9, 0.2)}
    measured = measure_parity(expected, together)
    assert measured["worst_cosine"] > limits[quantize][0]
    assert measured["worst_confidence_error"] < limits[quantize][1]
    for i in (0, 3):
        alone = model(images[i : i + 1])
        for name, value in alone.items():
            assert value.shape == (1, *together[name].shape[1:])
        if quantize != "dynamic":  # whose activations are quantised over the batch
            np.testing.assert_allclose(alone["embedding"][0], together["embedding"][i], atol=1e-5)


def test_quantized_files_are_smaller(files):
    size = {quantize: path.stat().st_size for quantize, path in files.items()}
    assert size["float16"] < size["none"]


def test_int8_needs_images(network, card):
    with pytest.raises(UrfrError, match="needs images"):
        convert_to_tflite(network, card, "int8")


def test_operators_that_tflite_has_not_are_named(make_network, card):
    network = make_network(keras.layers.Lambda(tf.math.erf))
    with pytest.raises(UrfrError, match=r"tf\.Erf"):
        convert_to_tflite(network, card)


def test_card_is_replaced_not_added(files, images):
    content = add_card(files["none"].read_bytes(), {"name": "other ü"})
    content = add_card(content, {"name": "third ü"})
    path = files["none"].with_name("third.tflite")
    path.write_bytes(content)
    assert urfr_tf.load(path).card == {"name": "third ü"}
    np.testing.assert_array_equal(
        urfr_tf.load(path)(images)["embedding"], urfr_tf.load(files["none"])(images)["embedding"]
    )


def test_cut_files_never_reach_the_interpreter(files, tmp_path):
    whole = files["none"].read_bytes()
    path = tmp_path / "cut.tflite"
    for share in (0.01, 0.2, 0.5, 0.9, 0.999):
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(UrfrError, match=r"truncated or damaged|does not start like one"):
            urfr_tf.load(path)


def test_a_foreign_model_is_refused(tmp_path):
    @tf.function(input_signature=[tf.TensorSpec([1, 4], tf.float32)])
    def double(x):
        return {"y": 2 * x}

    path = tmp_path / "foreign.tflite"
    converter = tf.lite.TFLiteConverter.from_concrete_functions([double.get_concrete_function()], tf.Module())
    path.write_bytes(converter.convert())
    assert read_tflite(path)[1] == {}
    with pytest.raises(UrfrError, match="signature serving_default of urfr export"):
        urfr_tf.load(path)
