"""PyTorch and ONNX import against PyTorch itself, with real checkpoints and exports; needs torch.

python3.11 -m venv /tmp/torch && /tmp/torch/bin/pip install torch==2.13.0 onnx==1.18.0
PYTHONPATH=.venv/lib/python3.11/site-packages /tmp/torch/bin/python -m pytest -m ""
tests/foreign_weights/test_torch_parity.py
"""

import argparse

import numpy as np
import pytest

from urfr_tf.foreign_weights.iresnet import build_iresnet_graph
from urfr_tf.foreign_weights.onnx import read_onnx_graph
from urfr_tf.foreign_weights.torch_file import read_tensors

torch = pytest.importorskip("torch", reason="needs PyTorch, which is not a dependency; see the docstring")
nn = torch.nn

BLOCKS = {18: (2, 2, 2, 2), 50: (3, 4, 14, 3), 100: (3, 13, 30, 3)}


class ArcUnit(nn.Module):
    """A unit of arcface_torch's iresnet."""

    def __init__(self, inside, outside, stride):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inside)
        self.conv1 = nn.Conv2d(inside, outside, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outside)
        self.prelu = nn.PReLU(outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, stride, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outside)
        self.downsample = None
        if stride == 2:
            self.downsample = nn.Sequential(
                nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside)
            )

    def forward(self, x):
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.prelu(self.bn2(self.conv1(self.bn1(x))))
        return self.bn3(self.conv2(x)) + shortcut


