"""ONNX networks of the IR and MobileFaceNet kind -> a graph of operations."""

import os
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from urfr_tf.errors import UrfrError
from urfr_tf.foreign_weights.bounded import AnyArray, read_file
from urfr_tf.foreign_weights.graph import (
    ADD,
    CONVOLUTION,
    DENSE,
    INPUT,
    NORM,
    PRELU,
    Operation,
    make_image_input,
    make_open_input,
    take_every_second,
)
from urfr_tf.foreign_weights.onnx_schema import OnnxAttribute, OnnxGraph, OnnxNode, build_model_class
from urfr_tf.foreign_weights.onnx_tensors import TensorReader

# What changes neither the values nor their order.
SAME = ("Flatten", "Reshape", "Dropout", "Identity", "Cast", "Squeeze", "Unsqueeze", "LpNormalization")
# What only computes a shape or the length of the embedding, and does not belong to the chain of layers.
ASIDE = ("Shape", "Gather", "Concat", "Slice", "ReduceL2", "Clip", "Expand", "Max")
_Doubles: TypeAlias = NDArray[np.float64]
_Value: TypeAlias = "Operation | AnyArray | None"
AFFINE: dict[str, Callable[[_Doubles, _Doubles, _Doubles], tuple[_Doubles, _Doubles]]] = {
    "Add": lambda scale, offset, c: (scale, offset + c),
    "Sub": lambda scale, offset, c: (scale, offset - c),
    "Mul": lambda scale, offset, c: (scale * c, offset * c),
    "Div": lambda scale, offset, c: (scale / c, offset / c),
}


