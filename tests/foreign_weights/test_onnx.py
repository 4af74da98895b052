"""ONNX import: goldens that PyTorch's two exporters wrote, whole networks written here, and damage."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from urfr_tf.errors import UrfrError
from urfr_tf.foreign_weights.graph import ADD, CONVOLUTION, DENSE, INPUT, NORM, PRELU
from urfr_tf.foreign_weights.onnx import read_onnx_graph
from urfr_tf.foreign_weights.onnx_schema import build_model_class

GOLDENS = Path(__file__).parent / "goldens"


def evaluate(operation, x):
    """A graph of operations on the network's own input [B, C, H, W], float64."""
    a = {name: array.astype(np.float64) for name, array in operation.arrays.items()}
    if operation.kind == INPUT:
        return x
    sources = [evaluate(source, x) for source in operation.sources]
    if operation.kind == ADD:
        return sources[0] + sources[1]
    (x,) = sources
    spread = (slice(None),) + (None,) * (x.ndim - 2)
    if operation.kind == NORM:
        scale = a["scale"] / np.sqrt(a["variance"] + operation.epsilon)
        return (x - a["mean"][spread]) * scale[spread] + a["offset"][spread]
    if operation.kind == PRELU:
        return np.where(x > 0, x, x * a["slope"][spread])
    if operation.kind == DENSE:
        return x.reshape(len(x), -1) @ a["kernel"] + a.get("bias", 0)
    assert operation.kind == CONVOLUTION
    pad, stride, side = operation.padding, operation.stride, a["kernel"].shape[0]
    x = np.pad(x, [(0, 0), (0, 0), (pad, pad), (pad, pad)])
    windows = np.lib.stride_tricks.sliding_window_view(x, (side, side), (2, 3))[:, :, ::stride, ::stride]
    depthwise = "bcyxij,ijc->bcyx" if operation.groups > 1 else "bcyxij,ijco->boyx"
    kernel = a["kernel"][:, :, 0] if operation.groups > 1 else a["kernel"]
    out = np.einsum(depthwise, windows, kernel)
    return out + a["bias"][:, None, None] if "bias" in a else out


@pytest.mark.parametrize("golden", ["tiny_legacy.onnx", "tiny_dynamo.onnx"])
def test_exported_by_pytorch(golden):
    """The legacy exporter keeps the last batch norm; the other folds it, and keeps weights in a second
    file.
    """
    output, unused, input_size = read_onnx_graph(GOLDENS / golden)
    known = np.load(GOLDENS / "tiny.npz")
    np.testing.assert_allclose(evaluate(output, known["image"]), known["output"], rtol=1e-4, atol=1e-5)
    assert (unused, input_size) == ([], 8)


class Network:
    """Writes an ONNX file node by node."""

    def __init__(self, size=64):
        self.model = build_model_class()(ir_version=8)
        self.graph = self.model.graph
        image = self.graph.input.add(name="data")
        image.type.tensor_type.elem_type = 1
        for side in (None, 3, size, size):
            image.type.tensor_type.shape.dim.add(**({"dim_value": side} if side else {"dim_param": "batch"}))

    def constant(self, name, array):
        array = np.asarray(array)
        kind = {"float32": 1, "float16": 10, "int64": 7, "float64": 11}[array.dtype.name]
        self.graph.initializer.add(name=name, dims=array.shape, data_type=kind, raw_data=array.tobytes())
        return name

    def node(self, kind, inputs, **attributes):
        name = f"{kind}{len(self.graph.node)}"
        node = self.graph.node.add(op_type=kind, name=name, input=inputs, output=[name])
        for key, value in attributes.items():
            field = {int: "i", float: "f", bytes: "s"}.get(type(value))
            node.attribute.add(name=key, **({field: value} if field else {"ints": value}))
        return name

    def save(self, path, last):
        self.graph.output.add(name=last)
        path.write_bytes(self.model.SerializeToString())
        return path


