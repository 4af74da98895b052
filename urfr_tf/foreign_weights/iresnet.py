"""IR networks from the names of their tensors: `iresnet` of arcface_torch and MagFace, and AdaFace's `net`.

A state_dict has no graph. Both projects' networks are the IR of urfr_tf.models.ir, and the names say which
tensor stands where. Strides are not in the file: the first unit of each stage halves the map.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from urfr_tf.errors import UrfrError
from urfr_tf.foreign_weights.bounded import AnyArray
from urfr_tf.foreign_weights.graph import (
    ADD,
    CONVOLUTION,
    DENSE,
    NORM,
    PRELU,
    Operation,
    make_open_input,
    take_every_second,
)

EPSILON, MAGFACE_EPSILON = 1e-5, 2e-5
COUNTERS = "num_batches_tracked"
SHOWN = 8


def build_iresnet_graph(tensors: Mapping[str, AnyArray], where: str) -> tuple[Operation, list[str], bool]:
    """Builds the graph of an IR network.

    Args:
        tensors: a state_dict; the names may have a prefix (`module.`, `model.`, ...).
        where: the file's name, for messages.

    Returns:
        The operation that gives the embedding; names that are not of the network (heads of training);
        whether the network takes B, G, R: AdaFace does, arcface_torch does not.

    Raises:
        UrfrError: the names are of neither project, a tensor is missing or has a wrong number of
            dimensions, or the network has tensors that an IR network has not.
    """
    for mark, build, blue_first in (
        ("layer1.0.conv1.weight", _arcface, False),
        ("body.0.res_layer.1.weight", _adaface, True),
    ):
        names = sorted((name for name in tensors if name.endswith(mark)), key=len)
        if names:
            network = _Tensors(tensors, names[0][: -len(mark)], where)
            output = build(network)
            return output, network.not_used(), blue_first
    raise UrfrError(
        "expected tensors of arcface_torch (layer1.0.conv1.weight) or AdaFace (body.0.res_layer.1.weight) "
        f"in {where}, but got {', '.join(sorted(tensors)[:SHOWN])}, ..."
    )


def check_named_pixels(
    tensors: Mapping[str, AnyArray], where: str, channels: str | None, pixels: str | None
) -> None:
    """Refuses names that stand for networks of several projects, which want other pixels.

    Args:
        tensors: a state_dict of `build_iresnet_graph`.
        where: the file's name, for messages.
        channels: what the user says about their order; None for nothing.
        pixels: what the user says about their range; None for nothing.

    Raises:
        UrfrError: the candidates, and the options that decide between them.
    """
    if channels is None and any(name.endswith("body.0.res_layer.1.weight") for name in tensors):
        raise UrfrError(
            f"the tensors of {where} have AdaFace's names, which several projects use: give --channels bgr "
            "for AdaFace, or --channels rgb for CVLface and face.evoLVe"
        )
    if (channels is None or pixels is None) and any(map(_is_magface, tensors)):
        raise UrfrError(
            f"the tensors of {where} have MagFace's names: give --channels bgr --pixels 0..1 for MagFace, or "
            "both options as another project trained this network"
        )


def _is_magface(name: str) -> bool:
    """Whether a tensor is called (module.)features.(module.)layer1..., after MagFace's whole model."""
    before, inside, _ = name.partition(".layer1.")
    return bool(inside) and "features" in before.split(".")


def _arcface(network: "_Tensors") -> Operation:
    x = network.convolution("conv1", make_open_input())
    x = network.prelu("prelu", network.norm("bn1", x))
    for stage in range(1, 5):
        for number in range(network.count(f"layer{stage}")):
            unit = f"layer{stage}.{number}"
            stride = 2 if number == 0 else 1
            shortcut = x
            if number == 0:
                shortcut = network.convolution(f"{unit}.downsample.0", x, stride)
                shortcut = network.norm(f"{unit}.downsample.1", shortcut)
            x = network.norm(f"{unit}.bn1", x)
            x = network.norm(f"{unit}.bn2", network.convolution(f"{unit}.conv1", x))
            x = network.convolution(f"{unit}.conv2", network.prelu(f"{unit}.prelu", x), stride)
            x = Operation(ADD, unit, [network.norm(f"{unit}.bn3", x), shortcut])
    return network.norm("features", network.dense("fc", network.norm("bn2", x)))


