"""A NumPy interpreter of MXNet's symbol files, independent of the package: the oracle of imports."""

import ast
import json
import struct
from pathlib import Path

import numpy as np
import pytest

SHARED = Path(__file__).resolve().parents[2].parent / "shared"


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
    import io
    import tarfile

    import cv2

    path = SHARED / "data" / "lfw.tar"
    if not path.exists():
        pytest.skip(f"needs the photographs in {path}")
    images = []
    with tarfile.open(path) as tar:
        for member in tar:
            if member.name.endswith(".jpg"):
                content = io.BytesIO(tar.extractfile(member).read()).getvalue()
                bgr = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
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
