"""PyTorch IR networks by the names of their tensors, against IR written down in NumPy, float64 (conftest)."""

import json
import struct

import numpy as np
import pytest

from urfr_tf.errors import UrfrError
from urfr_tf.foreign_weights.iresnet import build_iresnet_graph, check_named_pixels
from urfr_tf.foreign_weights.pixels import PIXELS
from urfr_tf.foreign_weights.torch_file import read_tensors


def adaface_names(state):
    """arcface_torch's state in AdaFace's names; its first shortcut and last batch norm have no weights."""
    renamed = {}
    units = [f"layer{stage}.{number}." for stage in (1, 2, 3, 4) for number in (0, 1)]
    layers = {"bn1": 0, "conv1": 1, "bn2": 2, "prelu": 3, "conv2": 4, "bn3": 5}
    for name, tensor in state.items():
        layer, _, what = name.rpartition(".")
        unit = next((u for u in units if name.startswith(u)), None)
        if unit:
            inner = layer[len(unit) :]
            folder = f"shortcut_layer.{inner[-1]}" if "downsample" in inner else f"res_layer.{layers[inner]}"
            new = f"body.{units.index(unit)}.{folder}.{what}"
        else:
            places = {"conv1": "input_layer.0", "bn1": "input_layer.1", "prelu": "input_layer.2"}
            places |= {"bn2": "output_layer.0", "fc": "output_layer.3", "features": "output_layer.4"}
            new = f"{places[layer]}.{what}"
        if not name.startswith("layer1.0.downsample") and name not in ("features.weight", "features.bias"):
            renamed[new] = tensor
    return renamed


def test_arcface_torch_from_a_file(tmp_path, iresnet_state, pictures, run_iresnet, embed_with, worst_cosine):
    """Through safetensors, with DistributedDataParallel's prefix; pixels are R, G, B, (x - 127.5) / 127.5."""
    header, body = {}, b""
    for name, tensor in iresnet_state.items():
        offsets = [len(body), len(body) + tensor.nbytes]
        header[f"module.{name}"] = {"dtype": "F32", "shape": tensor.shape, "data_offsets": offsets}
        body += tensor.tobytes()
    text = json.dumps(header).encode()
    path = tmp_path / "backbone.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)

    output, unused, blue_first = build_iresnet_graph(read_tensors(path), str(path))
    assert (unused, blue_first) == ([], False)
    theirs = run_iresnet(iresnet_state, (pictures.transpose(0, 3, 1, 2) - 127.5) / 127.5)
    assert worst_cosine(embed_with(output, pictures), theirs) > 0.99999
    assert worst_cosine(theirs[:1] / np.linalg.norm(theirs[0]), theirs[1:]) < 0.99


def test_adaface(iresnet_state, pictures, run_iresnet, embed_with, worst_cosine):
    """B, G, R; the first shortcut only takes every second pixel; a training head next to the network."""
    tensors = {f"model.{name}": tensor for name, tensor in adaface_names(iresnet_state).items()}
    tensors["head.kernel"] = np.zeros((24, 100), np.float32)
    output, unused, blue_first = build_iresnet_graph(tensors, "adaface.ckpt")
    assert (unused, blue_first) == (["head.kernel"], True)

    state = {name: t for name, t in iresnet_state.items() if not name.startswith("layer1.0.downsample")}
    state["features.bias"] = np.zeros(24)
    theirs = run_iresnet(state, (pictures[..., ::-1].transpose(0, 3, 1, 2) - 127.5) / 127.5)
    assert worst_cosine(embed_with(output, pictures, blue_first), theirs) > 0.99999
    wrong = run_iresnet(state, (pictures.transpose(0, 3, 1, 2) - 127.5) / 127.5)
    assert worst_cosine(wrong / np.linalg.norm(wrong, axis=1, keepdims=True), theirs) < 0.999


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("layer3.1.conv2.weight"), r"expected the tensor layer3\.1\.conv2\.weight"),
        (lambda s: s.update({"bn1.bias": np.zeros((2, 4))}), r"1 dimensions of bn1\.bias .* got \(2, 4\)"),
        (
            lambda s: s.update({"layer1.0.se.fc.weight": np.zeros(3)}),
            r"1 tensors .* no place .*layer1\.0\.se",
        ),
        (lambda s: s.update({"layer4.1.bn3.running_var": np.full(64, -1.0)}), "variances of 0 and more"),
        (lambda s: s.update({"fc.bias": np.full(24, np.nan)}), "not finite"),
        (lambda s: s.update({"prelu.weight": np.zeros(5)}), "expected 8 slopes of PReLU prelu, but got 5"),
        (
            lambda s: s.update(
                {"layer2.1.conv1.weight": np.zeros((24, 16, 3, 3)), "layer3.0.bn1.bias": np.ones(9)}
            ),
            r"2 operations do not fit: convolution layer2\.1\.conv1 3x3x16x24 .* "
            r"for convolution layer2_1_conv1 3x3x16x16",
        ),
        (lambda s: s.pop("layer1.0.conv1.weight"), "expected tensors of arcface_torch"),
        (
            lambda s: [s.pop(n) for n in list(s) if n.startswith("layer4.1.")],
            "the file has 7 residual blocks",
        ),
    ],
)
def test_what_does_not_fit_is_named(iresnet_state, pictures, embed_with, change, message):
    state = dict(iresnet_state)
    change(state)
    with pytest.raises(UrfrError, match=message):
        embed_with(build_iresnet_graph(state, "a.pt")[0], pictures)