def iresnet(state, x, network):
    """The network of arcface_torch's names, node by node; returns the embedding's name."""

    def put(name):
        return network.constant(name, state[name])

    def norm(name, x):
        inputs = [put(f"{name}.{kind}") for kind in ("weight", "bias", "running_mean", "running_var")]
        return network.node("BatchNormalization", [x, *inputs], epsilon=1e-5)

    def conv(name, x, stride=1):
        side = state[f"{name}.weight"].shape[-1]
        pads = [side // 2] * 4
        return network.node("Conv", [x, put(f"{name}.weight")], strides=[stride] * 2, pads=pads, group=1)

    def prelu(name, x):
        slope = network.constant(name, state[f"{name}.weight"][:, None, None])
        return network.node("PRelu", [x, slope])

    x = prelu("prelu", norm("bn1", conv("conv1", x)))
    for stage, stride in [(stage, stride) for stage in (1, 2, 3, 4) for stride in (2, 1)]:
        unit = f"layer{stage}.{2 - stride}"
        shortcut = x
        if f"{unit}.downsample.0.weight" in state:
            shortcut = norm(f"{unit}.downsample.1", conv(f"{unit}.downsample.0", x, stride))
        elif stride == 2:
            shortcut = network.node("MaxPool", [x], kernel_shape=[1, 1], strides=[2, 2])
        x = norm(f"{unit}.bn2", conv(f"{unit}.conv1", norm(f"{unit}.bn1", x)))
        x = norm(f"{unit}.bn3", conv(f"{unit}.conv2", prelu(f"{unit}.prelu", x), stride))
        x = network.node("Add", [shortcut, x])
    x = network.node("Flatten", [norm("bn2", x)], axis=1)
    x = network.node("MatMul", [x, network.constant("fc.weight", state["fc.weight"].T.copy())])
    return norm("features", network.node("Add", [x, put("fc.bias")]))


@pytest.mark.parametrize("form", ["plain", "normalises", "unit length", "max pooling"])
def test_whole_network(tmp_path, iresnet_state, pictures, run_iresnet, embed_with, worst_cosine, form):
    """arcface_torch's exports want (x - 127.5) / 127.5; InsightFace's older ones subtract and multiply
    inside.
    """
    state, network, x = dict(iresnet_state), Network(), "data"
    seen = (pictures.transpose(0, 3, 1, 2) - 127.5) / 127.5
    if form == "normalises":
        x = network.node("Sub", [x, network.constant("mean", np.full((1, 3, 1, 1), 127.5, np.float32))])
        x = network.node("Mul", [x, network.constant("scale", np.float32(1 / 64))])
        seen = (pictures.transpose(0, 3, 1, 2) - 127.5) / 64
    if form == "max pooling":
        state = {name: t for name, t in state.items() if not name.startswith("layer1.0.downsample")}
    last = iresnet(state, x, network)
    if form == "unit length":
        last = network.node("Div", [last, network.node("ReduceL2", [last], axes=[1], keepdims=1)])
    output, unused, size = read_onnx_graph(network.save(tmp_path / "a.onnx", last))
    assert (unused, size) == ([], 64)
    theirs = run_iresnet(state, seen)
    assert worst_cosine(embed_with(output, pictures, input_size=size), theirs) > 0.99999


def test_tensors_in_every_place(tmp_path):
    """Halves as raw bytes and as integers of bits, doubles as a list: 1 / 4 is exact in all."""
    network = Network()
    kernel = np.full((4, 3, 1, 1), 0.25, np.float16)
    network.constant("raw", kernel)
    network.graph.initializer.add(name="bits", dims=kernel.shape, data_type=10, int32_data=[0x3400] * 12)
    network.graph.initializer.add(name="list", dims=kernel.shape, data_type=11, double_data=[0.25] * 12)
    network.graph.initializer.add(name="floats", dims=kernel.shape, data_type=1, float_data=[0.25] * 12)
    for name in ("raw", "bits", "list", "floats"):
        last = network.node("Conv", ["data", name])
        path = tmp_path / f"{name}.onnx"
        del network.graph.output[:]
        output, _, _ = read_onnx_graph(network.save(path, last))
        np.testing.assert_array_equal(
            output.arrays["kernel"], np.full((1, 1, 3, 4), 0.25, np.float32), strict=True
        )


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda n: n.node("Relu", ["data"]), "Relu Relu0 .* has no counterpart"),
        (lambda n: n.node("Conv", ["data", "nowhere"]), "needs .*nowhere.*, which"),
        (
            lambda n: n.node("Conv", ["data", n.constant("k", np.zeros((2, 3), "f4"))]),
            "unexpected weights of Conv",
        ),
        (lambda n: n.node("Conv", ["data"]), "unexpected weights of Conv"),
        (
            lambda n: n.node(
                "Conv", ["data", n.constant("k", np.zeros((2, 3, 1, 1), "f4"))], pads=[0, 0, 1, 1]
            ),
            "plain, square convolution",
        ),
        (
            lambda n: n.node(
                "Conv", ["data", n.constant("k", np.zeros((2, 3, 1, 1), "f4"))], auto_pad=b"SAME_UPPER"
            ),
            "plain, square convolution",
        ),
        (
            lambda n: n.node("Gemm", ["data", n.constant("k", np.zeros((2, 3), "f4"))], alpha=0.5),
            "plain dense layer",
        ),
        (
            lambda n: n.node("MaxPool", ["data"], kernel_shape=[3, 3], strides=[2, 2]),
            "MaxPool.* no counterpart",
        ),
        (lambda n: n.node("Shape", ["data"]), "is no result of a layer"),
        (lambda n: n.node("Div", [n.constant("one", np.ones(3, "f4")), "data"]), "Div.* no counterpart"),
        (
            lambda n: n.graph.initializer.add(name="t", dims=[2**40], data_type=1, raw_data=b"1234").name,
            "1 values",
        ),
        (
            lambda n: n.graph.initializer.add(name="t", dims=[-1], data_type=1).name,
            "weights of a network do not",
        ),
        (
            lambda n: n.graph.initializer.add(name="t", dims=[1], data_type=8).name,
            "weights of a network do not",
        ),
        (
            lambda n: n.graph.initializer.add(name="t", dims=[1], data_type=1, raw_data=b"123").name,
            "cut short",
        ),
    ],
)
def test_networks_that_do_not_fit(tmp_path, build, message):
    network = Network()
    last = build(network)
    if not network.graph.node:
        last = network.node("Conv", ["data", last])
    with pytest.raises(UrfrError, match=message):
        read_onnx_graph(network.save(tmp_path / "a.onnx", last))


