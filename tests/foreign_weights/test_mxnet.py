"""MXNet import: the same embeddings as a NumPy interpreter of the symbol file, and damage is told apart."""

import json
import shutil
import struct

import numpy as np
import pytest

from urfr_tf.errors import UrfrError
from urfr_tf.foreign_weights.mxnet import read_mxnet_graph
from urfr_tf.foreign_weights.mxnet_params import read_params
from urfr_tf.runs.import_weights import import_weights


class Symbol:
    """Writes a network in MXNet's two files, with random weights; names are those of InsightFace's kind."""

    def __init__(self, seed=0):
        self.random = np.random.default_rng(seed)
        self.nodes = []
        self.arrays = {}

    def node(self, op, name, inputs, **attributes):
        attributes = {key: str(value) for key, value in attributes.items()}
        self.nodes.append(
            {"op": op, "name": name, "attrs": attributes, "inputs": [[i, 0, 0] for i in inputs]}
        )
        return len(self.nodes) - 1

    def weight(self, name, array, kind="arg"):
        self.arrays[f"{kind}:{name}"] = np.asarray(array, np.float32)
        return self.node("null", name, [])

    def image(self):
        x = self.node("null", "data", [])
        x = self.node("_minus_scalar", "minus", [x], scalar=127.5)
        return self.node("_mul_scalar", "mul", [x], scalar=0.0078125)

    def conv(self, x, name, channels, kernel, stride=1, pad=0, groups=1, prelu=True):
        inside, outside = channels
        shape = (outside, inside // groups, kernel, kernel)
        weight = self.weight(f"{name}_weight", self.random.normal(0, (2 / np.prod(shape[1:])) ** 0.5, shape))
        settings = {"kernel": (kernel,) * 2, "stride": (stride,) * 2, "pad": (pad,) * 2, "num_group": groups}
        x = self.node("Convolution", name, [x, weight], no_bias=True, num_filter=outside, **settings)
        x = self.norm(x, f"{name}_bn", outside, fix_gamma=False)
        if not prelu:
            return x
        slope = self.weight(f"{name}_relu_gamma", self.random.uniform(-0.2, 0.5, outside))
        return self.node("LeakyReLU", f"{name}_relu", [x, slope], act_type="prelu")

    def norm(self, x, name, channels, **settings):
        random = self.random
        inputs = [
            self.weight(f"{name}_gamma", random.uniform(0.5, 1.5, channels)),
            self.weight(f"{name}_beta", random.normal(0, 0.2, channels)),
            self.weight(f"{name}_moving_mean", random.normal(0, 0.2, channels), "aux"),
            self.weight(f"{name}_moving_var", random.uniform(0.3, 2, channels), "aux"),
        ]
        return self.node("BatchNorm", name, [x, *inputs], **settings)

    def mobilefacenet(self):
        """Width 1/8, 64 px: the last map is 4 x 4."""
        x = self.conv(self.image(), "conv1", (3, 8), 3, 2, 1)
        x = self.conv(x, "dw1", (8, 8), 3, 1, 1, groups=8)
        before = 8
        for stage, halve, between, blocks, inside in (
            (2, 16, 8, 4, 16),
            (3, 32, 16, 6, 32),
            (4, 64, 16, 2, 32),
        ):
            for block in range(blocks + 1):
                name, width, stride = (
                    f"s{stage}b{block}",
                    halve if block == 0 else inside,
                    2 if block == 0 else 1,
                )
                y = self.conv(x, f"{name}_sep", (before, width), 1)
                y = self.conv(y, f"{name}_dw", (width, width), 3, stride, 1, groups=width)
                y = self.conv(y, f"{name}_proj", (width, between), 1, prelu=False)
                x = y if block == 0 else self.node("elemwise_add", f"{name}_plus", [y, x])
                before = between
        x = self.conv(x, "conv6", (16, 64), 1)
        return self.conv(x, "conv6dw", (64, 64), 4, groups=64, prelu=False), 64

    def head(self, x, features, dim=24):
        weight = self.weight("fc1_weight", self.random.normal(0, features**-0.5, (dim, features)))
        bias = self.weight("fc1_bias", self.random.normal(0, 0.2, dim))
        x = self.node("FullyConnected", "pre_fc1", [x, weight, bias], num_hidden=dim)
        return self.norm(x, "fc1", dim, eps=2e-5, fix_gamma=True)

    def save(self, folder, last):
        symbol = {"nodes": self.nodes, "arg_nodes": [], "heads": [[last, 0, 0]]}
        (folder / "net-symbol.json").write_text(json.dumps(symbol))
        (folder / "net-0000.params").write_bytes(params_bytes(self.arrays))
        return folder / "net-0000.params"


def params_bytes(arrays):
    """MXNet's NDArray list, version 2."""
    content = struct.pack("<QQQ", 0x112, 0, len(arrays))
    for array in arrays.values():
        content += struct.pack("<IiI", 0xF993FAC9, 0, array.ndim) + struct.pack(
            f"<{array.ndim}q", *array.shape
        )
        content += struct.pack("<iii", 1, 0, 0) + array.astype("<f4").tobytes()
    content += struct.pack("<Q", len(arrays))
    for name in arrays:
        content += struct.pack("<Q", len(name)) + name.encode()
    return content


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    symbol = Symbol()
    return symbol.save(tmp_path_factory.mktemp("mxnet"), symbol.head(*symbol.mobilefacenet()))


def test_real_network_on_real_faces(real_params, faces, run_symbol, embed_with, worst_cosine):
    """InsightFace's own weights, four photographs: the interpreter computes in float64, ours in float32."""
    symbol = real_params.with_name("insightface_mobilefacenet-symbol.json")
    output, unused = read_mxnet_graph(real_params)
    ours = embed_with(output, faces)
    theirs = run_symbol(symbol, real_params, faces)
    assert unused == []
    assert ours.shape == (4, 128)
    assert worst_cosine(ours, theirs) > 0.99999


def test_small_network_needs_no_file_of_others(small, pictures, run_symbol, embed_with, worst_cosine):
    theirs = run_symbol(small.with_name("net-symbol.json"), small, pictures)
    assert worst_cosine(embed_with(read_mxnet_graph(small)[0], pictures), theirs) > 0.99999
    # The pictures are told apart, so the cosines above say something.
    assert worst_cosine(theirs[:1] / np.linalg.norm(theirs[0]), theirs[1:]) < 0.99


def test_pixels_of_a_symbol_are_its_own(tmp_path, small):
    """Its subtraction and multiplication count; a symbol without them is a question."""
    with pytest.raises(UrfrError, match="it holds its normalization, which is centered"):
        import_weights("insightface", str(small), tmp_path / "run", pixels="0..1")
    symbol = Symbol()
    symbol.image = lambda: symbol.node("null", "data", [])
    raw = str(symbol.save(tmp_path, symbol.head(*symbol.mobilefacenet())))
    with pytest.raises(UrfrError, match="the file does not say what the network makes of pixels"):
        import_weights("insightface", raw, tmp_path / "run")
    assert import_weights("insightface", raw, tmp_path / "run", pixels="0..255")["zero_pixel"] == "black"


def test_iresnet_of_mxnet(
    tmp_path, iresnet_state, pictures, run_symbol, run_iresnet, embed_with, worst_cosine
):
    """An LResNet-E-IR symbol, whose dense layer flattens a 4 x 4 map; the interpreter is checked too."""
    symbol = Symbol()
    names = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_var"}

    def norm(x, name):
        inputs = [
            symbol.weight(f"{name}_{new}", iresnet_state[f"{name}.{old}"]) for old, new in names.items()
        ]
        return symbol.node("BatchNorm", name, [x, *inputs], fix_gamma=False, eps=1e-5)

    def conv(x, name, stride=1):
        weight = iresnet_state[f"{name}.weight"]
        pair = (weight.shape[-1],) * 2
        settings = {"kernel": pair, "stride": (stride,) * 2, "pad": tuple(side // 2 for side in pair)}
        x = [x, symbol.weight(f"{name}_weight", weight)]
        return symbol.node("Convolution", name, x, no_bias=True, num_filter=len(weight), **settings)

    def prelu(x, name):
        slope = symbol.weight(f"{name}_gamma", iresnet_state[f"{name}.weight"])
        return symbol.node("LeakyReLU", name, [x, slope], act_type="prelu")

    x = prelu(norm(conv(symbol.image(), "conv1"), "bn1"), "prelu")
    for unit, stride in [
        (f"layer{stage}.{number}", 2 - number) for stage in (1, 2, 3, 4) for number in (0, 1)
    ]:
        y = prelu(norm(conv(norm(x, f"{unit}.bn1"), f"{unit}.conv1"), f"{unit}.bn2"), f"{unit}.prelu")
        y = norm(conv(y, f"{unit}.conv2", stride), f"{unit}.bn3")
        if stride == 2:
            x = norm(conv(x, f"{unit}.downsample.0", 2), f"{unit}.downsample.1")
        x = symbol.node("elemwise_add", unit, [x, y])
    weights = [symbol.weight(f"fc_{kind}", iresnet_state[f"fc.{kind}"]) for kind in ("weight", "bias")]
    x = symbol.node("FullyConnected", "fc", [norm(x, "bn2"), *weights], num_hidden=24)
    params = symbol.save(tmp_path, norm(x, "features"))

    theirs = run_symbol(tmp_path / "net-symbol.json", params, pictures)
    seen = (pictures.transpose(0, 3, 1, 2) - 127.5) / 128
    np.testing.assert_allclose(theirs, run_iresnet(iresnet_state, seen), rtol=1e-9, atol=1e-9)
    assert worst_cosine(embed_with(read_mxnet_graph(params)[0], pictures), theirs) > 0.99999


def test_arrays_of_every_type_and_version(tmp_path):
    """Written by hand: version 1, version 2 and the oldest (32-bit sizes), in each number type."""
    types = ["<f4", "<f8", "<f2", "u1", "<i4", "i1", "<i8"]
    content, names = struct.pack("<QQQ", 0x112, 0, 9), [f"arg:a{i}" for i in range(9)]
    for number, kind in [*enumerate(types), (0, "<f4"), (0, "<f4")]:
        place = content.count(struct.pack("<iii", 1, 0, 0)) if kind == "<f4" else 0
        header = struct.pack("<Iiiqq", 0xF993FAC9, 0, 2, 2, 3)
        if place == 1:
            header = struct.pack("<Iiqq", 0xF993FAC8, 2, 2, 3)
        elif place == 2:
            header = struct.pack("<III", 2, 2, 3)
        content += header + struct.pack("<iii", 1, 0, number) + np.arange(6).astype(kind).tobytes()
    content += struct.pack("<Q", 9) + b"".join(struct.pack("<Q", len(n)) + n.encode() for n in names)
    path = tmp_path / "a-0000.params"
    path.write_bytes(content)
    arrays = read_params(path)
    assert list(arrays) == names
    assert [a.dtype for a in arrays.values()] == [np.dtype(k) for k in [*types, "<f4", "<f4"]]
    for array in arrays.values():
        assert array.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_cut_short_anywhere_is_one_sentence(tmp_path):
    content = params_bytes({"arg:a": np.zeros((2, 3), np.float32), "aux:b": np.zeros(4, np.float32)})
    path = tmp_path / "a-0000.params"
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(UrfrError, match=r"cut short|expected"):
            read_params(path)
    path.write_bytes(content + b"x")
    with pytest.raises(UrfrError, match="1 bytes after its end"):
        read_params(path)


def test_sizes_of_a_hostile_file_are_not_believed(tmp_path):
    """A header may promise 2^62 arrays, or one array of 2^40 x 2^40; no memory is asked for."""
    path = tmp_path / "a-0000.params"
    shape = (
        struct.pack("<IiI", 0xF993FAC9, 0, 2)
        + struct.pack("<qq", 2**40, 2**40)
        + struct.pack("<iii", 1, 0, 0)
    )
    for content in (struct.pack("<QQQ", 0x112, 0, 2**62), struct.pack("<QQQ", 0x112, 0, 1) + shape):
        path.write_bytes(content)
        with pytest.raises(UrfrError, match="cut short or damaged"):
            read_params(path)


def test_random_damage_never_raises_anything_else(tmp_path):
    good = params_bytes({"arg:a": np.ones((2, 3), np.float32), "aux:b": np.ones(4, np.float32)})
    random, path, refused = np.random.default_rng(0), tmp_path / "a-0000.params", 0
    for _ in range(300):
        content = bytearray(good)
        for place in random.integers(0, len(good), 3):
            content[place] = random.integers(0, 256)
        path.write_bytes(content)
        try:
            read_params(path)
        except UrfrError:
            refused += 1
    assert refused > 100


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s["nodes"].clear(), "expected a list of nodes"),
        (lambda s: s.update(heads=[[10**6, 0, 0]]), "expected a node's number below"),
        (lambda s: s.update(heads=[]), "the output's node under heads"),
        (lambda s: s["nodes"][-1].update(op="SoftmaxOutput"), "SoftmaxOutput fc1 .* has no counterpart"),
        (lambda s: s["nodes"][-1].pop("inputs"), "lacks op, name, inputs"),
        (lambda s: s["nodes"][-1].update(inputs=[[-1, 0, 0]]), "expected a node's number below"),
        (
            lambda s: s["nodes"][1]["attrs"].update(scalar="__import__('os')"),
            "setting scalar .* cannot be",
        ),
        (lambda s: s["nodes"][3].update(name="lost"), "lost of .* is not in the .params file"),
        (lambda s: s["nodes"][4]["attrs"].update(stride="(2, 1)"), "two equal integers for stride"),
        (
            lambda s: s["nodes"][1]["attrs"].update(scalar="100"),
            "expected a network that sees 127.5, black",
        ),
    ],
)
def test_symbols_that_do_not_fit(small, tmp_path, embed_with, pictures, change, message):
    symbol = json.loads(small.with_name("net-symbol.json").read_text())
    change(symbol)
    (tmp_path / "net-symbol.json").write_text(json.dumps(symbol))
    params = tmp_path / "net-0000.params"
    params.write_bytes(small.read_bytes())
    with pytest.raises(UrfrError, match=message):
        embed_with(read_mxnet_graph(params)[0], pictures)


def test_the_symbol_must_be_in_the_same_folder(tmp_path, small):
    with pytest.raises(UrfrError, match=r"expected a file named NAME-0000\.params"):
        read_mxnet_graph(tmp_path / "net.params")
    alone = tmp_path / "net-0000.params"
    alone.write_bytes(small.read_bytes())
    with pytest.raises(UrfrError, match=r"net-symbol\.json, next to net-0000\.params, but there is none"):
        read_mxnet_graph(alone)


def test_a_symbol_that_is_a_link_out_of_the_folder(tmp_path, small):
    (tmp_path / "net").mkdir()
    shutil.copy(small, tmp_path / "net" / "net-0000.params")
    shutil.copy(small.with_name("net-symbol.json"), tmp_path / "private.json")
    (tmp_path / "net" / "net-symbol.json").symlink_to("../private.json")
    with pytest.raises(UrfrError, match=r"net-symbol\.json.*it is a link to"):
        read_mxnet_graph(tmp_path / "net" / "net-0000.params")
