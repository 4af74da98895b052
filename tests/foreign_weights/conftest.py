"""A NumPy interpreter of MXNet's symbol files, independent of the package: the oracle of imports."""

import ast
import functools
import json
import struct
from pathlib import Path

import numpy as np
import pytest
from paths import SHARED


@pytest.fixture(scope="session")
def real_params():
    """The real MobileFaceNet of InsightFace, where it is at hand."""
    path = SHARED / "weights" / "insightface_mobilefacenet-0000.params"
    if not path.exists():
        pytest.skip(f"needs the weights in {path}")
    return path


@pytest.fixture(scope="session")
def faces():
    """Four photographs of faces [4, 112, 112, 3] uint8, cut from the middle of LFW images."""
    import tarfile

    import cv2

    path = SHARED / "data" / "lfw.tar"
    if not path.exists():
        pytest.skip(f"needs the photographs in {path}")
    images = []
    with tarfile.open(path) as tar:
        for member in tar:
            if member.name.endswith(".jpg"):
                content = np.frombuffer(tar.extractfile(member).read(), np.uint8)
                bgr = cv2.imdecode(content, cv2.IMREAD_COLOR)
                images.append(cv2.resize(bgr[60:190, 60:190, ::-1], (112, 112)))
            if len(images) == 4:
                return np.stack(images)
    raise AssertionError(path)


@pytest.fixture(scope="session")
def run_symbol():
    """(-symbol.json, -0000.params, pixels [B, S, S, 3]) -> the network's output, float64."""
    return _run_symbol


def _run_symbol(symbol_path, params_path, pixels):
    symbol = json.loads(Path(symbol_path).read_text())
    arrays = {name.split(":")[1]: array for name, array in _trusting_params(params_path).items()}
    values = []
    for node in symbol["nodes"]:
        if node["op"] == "null":
            is_image = node["name"] == "data"
            values.append(
                pixels.transpose(0, 3, 1, 2).astype(np.float64) if is_image else arrays[node["name"]]
            )
        else:
            attributes = {k: _literal(v) for k, v in node.get("attrs", {}).items()}
            values.append(OPERATORS[node["op"]](*(values[i[0]] for i in node["inputs"]), **attributes))
    return values[symbol["heads"][0][0]]