def save_external(folder, **entries):
    """A network whose one kernel, 48 bytes, lies in another file."""
    network = Network()
    tensor = network.graph.initializer.add(name="k", dims=(4, 3, 1, 1), data_type=1, data_location=1)
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)
    folder.mkdir(exist_ok=True)
    return network.save(folder / "a.onnx", network.node("Conv", ["data", "k"]))


@pytest.mark.parametrize(
    "location", ["../secret", "/etc/passwd", "", ".", "..", "sub/k", "k\0", "missing.data"]
)
def test_external_data_stay_in_the_folder(tmp_path, location):
    (tmp_path / "secret").write_bytes(b"\0" * 48)
    with pytest.raises(UrfrError, match=r"expected the plain name|could not read .*missing\.data"):
        read_onnx_graph(save_external(tmp_path / "net", location=location))


@pytest.mark.parametrize("target", ["../secret", "/dev/zero", "link", "self", "nowhere", "."])
def test_external_data_behind_a_link(tmp_path, target):
    """Out of the folder, to a device, over another link, in a circle, to nothing, to the folder itself."""
    (tmp_path / "secret").write_bytes(b"\0" * 48)
    path = save_external(tmp_path / "net", location="self")
    (path.parent / "link").symlink_to("../secret")
    (path.parent / "self").symlink_to(target)
    with pytest.raises(UrfrError, match=r"it is a link to|could not read .*self, which|but it is none"):
        read_onnx_graph(path)


def test_external_data_in_a_pipe(tmp_path):
    path = save_external(tmp_path / "net", location="pipe")
    os.mkfifo(path.parent / "pipe")
    with pytest.raises(UrfrError, match="expected a file at .*pipe"):
        read_onnx_graph(path)


def test_external_data_in_a_cache_of_downloads(tmp_path):
    """There the model and its data are links into one folder of blobs; another folder is still refused."""
    blobs = tmp_path / "blobs"
    path = save_external(blobs, location="k.data")
    path.rename(blobs / "1234")
    (blobs / "5678").write_bytes(np.arange(12, dtype="<f4").tobytes())
    cache = tmp_path / "snapshot"
    cache.mkdir()
    (cache / "a.onnx").symlink_to("../blobs/1234")
    (cache / "k.data").symlink_to("../blobs/5678")
    output, _, _ = read_onnx_graph(cache / "a.onnx")
    assert output.arrays["kernel"].ravel()[0] == 0 and output.arrays["kernel"].size == 12
    (cache / "k.data").unlink()
    (tmp_path / "secret").write_bytes(b"\0" * 48)
    (cache / "k.data").symlink_to("../secret")
    with pytest.raises(UrfrError, match="it is a link to"):
        read_onnx_graph(cache / "a.onnx")


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"offset": "1"}, "is cut short"),
        ({"offset": "-1"}, "offset and length"),
        ({"offset": "9" * 5000}, "offset and length"),
        ({"offset": "99999999999999999"}, "is cut short"),
        ({"offset": "\N{SUPERSCRIPT TWO}"}, "offset and length"),
        ({"offset": ""}, "offset and length"),
        ({"length": "47"}, "expected 48 bytes"),
        ({"length": "4800000000"}, "expected 48 bytes"),
        ({"length": "x"}, "offset and length"),
    ],
)
def test_external_data_of_another_size(tmp_path, entries, words):
    path = save_external(tmp_path, location="k.data", **entries)
    (tmp_path / "k.data").write_bytes(b"\0" * 48)
    with pytest.raises(UrfrError, match=words):
        read_onnx_graph(path)


def test_external_data_cut_short(tmp_path):
    for name in ("tiny_dynamo.onnx", "tiny_dynamo.onnx.data"):
        shutil.copy(GOLDENS / name, tmp_path)
    data = tmp_path / "tiny_dynamo.onnx.data"
    data.write_bytes(data.read_bytes()[:-8])
    with pytest.raises(UrfrError, match="is cut short"):
        read_onnx_graph(tmp_path / "tiny_dynamo.onnx")


def test_damage_never_raises_anything_else(tmp_path):
    content = (GOLDENS / "tiny_legacy.onnx").read_bytes()
    random, path = np.random.default_rng(0), tmp_path / "a.onnx"
    path.write_bytes(b"")
    with pytest.raises(UrfrError, match="no layers or no output"):
        read_onnx_graph(path)
    for length in range(1, len(content), 61):
        path.write_bytes(content[:length])
        with pytest.raises(UrfrError):
            read_onnx_graph(path)
    for _ in range(300):
        changed = bytearray(content)
        for place in random.integers(0, len(content), 3):
            changed[place] = random.integers(0, 256)
        path.write_bytes(changed)
        try:
            read_onnx_graph(path)
        except UrfrError as error:
            assert str(path) in str(error)
