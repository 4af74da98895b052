"""Makes the files beside it with PyTorch itself; the tests read them where PyTorch is not installed.

python3.11 -m venv /tmp/torch && /tmp/torch/bin/pip install torch==2.13.0 numpy safetensors onnx onnxscript
cd tests/weights/goldens && /tmp/torch/bin/python make_goldens.py
"""

import argparse
import pathlib
from collections import OrderedDict

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

HERE = pathlib.Path(__file__).parent


def tensors():
    """Every number type, strides, a shared storage, a scalar and an empty one."""
    base = torch.arange(6, dtype=torch.float32).reshape(2, 3)
    plain = {
        "float": base,
        "double": base.double(),
        "half": base.half(),
        "bfloat16": base.bfloat16(),
        "long": base.long(),
        "bool": base > 2,
    }
    views = {
        "transposed": base.t(),
        "row": base[1],
        "every_second": base[:, ::2],
        "parameter": nn.Parameter(base + 0.5),
        "scalar": torch.tensor(7.0),
        "empty": torch.zeros(0, 3),
    }
    return plain, views


class Tiny(nn.Module):
    """One of each layer that the networks have."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, 2, 1, bias=False)
        self.bn = nn.BatchNorm2d(4)
        self.prelu = nn.PReLU(4)
        self.depthwise = nn.Conv2d(4, 4, 3, 1, 1, groups=4, bias=False)
        self.bn2 = nn.BatchNorm2d(4)
        self.bn3 = nn.BatchNorm2d(4)
        self.fc = nn.Linear(4 * 4 * 4, 5)
        self.features = nn.BatchNorm1d(5)

    def forward(self, x):
        x = self.prelu(self.bn(self.conv(x)))
        x = x + self.bn2(self.depthwise(x))
        return self.features(self.fc(torch.flatten(self.bn3(x), 1)))


def main():
    plain, views = tensors()
    checkpoint = {
        "epoch": 3,
        "global_step": 2**40,
        "state_dict": OrderedDict([(f"model.{name}", tensor) for name, tensor in (plain | views).items()]),
        "optimizer_states": [
            {"state": {0: {"momentum_buffer": torch.ones(2)}}, "param_groups": [{"lr": 0.1}]}
        ],
        "hyper_parameters": argparse.Namespace(arch="ir_18", path=pathlib.PurePosixPath("/x"), rate=1e-3),
    }
    torch.save(checkpoint, HERE / "lightning.ckpt")
    torch.save(nn.Linear(1, 1), HERE / "whole_module.pt")
    save_file({name: tensor.contiguous() for name, tensor in plain.items()}, HERE / "plain.safetensors")

    torch.manual_seed(0)
    net, image = Tiny(), torch.randn(2, 3, 8, 8)
    for _ in range(3):  # Statistics and scales away from their start.
        net(torch.randn(4, 3, 8, 8) * 2 + 1)
    for norm in (net.bn, net.bn2, net.bn3):
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias)
    net.eval()
    for dynamo in (False, True):
        name = HERE / f"tiny_{'dynamo' if dynamo else 'legacy'}.onnx"
        torch.onnx.export(net, (image,), str(name), dynamo=dynamo, input_names=["data"])
    np.savez(HERE / "tiny.npz", image=image.numpy(), output=net(image).detach().numpy())


if __name__ == "__main__":
    main()