def _literal(text):
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _convolution(x, weight, *bias, kernel, stride=(1, 1), pad=(0, 0), num_group=1, **_):
    """Sum over the kernel's places of a shifted, strided image times that place's weights."""
    x = np.pad(x, [(0, 0), (0, 0), (pad[0],) * 2, (pad[1],) * 2])
    rows, columns = ((x.shape[2 + i] - kernel[i]) // stride[i] + 1 for i in (0, 1))
    out = 0.0
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            seen = x[:, :, i : i + stride[0] * rows : stride[0], j : j + stride[1] * columns : stride[1]]
            seen = seen[:, :, :rows, :columns]
            if num_group == 1:
                out = out + np.einsum("bchw,oc->bohw", seen, weight[:, :, i, j], optimize=True)
            else:
                assert num_group == len(weight)
                out = out + seen * weight[:, 0, i, j][:, None, None]
    return out + bias[0][:, None, None] if bias else out


def _batch_norm(x, gamma, beta, mean, variance, eps=1e-3, fix_gamma=True, **_):
    gamma = np.ones_like(gamma) if fix_gamma else gamma
    shape = (-1,) + (1,) * (x.ndim - 2)
    scale = gamma / np.sqrt(variance + eps)
    return (x - mean.reshape(shape)) * scale.reshape(shape) + beta.reshape(shape)


OPERATORS = {
    "_minus_scalar": lambda x, scalar: x - scalar,
    "_mul_scalar": lambda x, scalar: x * scalar,
    "Convolution": _convolution,
    "BatchNorm": _batch_norm,
    "LeakyReLU": lambda x, slope, act_type: np.where(x > 0, x, x * slope[:, None, None]),
    "elemwise_add": lambda a, b: a + b,
    "FullyConnected": lambda x, w, *b, num_hidden, **_: x.reshape(len(x), -1) @ w.T + (b[0] if b else 0.0),
}


def _trusting_params(path):
    """Reads a .params file of version 2 that is known to be good, to float64."""
    content = Path(path).read_bytes()
    place, arrays, names = 24, [], []
    for _ in range(struct.unpack_from("<Q", content, 16)[0]):
        dimensions = struct.unpack_from("<I", content, place + 8)[0]
        shape = struct.unpack_from(f"<{dimensions}q", content, place + 12)
        place += 12 + 8 * dimensions + 12
        arrays.append(
            np.frombuffer(content, "<f4", int(np.prod(shape)), place).reshape(shape).astype(np.float64)
        )
        place += 4 * arrays[-1].size
    place += 8
    for _ in arrays:
        length = struct.unpack_from("<Q", content, place)[0]
        names.append(content[place + 8 : place + 8 + length].decode())
        place += 8 + length
    return dict(zip(names, arrays, strict=True))


@pytest.fixture(scope="session")
def iresnet_state():
    """Random tensors of an IR-18 of 8, 16, 32, 64 channels, 64 px, 24-D, in arcface_torch's names."""
    random = np.random.default_rng(18)
    state = {}

    def weight(name, *shape):
        fan_in = int(np.prod(shape[1:]))
        state[f"{name}.weight"] = random.normal(0, np.sqrt(2 / fan_in), shape)

    def norm(name, channels):
        state[f"{name}.weight"] = random.uniform(0.5, 1.5, channels)
        state[f"{name}.bias"] = random.normal(0, 0.2, channels)
        state[f"{name}.running_mean"] = random.normal(0, 0.2, channels)
        state[f"{name}.running_var"] = random.uniform(0.3, 2, channels)
        state[f"{name}.num_batches_tracked"] = np.array(7.0)

    weight("conv1", 8, 3, 3, 3)
    norm("bn1", 8)
    state["prelu.weight"] = random.uniform(-0.2, 0.5, 8)
    before = 8
    for stage, channels in enumerate((8, 16, 32, 64), start=1):
        for number in range(2):
            unit = f"layer{stage}.{number}"
            norm(f"{unit}.bn1", before)
            weight(f"{unit}.conv1", channels, before, 3, 3)
            norm(f"{unit}.bn2", channels)
            state[f"{unit}.prelu.weight"] = random.uniform(-0.2, 0.5, channels)
            weight(f"{unit}.conv2", channels, channels, 3, 3)
            norm(f"{unit}.bn3", channels)
            if number == 0:
                weight(f"{unit}.downsample.0", channels, before, 1, 1)
                norm(f"{unit}.downsample.1", channels)
            before = channels
    norm("bn2", 64)
    weight("fc", 24, 64 * 4 * 4)
    state["fc.bias"] = random.normal(0, 0.2, 24)
    norm("features", 24)
    state["features.weight"] = np.ones(24)
    return {name: tensor.astype(np.float32) for name, tensor in state.items()}


@pytest.fixture(scope="session")
def run_iresnet():
    """(state, x [B, 3, S, S] as the network sees it, epsilon of norms) -> its embedding [B, D], float64."""
    return _run_iresnet


def _run_iresnet(state, x, epsilon=1e-5):
    state = {name: tensor.astype(np.float64) for name, tensor in state.items()}

    def conv(name, x, stride=1):
        weight = state[f"{name}.weight"]
        side = weight.shape[-1]
        return _convolution(x, weight, kernel=(side, side), stride=(stride,) * 2, pad=(side // 2,) * 2)

    def norm(name, x):
        numbers = (state[f"{name}.{kind}"] for kind in ("weight", "bias", "running_mean", "running_var"))
        return _batch_norm(x, *numbers, eps=epsilon, fix_gamma=False)

    def prelu(name, x):
        return np.where(x > 0, x, x * state[f"{name}.weight"][:, None, None])

    x = prelu("prelu", norm("bn1", conv("conv1", x.astype(np.float64))))
    for stage in range(1, 5):
        for number in range(2):
            unit, stride = f"layer{stage}.{number}", 2 - number
            shortcut = x[:, :, ::stride, ::stride]
            if f"{unit}.downsample.0.weight" in state:
                shortcut = norm(f"{unit}.downsample.1", conv(f"{unit}.downsample.0", x, stride))
            x = norm(f"{unit}.bn2", conv(f"{unit}.conv1", norm(f"{unit}.bn1", x)))
            x = norm(f"{unit}.bn3", conv(f"{unit}.conv2", prelu(f"{unit}.prelu", x), stride)) + shortcut
    flat = norm("bn2", x).reshape(len(x), -1)
    return norm("features", flat @ state["fc.weight"].T + state["fc.bias"])


@pytest.fixture(scope="session")
def pictures():
    """Smooth random pictures [3, 64, 64, 3] uint8; their channels differ, so a wrong order shows."""
    coarse = np.random.default_rng(3).integers(0, 256, (3, 8, 8, 3)).astype(np.float64)
    return np.clip(coarse.repeat(8, 1).repeat(8, 2) + np.arange(64)[:, None, None] / 2, 0, 255).astype(
        np.uint8
    )


@pytest.fixture(scope="session")
def embed_with():
    """(tidy_graph graph of ours, pixels) -> unit embeddings of a Keras model that got the graph's weights."""
    return _embed_with


def _embed_with(output, pixels, blue_first=False, input_size=None, said=None):
    from urfr_tf.foreign_weights.graph import accept_our_pixels, tidy_graph
    from urfr_tf.foreign_weights.keras_graph import read_keras_graph
    from urfr_tf.foreign_weights.mapping import assign_weights, recognize_backbone
    from urfr_tf.runs.import_weights import find_zero_pixel

    output, _ = tidy_graph(output)
    seen = accept_our_pixels(output, blue_first, said)
    model = _model(recognize_backbone(output, input_size), find_zero_pixel(seen, "a test"))
    assign_weights(output, read_keras_graph(model, "embedding"))
    return model({"image": pixels.astype(np.float32)}, training=False)["embedding"].numpy()


@functools.cache
def _model(found, zero_pixel):
    from urfr_tf.models.inference_graph import build_inference
    from urfr_tf.runs.import_weights import make_configuration

    return build_inference(make_configuration(found, "a test", zero_pixel))


@pytest.fixture(scope="session")
def worst_cosine():
    """(ours [B, D] of unit norm, theirs [B, D] of any norm) -> the smallest cosine of a pair."""
    return lambda ours, theirs: np.min(np.sum(ours * theirs, 1) / np.linalg.norm(theirs, axis=1))