@pytest.mark.parametrize("pixels", [None, "centered"])
@pytest.mark.parametrize("prefix", ["", "model.", "net.model."])
def test_names_of_several_projects_are_a_question(iresnet_state, prefix, pixels):
    tensors = {f"{prefix}{name}": tensor for name, tensor in adaface_names(iresnet_state).items()}
    with pytest.raises(UrfrError, match="--channels bgr for AdaFace, or --channels rgb for CVLface"):
        check_named_pixels(tensors, "a.ckpt", None, pixels)
    check_named_pixels(tensors, "a.ckpt", "bgr", pixels)


@pytest.mark.parametrize("said", [(None, None), ("bgr", None), (None, "0..1")])
@pytest.mark.parametrize("prefix", ["features.", "features.module.", "module.features."])
def test_the_names_of_magface(iresnet_state, prefix, said):
    tensors = {f"{prefix}{name}": t for name, t in iresnet_state.items()}
    with pytest.raises(UrfrError, match=r"give --channels bgr --pixels 0\.\.1 for MagFace, or both"):
        check_named_pixels(tensors, "a.pth", *said)
    check_named_pixels(tensors, "a.pth", "bgr", "0..1")


@pytest.mark.parametrize("prefix", ["", "module.", "backbone."])
def test_the_names_of_arcface_torch_are_no_question(iresnet_state, prefix):
    """Its last batch norm is called `features` itself."""
    check_named_pixels({f"{prefix}{name}": t for name, t in iresnet_state.items()}, "a.pth", None, None)


@pytest.mark.parametrize("prefix", ["features.module.", "module.features."])
def test_magface(iresnet_state, pictures, run_iresnet, embed_with, worst_cosine, prefix):
    """B, G, R in 0..1, black beyond the border, batch norms of another epsilon, prototypes in `fc`."""
    # Small variances in one place, so that their epsilon shows.
    state = {**iresnet_state, "bn1.running_var": iresnet_state["bn1.running_var"] * np.float32(1e-4)}
    tensors = {f"{prefix}{name}": tensor for name, tensor in state.items()}
    tensors["module.fc.weight"] = np.zeros((24, 100), np.float32)
    output, unused, _ = build_iresnet_graph(tensors, "magface.pth")
    assert unused == ["module.fc.weight"]
    ours = embed_with(output, pictures, True, said=PIXELS["0..1"])
    seen = pictures[..., ::-1].transpose(0, 3, 1, 2) / 255
    right = run_iresnet(state, seen, 2e-5)
    unit = right / np.linalg.norm(right, axis=1, keepdims=True)
    np.testing.assert_allclose(ours, unit, atol=2e-5)
    assert np.abs(run_iresnet(state, seen) - right).max() > 1e-3 * np.abs(right).max()


@pytest.mark.parametrize("name", PIXELS)
def test_every_range_of_pixels(iresnet_state, pictures, run_iresnet, embed_with, name):
    """What pads the border counts: ours must pad with the pixel that is 0 to the network."""
    output, _, _ = build_iresnet_graph(iresnet_state, "a.pth")
    ours = embed_with(output, pictures, said=PIXELS[name])
    scale, offset = PIXELS[name].network_order(False)
    theirs = run_iresnet(iresnet_state, (pictures * scale + offset).transpose(0, 3, 1, 2))
    np.testing.assert_allclose(ours, theirs / np.linalg.norm(theirs, axis=1, keepdims=True), atol=2e-5)