def _adaface(network: "_Tensors") -> Operation:
    x = network.convolution("input_layer.0", make_open_input())
    x = network.prelu("input_layer.2", network.norm("input_layer.1", x))
    for number in range(network.count("body")):
        unit, residual = f"body.{number}", f"body.{number}.res_layer"
        halves = number == 0 or network.has(f"{unit}.shortcut_layer.0.weight")
        stride = 2 if halves else 1
        shortcut = x
        if network.has(f"{unit}.shortcut_layer.0.weight"):
            shortcut = network.convolution(f"{unit}.shortcut_layer.0", x, stride)
            shortcut = network.norm(f"{unit}.shortcut_layer.1", shortcut)
        elif halves:
            shortcut = take_every_second(x, f"{unit}.shortcut")  # AdaFace has a max pooling of 1 x 1 here.
        x = network.norm(f"{residual}.0", x)
        x = network.norm(f"{residual}.2", network.convolution(f"{residual}.1", x))
        x = network.convolution(f"{residual}.4", network.prelu(f"{residual}.3", x), stride)
        x = Operation(ADD, unit, [network.norm(f"{residual}.5", x), shortcut])
    x = network.dense("output_layer.3", network.norm("output_layer.0", x))
    return network.norm("output_layer.4", x)


class _Tensors:
    """Takes tensors by name and remembers which were taken."""

    def __init__(self, tensors: Mapping[str, AnyArray], prefix: str, where: str) -> None:
        self.tensors = {n[len(prefix) :]: t for n, t in tensors.items() if n.startswith(prefix)}
        self.others = [name for name in tensors if not name.startswith(prefix)]
        self.where = where
        self.used: set[str] = set()
        self.epsilon = MAGFACE_EPSILON if any(map(_is_magface, tensors)) else EPSILON

    def has(self, name: str) -> bool:
        return name in self.tensors

    def count(self, folder: str) -> int:
        """How many consecutive numbers from 0 the names below `folder` have."""
        numbers = {n.split(".")[1] for n in self.tensors if n.startswith(f"{folder}.") and n.count(".") > 1}
        return next(n for n in range(len(numbers) + 1) if str(n) not in numbers)

    def convolution(self, name: str, source: Operation, stride: int = 1) -> Operation:
        kernel = self._take(f"{name}.weight", 4).transpose(2, 3, 1, 0)
        arrays = {"kernel": kernel, **self._bias(name)}
        return Operation(CONVOLUTION, name, [source], arrays, stride, padding=kernel.shape[0] // 2)

    def dense(self, name: str, source: Operation) -> Operation:
        arrays = {"kernel": self._take(f"{name}.weight", 2).T, **self._bias(name)}
        return Operation(DENSE, name, [source], arrays)

    def norm(self, name: str, source: Operation) -> Operation:
        mean, variance = self._take(f"{name}.running_mean", 1), self._take(f"{name}.running_var", 1)
        scale, offset = np.ones_like(mean), np.zeros_like(mean)
        if self.has(f"{name}.weight"):  # AdaFace's last batch norm has neither.
            scale, offset = self._take(f"{name}.weight", 1), self._take(f"{name}.bias", 1)
        arrays = {"scale": scale, "offset": offset, "mean": mean, "variance": variance}
        return Operation(NORM, name, [source], arrays, epsilon=self.epsilon)

    def prelu(self, name: str, source: Operation) -> Operation:
        return Operation(PRELU, name, [source], {"slope": self._take(f"{name}.weight", 1)})

    def not_used(self) -> list[str]:
        left = sorted(n for n in self.tensors if n not in self.used and not n.endswith(COUNTERS))
        inside = [n for n in left if n.startswith(("layer", "body.", "input_layer.", "output_layer."))]
        if inside:
            more = ", ..." if len(inside) > SHOWN else ""
            raise UrfrError(
                f"{len(inside)} tensors of {self.where} have no place in an IR network: "
                f"{', '.join(inside[:SHOWN])}{more}"
            )
        return sorted([*left, *self.others])

    def _bias(self, name: str) -> dict[str, NDArray[np.float32]]:
        return {"bias": self._take(f"{name}.bias", 1)} if self.has(f"{name}.bias") else {}

    def _take(self, name: str, dimensions: int) -> NDArray[np.float32]:
        if name not in self.tensors:
            raise UrfrError(f"expected the tensor {name} in {self.where}, but it is missing")
        tensor = self.tensors[name]
        if tensor.ndim != dimensions:
            raise UrfrError(
                f"expected {dimensions} dimensions of {name} in {self.where}, but got {tensor.shape}"
            )
        self.used.add(name)
        return tensor.astype(np.float32)