class ArcNetwork(nn.Module):
    """The network of arcface_torch's iresnet, in its names."""

    def __init__(self, depth, channels, dim=512, size=112):
        super().__init__()
        self.conv1 = nn.Conv2d(3, channels[0], 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels[0])
        self.prelu = nn.PReLU(channels[0])
        before = channels[0]
        for stage, count in enumerate(BLOCKS[depth]):
            units = [ArcUnit(before, channels[stage], 2)]
            units += [ArcUnit(channels[stage], channels[stage], 1) for _ in range(count - 1)]
            setattr(self, f"layer{stage + 1}", nn.Sequential(*units))
            before = channels[stage]
        self.bn2 = nn.BatchNorm2d(before)
        self.dropout = nn.Dropout(0.0)
        self.fc = nn.Linear(before * (size // 16) ** 2, dim)
        self.features = nn.BatchNorm1d(dim)

    def forward(self, x):
        x = self.prelu(self.bn1(self.conv1(x)))
        x = self.bn2(self.layer4(self.layer3(self.layer2(self.layer1(x)))))
        return self.features(self.fc(self.dropout(torch.flatten(x, 1))))


class AdaUnit(nn.Module):
    """AdaFace's BasicBlockIR."""

    def __init__(self, inside, outside, stride):
        super().__init__()
        self.shortcut_layer = nn.MaxPool2d(1, stride)
        if inside != outside:
            self.shortcut_layer = nn.Sequential(
                nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside)
            )
        self.res_layer = nn.Sequential(
            nn.BatchNorm2d(inside),
            nn.Conv2d(inside, outside, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outside),
            nn.PReLU(outside),
            nn.Conv2d(outside, outside, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outside),
        )

    def forward(self, x):
        return self.res_layer(x) + self.shortcut_layer(x)


class AdaNetwork(nn.Module):
    """AdaFace's Backbone in mode `ir`: takes B, G, R; gives the direction and the norm."""

    def __init__(self, depth, channels, dim=512, size=112):
        super().__init__()
        self.input_layer = nn.Sequential(
            nn.Conv2d(3, channels[0], 3, 1, 1, bias=False), nn.BatchNorm2d(channels[0]), nn.PReLU(channels[0])
        )
        units, before = [], channels[0]
        for count, outside in zip(BLOCKS[depth], channels, strict=True):
            units.append(AdaUnit(before, outside, 2))
            units += [AdaUnit(outside, outside, 1) for _ in range(count - 1)]
            before = outside
        self.body = nn.Sequential(*units)
        self.output_layer = nn.Sequential(
            nn.BatchNorm2d(before),
            nn.Dropout(0.4),
            nn.Flatten(),
            nn.Linear(before * (size // 16) ** 2, dim),
            nn.BatchNorm1d(dim, affine=False),
        )

    def forward(self, x):
        x = self.output_layer(self.body(self.input_layer(x)))
        norm = torch.norm(x, 2, 1, True)
        return torch.div(x, norm), norm


class MobileNetwork(nn.Module):
    """Our MobileFaceNet's proportions at width 1/8 in PyTorch, for ONNX."""

    def __init__(self, dim=32, size=112):
        super().__init__()

        def conv(inside, outside, kernel, stride=1, pad=0, groups=1, linear=False):
            layers = [nn.Conv2d(inside, outside, kernel, stride, pad, groups=groups, bias=False)]
            return nn.Sequential(*layers, nn.BatchNorm2d(outside), *([] if linear else [nn.PReLU(outside)]))

        def block(before, inside, outside, stride):
            depthwise = conv(inside, inside, 3, stride, 1, inside)
            return nn.Sequential(conv(before, inside, 1), depthwise, conv(inside, outside, 1, linear=True))

        self.stem = nn.Sequential(conv(3, 8, 3, 2, 1), conv(8, 8, 3, 1, 1, 8))
        self.halve = nn.ModuleList([block(8, 16, 8, 2), block(8, 32, 16, 2), block(16, 64, 16, 2)])
        inside = [[(8, 16)] * 4, [(16, 32)] * 6, [(16, 32)] * 2]
        self.blocks = nn.ModuleList(
            [nn.ModuleList([block(a, b, a, 1) for a, b in stage]) for stage in inside]
        )
        self.last = nn.Sequential(conv(16, 64, 1), conv(64, 64, size // 16, groups=64, linear=True))
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(64, dim, bias=False), nn.BatchNorm1d(dim))

    def forward(self, x):
        x = self.stem(x)
        for halve, blocks in zip(self.halve, self.blocks, strict=True):
            x = halve(x)
            for block in blocks:
                x = x + block(x)
        return self.head(self.last(x))


def randomised(network):
    """Random statistics, scales and slopes, as no training leaves them at their start."""
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            module.running_mean.normal_(0, 0.2, generator=generator)
            module.running_var.uniform_(0.3, 2, generator=generator)
            if module.affine and not isinstance(module, nn.BatchNorm1d):
                module.weight.data.uniform_(0.5, 1.5, generator=generator)
                module.bias.data.normal_(0, 0.2, generator=generator)
        if isinstance(module, nn.PReLU):
            module.weight.data.uniform_(-0.2, 0.5, generator=generator)
    return network.eval()


@pytest.fixture(scope="module")
def crops():
    random = np.random.default_rng(1)
    coarse = random.integers(0, 256, (3, 7, 7, 3)).repeat(16, 1).repeat(16, 2)
    return np.clip(coarse + random.normal(0, 20, coarse.shape), 0, 255).astype(np.uint8)


def embedded(network, crops, blue_first=False):
    images = crops[..., ::-1] if blue_first else crops
    with torch.no_grad():
        out = network(torch.from_numpy((images.transpose(0, 3, 1, 2) - 127.5).astype(np.float32) / 127.5))
    return (out[0] if isinstance(out, tuple) else out).numpy().astype(np.float64)


FULL = (64, 128, 256, 512)


@pytest.mark.slow
@pytest.mark.parametrize("depth", [18, 50, 100])
def test_arcface_torch(tmp_path, crops, embed_with, worst_cosine, depth):
    torch.manual_seed(depth)
    network = randomised(ArcNetwork(depth, FULL))
    torch.save(network.state_dict(), tmp_path / "backbone.pth")
    output, unused, blue_first = build_iresnet_graph(read_tensors(tmp_path / "backbone.pth"), "backbone.pth")
    worst = worst_cosine(embed_with(output, crops), embedded(network, crops))
    print(f"IR-{depth}: 1 - worst cosine {1 - worst:.2e}")
    assert (unused, blue_first) == ([], False)
    assert worst > 0.99999


@pytest.mark.slow
@pytest.mark.parametrize("depth", [18, 100])
def test_adaface_lightning(tmp_path, crops, embed_with, worst_cosine, depth):
    torch.manual_seed(depth)
    network = randomised(AdaNetwork(depth, FULL))
    state = {f"model.{name}": tensor for name, tensor in network.state_dict().items()}
    state["head.kernel"] = torch.zeros(512, 10)
    checkpoint = {"state_dict": state, "epoch": 1, "hyper_parameters": argparse.Namespace(arch=f"ir_{depth}")}
    torch.save(checkpoint, tmp_path / "adaface.ckpt")
    output, unused, blue_first = build_iresnet_graph(read_tensors(tmp_path / "adaface.ckpt"), "adaface.ckpt")
    worst = worst_cosine(embed_with(output, crops, blue_first), embedded(network, crops, True))
    print(f"AdaFace IR-{depth}: 1 - worst cosine {1 - worst:.2e}")
    assert (unused, blue_first) == (["head.kernel"], True)
    assert worst > 0.99999


@pytest.mark.parametrize("dynamo", [False, True])
@pytest.mark.parametrize("kind", ["arcface", "adaface", "mobilefacenet"])
def test_onnx(tmp_path, crops, embed_with, worst_cosine, kind, dynamo):
    torch.manual_seed(3)
    narrow = (8, 16, 32, 64)
    network = {
        "arcface": lambda: ArcNetwork(18, narrow, 32),
        "adaface": lambda: AdaNetwork(18, narrow, 32),
        "mobilefacenet": MobileNetwork,
    }[kind]()
    network, path = randomised(network), tmp_path / "a.onnx"
    try:
        torch.onnx.export(network, (torch.zeros(1, 3, 112, 112),), str(path), dynamo=dynamo)
    except (ImportError, AttributeError, torch.onnx.errors.OnnxExporterError) as error:
        pytest.skip(f"this environment cannot export: {type(error).__name__}: {error}")
    output, _, size = read_onnx_graph(path)
    worst = worst_cosine(embed_with(output, crops, input_size=size), embedded(network, crops))
    print(f"ONNX {kind} dynamo={dynamo}: 1 - worst cosine {1 - worst:.2e}")
    assert size == 112
    assert worst > 0.99999