def read_onnx_graph(path: str | os.PathLike[str]) -> tuple[Operation, list[str], int | None]:
    """Reads a network from an `.onnx` file.

    InsightFace's older files hold their own subtraction and multiplication. arcface_torch's exports have
    none, and their input is an open one.

    Returns:
        The operation that gives the embedding, names of weights that no layer uses, and the side of the
        input in px, None where it is free.

    Raises:
        UrfrError: the file is unreadable or damaged, or a layer is not one of these networks'.
    """
    model = build_model_class()()
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
    """Follows the nodes. A value is an operation, a constant array, or None where it is set aside."""

    def __init__(self, graph: OnnxGraph, tensors: TensorReader, where: str) -> None:
        self.where = where
        self.tensors = tensors
        self.constants: dict[str, AnyArray] = {t.name: tensors.read(t) for t in graph.initializer}
        self.used: set[str] = set()
        self.values: dict[str, _Value] = dict(self.constants)
        images = [value for value in graph.input if value.name not in self.constants]
        if len(images) != 1:
            raise UrfrError(f"expected one input of {where}, but got {[value.name for value in images]}")
        sides = [dimension.dim_value for dimension in images[0].type.tensor_type.shape.dim[2:]]
        self.input_size = sides[0] if len(sides) == 2 and sides[0] == sides[1] and sides[0] > 0 else None
        self.values[images[0].name] = self._image(graph, images[0].name)
        for node in graph.node:
            self._add(node)

    def _image(self, graph: OnnxGraph, name: str) -> Operation:
        first = [node.op_type for node in graph.node if name in node.input]
        normalizes = any(kind in AFFINE for kind in first)
        return make_image_input() if normalizes else make_open_input()

    def _add(self, node: OnnxNode) -> None:
        missing = [name for name in node.input if name and name not in self.values]
        if missing or not node.output:
            raise UrfrError(
                f"{node.op_type} {node.name} of {self.where} needs {missing}, which nothing gives"
            )
        inputs = [self.values[name] if name else None for name in node.input]
        self.values[node.output[0]] = self._value(node, inputs)

    def _value(self, node: OnnxNode, inputs: list[_Value]) -> _Value:
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

    def _unknown(self, node: OnnxNode) -> UrfrError:
        return UrfrError(
            f"{node.op_type} {node.output[0]} of {self.where} has no counterpart in our backbones"
        )

    def _constant(self, node: OnnxNode) -> AnyArray | None:
        values = [attribute.t for attribute in node.attribute if attribute.name == "value"]
        return self.tensors.read(values[0]) if values else None

    def _affine(self, node: OnnxNode, inputs: list[_Value], source: Operation) -> Operation:
        constant = inputs[1] if inputs[0] is source else inputs[0]
        if constant is None and node.op_type == "Div":  # embedding / its length
            return source
        in_order = inputs[0] is source or node.op_type in ("Add", "Mul")
        if isinstance(constant, np.ndarray) and in_order:
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

    def _convolution(self, node: OnnxNode, sources: list[Operation]) -> Operation:
        kernel, *bias = self._take(node, (4, 1))
        settings = _Settings(node)
        stride, padding = settings.integers("strides", [1, 1]), settings.integers("pads", [0, 0, 0, 0])
        plain = settings.word("auto_pad", b"NOTSET") in (b"NOTSET", b"VALID", b"")
        dilations = settings.integers("dilations", [1])
        if not plain or not len(set(stride)) == len(set(padding)) == 1 or set(dilations) != {1}:
            raise UrfrError(f"expected a plain, square convolution at {node.output[0]} of {self.where}")
        arrays = _with_bias(kernel.transpose(2, 3, 1, 0), bias)
        groups = settings.integer("group", 1)
        return Operation(CONVOLUTION, node.output[0], sources, arrays, stride[0], padding[0], groups)

    def _norm(self, node: OnnxNode, sources: list[Operation]) -> Operation:
        scale, offset, mean, variance = self._take(node, (1, 1, 1, 1), exactly=4)
        arrays = {"scale": scale, "offset": offset, "mean": mean, "variance": variance}
        epsilon = _Settings(node).number("epsilon", 1e-5)
        return Operation(NORM, node.output[0], sources, arrays, epsilon=epsilon)

    def _prelu(self, node: OnnxNode, sources: list[Operation]) -> Operation:
        (slope,) = self._take(node, (0,), exactly=1)
        return Operation(PRELU, node.output[0], sources, {"slope": slope.reshape(-1)})

    def _gemm(self, node: OnnxNode, sources: list[Operation]) -> Operation:
        kernel, *bias = self._take(node, (2, 1))
        settings = _Settings(node)
        factors = settings.number("alpha", 1.0), settings.number("beta", 1.0)
        if factors != (1.0, 1.0) or settings.integer("transA", 0):
            raise UrfrError(f"expected a plain dense layer at {node.output[0]} of {self.where}")
        kernel = kernel.T if settings.integer("transB", 0) else kernel
        return Operation(DENSE, node.output[0], sources, _with_bias(kernel, bias))

    def _pooling(self, node: OnnxNode, sources: list[Operation]) -> Operation:
        settings = _Settings(node)
        stride = settings.integers("strides", [1, 1])
        if settings.integers("kernel_shape", []) != [1, 1] or stride not in ([1, 1], [2, 2]):
            raise self._unknown(node)
        return sources[0] if stride == [1, 1] else take_every_second(sources[0], node.output[0])

    def _take(
        self, node: OnnxNode, dimensions: tuple[int, ...], exactly: int = 0
    ) -> list[NDArray[np.float32]]:
        """The constants among a node's inputs after the first; a dimension of 0 allows any."""
        names = [name for name in node.input[1:] if name]
        values = [self.values[name] for name in names]
        arrays = [array for array in values if isinstance(array, np.ndarray)]
        fit = [d in (0, array.ndim) for array, d in zip(arrays, dimensions, strict=False)]
        enough = (exactly or 1) <= len(arrays) <= len(dimensions)
        if len(arrays) != len(values) or not all(fit) or not enough:
            raise UrfrError(f"unexpected weights of {node.op_type} {node.output[0]} in {self.where}")
        self.used.update(names)
        return [array.astype(np.float32) for array in arrays]


class _Settings:
    """The attributes of a node; a setting of another type than a layer has is as if it were absent."""

    def __init__(self, node: OnnxNode) -> None:
        self.attributes: dict[str, OnnxAttribute] = {each.name: each for each in node.attribute}

    def _field(self, name: str, field: str) -> OnnxAttribute | None:
        attribute = self.attributes.get(name)
        return attribute if attribute is not None and attribute.HasField(field) else None

    def integers(self, name: str, default: Sequence[int]) -> list[int]:
        """Gives a setting that is a list of integers."""
        attribute = self.attributes.get(name)
        return list(attribute.ints if attribute is not None and len(attribute.ints) else default)

    def integer(self, name: str, default: int) -> int:
        """Gives a setting that is an integer."""
        attribute = self._field(name, "i")
        return default if attribute is None else attribute.i

    def number(self, name: str, default: float) -> float:
        """Gives a setting that is a number."""
        attribute = self._field(name, "f")
        return default if attribute is None else attribute.f

    def word(self, name: str, default: bytes) -> bytes:
        """Gives a setting that is a word."""
        attribute = self._field(name, "s")
        return default if attribute is None else attribute.s


def _with_bias(kernel: AnyArray, bias: Sequence[AnyArray]) -> dict[str, AnyArray]:
    return {"kernel": kernel, **({"bias": bias[0]} if bias else {})}
