"""ONNX networks of the IR and MobileFaceNet kind -> a graph of operations."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from urfr_tf.errors import UrfrError
from urfr_tf.foreign_weights.bounded import read_file
from urfr_tf.foreign_weights.graph import (
    ADD,
    CONVOLUTION,
    DENSE,
    INPUT,
    NORM,
    PRELU,
    Operation,
    every_second,
    image_input,
)
from urfr_tf.foreign_weights.onnx_schema import model_class
from urfr_tf.foreign_weights.onnx_tensors import TensorReader

# What changes neither the values nor their order.
SAME = ("Flatten", "Reshape", "Dropout", "Identity", "Cast", "Squeeze", "Unsqueeze", "LpNormalization")
# What only computes a shape or the length of the embedding: no part of the chain of layers.
ASIDE = ("Shape", "Gather", "Concat", "Slice", "ReduceL2", "Clip", "Expand", "Max")
AFFINE: dict[str, Callable[[Any, Any, Any], tuple[Any, Any]]] = {
    "Add": lambda scale, offset, c: (scale, offset + c),
    "Sub": lambda scale, offset, c: (scale, offset - c),
    "Mul": lambda scale, offset, c: (scale * c, offset * c),
    "Div": lambda scale, offset, c: (scale / c, offset / c),
}


def read_onnx(path: str | os.PathLike[str]) -> tuple[Operation, list[str], int | None]:
    """Reads a network from an `.onnx` file.

    A network that does not normalise its pixels is taken to want (x - 127.5) / 127.5, R, G, B, which is
    what arcface_torch exports; InsightFace's older files hold their own subtraction and multiplication.

    Returns:
        The operation that gives the embedding, names of weights that no layer uses, and the side of the
        input in px, None where it is free.

    Raises:
        UrfrError: the file is unreadable or damaged, or a layer is not one of these networks'.
    """
    model = model_class()()
    try:
        model.ParseFromString(read_file(path))
    except (DecodeError, ValueError) as error:
        raise UrfrError(f"expected an ONNX network in {path}, but it does not parse: {error}") from error
    graph = model.graph
    if not graph.node or not graph.output:
        raise UrfrError(f"expected an ONNX network in {path}, but it has no layers or no output")
    network = _Network(graph, TensorReader(path), str(path))
    output = network.values.get(graph.output[0].name)
    if not isinstance(output, Operation):
        raise UrfrError(f"the output of {path} is no result of a layer")
    return output, sorted(set(network.constants) - network.used), network.input_size


class _Network:
    """Follows the nodes; a value is an operation, a constant array, or None where it is set aside."""

    def __init__(self, graph: Any, tensors: TensorReader, where: str) -> None:
        self.where = where
        self.tensors = tensors
        self.constants: dict[str, np.ndarray] = {t.name: tensors.array(t) for t in graph.initializer}
        self.used: set[str] = set()
        self.values: dict[str, Operation | np.ndarray | None] = dict(self.constants)
        images = [value for value in graph.input if value.name not in self.constants]
        if len(images) != 1:
            raise UrfrError(f"expected one input of {where}, but got {[value.name for value in images]}")
        sides = [dimension.dim_value for dimension in images[0].type.tensor_type.shape.dim[2:]]
        self.input_size = sides[0] if len(sides) == 2 and sides[0] == sides[1] and sides[0] > 0 else None
        self.values[images[0].name] = self._image(graph, images[0].name)
        for node in graph.node:
            self._add(node)

    def _image(self, graph: Any, name: str) -> Operation:
        first = [node.op_type for node in graph.node if name in node.input]
        normalises = any(kind in AFFINE for kind in first)
        return image_input() if normalises else image_input(1 / 127.5, -1.0)

    def _add(self, node: Any) -> None:
        missing = [name for name in node.input if name and name not in self.values]
        if missing or not node.output:
            raise UrfrError(
                f"{node.op_type} {node.name} of {self.where} needs {missing}, which nothing gives"
            )
        made = self._value(node, [self.values[name] if name else None for name in node.input])
        self.values[node.output[0]] = made

    def _value(self, node: Any, inputs: list[Any]) -> Operation | np.ndarray | None:
        kind, name = node.op_type, node.output[0]
        sources = [value for value in inputs if isinstance(value, Operation)]
        if kind == "Constant":
            return self._constant(node)
        if kind in ASIDE:
            return None
        if kind in SAME and inputs:
            self.used.update(node.input)
            return inputs[0]
        if kind == "Add" and len(sources) == 2:
            return Operation(ADD, name, sources)
        if len(sources) == 1:
            if kind in AFFINE and len(inputs) == 2:
                return self._affine(node, inputs, sources[0])
            layer = {
                "Conv": self._convolution,
                "BatchNormalization": self._norm,
                "PRelu": self._prelu,
                "Gemm": self._gemm,
                "MatMul": self._gemm,
                "MaxPool": self._pooling,
            }.get(kind)
            if layer is not None:
                return layer(node, sources)
        raise self._unknown(node)

    def _unknown(self, node: Any) -> UrfrError:
        return UrfrError(
            f"{node.op_type} {node.output[0]} of {self.where} has no counterpart in our backbones"
        )

    def _constant(self, node: Any) -> np.ndarray | None:
        values = [attribute.t for attribute in node.attribute if attribute.name == "value"]
        return self.tensors.array(values[0]) if values else None

    def _affine(self, node: Any, inputs: list[Any], source: Operation) -> Operation:
        constant = inputs[1] if inputs[0] is source else inputs[0]
        if constant is None and node.op_type == "Div":  # embedding / its length
            return source
        ordered = inputs[0] is source or node.op_type in ("Add", "Mul")
        if isinstance(constant, np.ndarray) and ordered:
            self.used.update(n for n in node.input if n in self.constants)
            flat = constant.reshape(-1).astype(np.float64)
            if source.kind == INPUT and flat.size in (1, 3):
                before = source.arrays
                with np.errstate(divide="ignore", invalid="ignore"):
                    scale, offset = AFFINE[node.op_type](before["scale"], before["offset"], flat)
                return Operation(INPUT, source.name, arrays={"scale": scale, "offset": offset})
            if source.kind == DENSE and node.op_type == "Add":
                dense = {**source.arrays, "bias": source.arrays.get("bias", 0) + flat.astype(np.float32)}
                return Operation(DENSE, source.name, source.sources, dense)
        raise self._unknown(node)

    def _convolution(self, node: Any, sources: list[Operation]) -> Operation:
        kernel, *bias = self._take(node, (4, 1))
        settings = self._settings(node)
        stride, padding = settings.get("strides", [1, 1]), settings.get("pads", [0, 0, 0, 0])
        plain = settings.get("auto_pad", b"NOTSET") in (b"NOTSET", b"VALID", b"")
        same = len(set(stride)) == 1 and len(set(padding)) == 1 and set(settings.get("dilations", [1])) == {1}
        if not plain or not same:
            raise UrfrError(f"expected a plain, square convolution at {node.output[0]} of {self.where}")
        arrays = _with_bias(kernel.transpose(2, 3, 1, 0), bias)
        groups = settings.get("group", 1)
        return Operation(CONVOLUTION, node.output[0], sources, arrays, stride[0], padding[0], groups)

    def _norm(self, node: Any, sources: list[Operation]) -> Operation:
        scale, offset, mean, variance = self._take(node, (1, 1, 1, 1), exactly=4)
        arrays = {"scale": scale, "offset": offset, "mean": mean, "variance": variance}
        epsilon = self._settings(node).get("epsilon", 1e-5)
        return Operation(NORM, node.output[0], sources, arrays, epsilon=epsilon)

    def _prelu(self, node: Any, sources: list[Operation]) -> Operation:
        (slope,) = self._take(node, (0,), exactly=1)
        return Operation(PRELU, node.output[0], sources, {"slope": slope.reshape(-1)})

    def _gemm(self, node: Any, sources: list[Operation]) -> Operation:
        kernel, *bias = self._take(node, (2, 1))
        settings = self._settings(node)
        if settings.get("alpha", 1.0) != 1 or settings.get("beta", 1.0) != 1 or settings.get("transA", 0):
            raise UrfrError(f"expected a plain dense layer at {node.output[0]} of {self.where}")
        kernel = kernel.T if settings.get("transB", 0) else kernel
        return Operation(DENSE, node.output[0], sources, _with_bias(kernel, bias))

    def _pooling(self, node: Any, sources: list[Operation]) -> Operation:
        settings = self._settings(node)
        stride = settings.get("strides", [1, 1])
        if settings.get("kernel_shape") != [1, 1] or stride not in ([1, 1], [2, 2]):
            raise self._unknown(node)
        return sources[0] if stride == [1, 1] else every_second(sources[0], node.output[0])

    def _take(self, node: Any, dimensions: tuple[int, ...], exactly: int = 0) -> list[np.ndarray]:
        """The constants among a node's inputs after the first; a dimension of 0 allows any."""
        names = [name for name in node.input[1:] if name]
        arrays = [self.values[name] for name in names]
        taken = [array for array in arrays if isinstance(array, np.ndarray)]
        fit = [d in (0, array.ndim) for array, d in zip(taken, dimensions, strict=False)]
        if len(taken) != len(arrays) or not all(fit) or not (exactly or 1) <= len(taken) <= len(dimensions):
            raise UrfrError(f"unexpected weights of {node.op_type} {node.output[0]} in {self.where}")
        self.used.update(names)
        return [array.astype(np.float32) for array in taken]

    def _settings(self, node: Any) -> dict[str, Any]:
        settings: dict[str, Any] = {}
        for attribute in node.attribute:
            for field in ("ints", "floats"):
                if len(getattr(attribute, field)):
                    settings[attribute.name] = list(getattr(attribute, field))
            for field in ("i", "f", "s"):
                if attribute.HasField(field):
                    settings[attribute.name] = getattr(attribute, field)
        return settings


def _with_bias(kernel: np.ndarray, bias: list[np.ndarray]) -> dict[str, np.ndarray]:
    return {"kernel": kernel, **({"bias": bias[0]} if bias else {})}
