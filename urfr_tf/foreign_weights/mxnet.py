"""InsightFace's MXNet networks: `-symbol.json` and `-0000.params` -> a graph of operations."""

import ast
import math
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from urfr_tf.errors import UrfrError
from urfr_tf.files import find_beside, read_json
from urfr_tf.foreign_weights.bounded import AnyArray
from urfr_tf.foreign_weights.graph import (
    ADD,
    CONVOLUTION,
    DENSE,
    INPUT,
    NORM,
    PRELU,
    Operation,
    make_open_input,
)
from urfr_tf.foreign_weights.mxnet_params import read_params

SAME = ("Flatten", "Dropout", "identity", "_copy", "BlockGrad", "L2Normalization")
ADDITIONS = ("elemwise_add", "_plus", "_Plus", "broadcast_add", "_add")
SCALARS: dict[str, Callable[[float], tuple[float, float]]] = {
    # x -> a x + b for the scalar s: (a, b)
    "_minus_scalar": lambda s: (1.0, -s),
    "_plus_scalar": lambda s: (1.0, s),
    "_mul_scalar": lambda s: (s, 0.0),
    "_div_scalar": lambda s: (1.0 / s if s else math.inf, 0.0),
}
for _name in ("Minus", "Plus", "Mul", "Div"):
    SCALARS[f"_{_name}Scalar"] = SCALARS[f"_{_name.lower()}_scalar"]


def read_mxnet_graph(params: str | os.PathLike[str]) -> tuple[Operation, list[str]]:
    """Reads a network from its `-NNNN.params` file and the `-symbol.json` in the same folder.

    Returns:
        The operation that gives the embedding, and the names of arrays that no operation uses.

    Raises:
        UrfrError: a file is missing or damaged, the second is a link out of the folder, or an operation or
            setting is not one of these networks'.
    """
    symbol = find_symbol_file(params)
    find_beside(Path(params), symbol.name)
    network = _Symbol(read_json(symbol), read_params(params), str(symbol))
    return network.operation(network.head()), network.unused()


def find_symbol_file(params: str | os.PathLike[str]) -> Path:
    """Finds `DIR/NAME-symbol.json` for `DIR/NAME-0000.params`.

    Raises:
        UrfrError: the name does not end like that, or the file is not there.
    """
    path = Path(params)
    stem, count = re.subn(r"-\d{4}\.params$", "", path.name)
    if not count:
        raise UrfrError(f"expected a file named NAME-0000.params, but got {path}")
    symbol = path.with_name(f"{stem}-symbol.json")
    if not symbol.is_file():
        raise UrfrError(
            f"expected the network's structure in {symbol}, next to {path.name}, but there is none"
        )
    return symbol


@dataclass(frozen=True)
class _Node:
    """One entry of a symbol file; `inputs` are numbers of nodes before it."""

    op: str
    name: str
    inputs: list[int]
    attributes: dict[str, str]


class _Symbol:
    """The nodes of a symbol file, which become operations on demand."""

    def __init__(self, symbol: object, arrays: dict[str, AnyArray], where: str) -> None:
        self.where = where
        self.arrays = {name.split(":", 1)[-1]: array for name, array in arrays.items()}
        self.used: set[str] = set()
        self.operations: dict[int, Operation] = {}
        symbol = symbol if isinstance(symbol, dict) else {}
        nodes = symbol.get("nodes")
        if not isinstance(nodes, list) or not nodes:
            raise UrfrError(f"expected a list of nodes in {where}")
        self.entries = nodes
        self.heads = symbol.get("heads")
        self.names: list[str] = []

    def head(self) -> int:
        """Gives the number of the output's node."""
        try:
            heads = self.heads or []
            return self._number(heads[0][0], len(self.entries))
        except (TypeError, IndexError, KeyError) as error:
            raise UrfrError(f"expected the output's node under heads in {self.where}") from error

    def unused(self) -> list[str]:
        """Lists the arrays that no operation took."""
        return sorted(set(self.arrays) - self.used)

    def operation(self, last: int) -> Operation:
        """Builds the nodes up to `last`, in the file's order, which puts inputs before users."""
        for number in range(last + 1):
            node = self._read_node(number)
            self.names.append(node.name)
            if node.op != "null":
                self.operations[number] = self._build(node)
            elif node.name == "data":
                self.operations[number] = make_open_input()
        if last not in self.operations:
            raise UrfrError(f"expected an operation at the head of {self.where}, but got a variable")
        return self.operations[last]

    def _read_node(self, number: int) -> _Node:
        entry = self.entries[number]
        try:
            inputs = [self._number(source[0], number) for source in entry["inputs"]]
            attributes = next((dict(entry[k]) for k in ("attrs", "attr", "param") if entry.get(k)), {})
            return _Node(str(entry["op"]), str(entry["name"]), inputs, attributes)
        except (TypeError, KeyError, IndexError, ValueError, AttributeError) as error:
            raise UrfrError(f"node {number} of {self.where} lacks op, name, inputs or attributes") from error

    def _build(self, node: _Node) -> Operation:
        op, name, attributes = node.op, node.name, node.attributes
        setting = _Settings(attributes, f"{name} in {self.where}")
        sources = [self.operations[number] for number in node.inputs if number in self.operations]
        parameters = [self.names[number] for number in node.inputs if number not in self.operations]
        if op in ADDITIONS and len(sources) == 2:
            return Operation(ADD, name, sources)
        if len(sources) != 1:
            raise UrfrError(f"expected one input of {op} {name} in {self.where}, but got {len(sources)}")
        if op in SAME:
            return sources[0]
        if op in SCALARS:
            return self._scaled(sources[0], op, name, setting)
        if op == "Convolution":
            return self._convolution(name, sources, parameters, setting)
        if op == "FullyConnected":
            weight, *bias = self._take(parameters, 1 if setting.flag("no_bias", False) else 2, name)
            return Operation(DENSE, name, sources, _with_bias(_matrix(weight, name).T, bias))
        if op == "BatchNorm":
            gamma, beta, mean, variance = self._take(parameters, 4, name)
            if setting.flag("fix_gamma", True):
                gamma = np.ones_like(beta)
            arrays = {"scale": gamma, "offset": beta, "mean": mean, "variance": variance}
            return Operation(NORM, name, sources, arrays, epsilon=setting.number("eps", 1e-3))
        if op == "LeakyReLU" and attributes.get("act_type") == "prelu":
            return Operation(PRELU, name, sources, {"slope": self._take(parameters, 1, name)[0].reshape(-1)})
        raise UrfrError(f"{op} {name} in {self.where} has no counterpart in our backbones")

    def _convolution(
        self, name: str, sources: list[Operation], parameters: list[str], setting: "_Settings"
    ) -> Operation:
        weight, *bias = self._take(parameters, 1 if setting.flag("no_bias", False) else 2, name)
        stride, padding, dilation = (
            setting.pair("stride", 1),
            setting.pair("pad", 0),
            setting.pair("dilate", 1),
        )
        if weight.ndim != 4 or dilation != 1:
            raise UrfrError(f"expected a plain 2-D convolution at {name} in {self.where}, got {weight.shape}")
        return Operation(
            CONVOLUTION,
            name,
            sources,
            _with_bias(weight.transpose(2, 3, 1, 0), bias),
            stride=stride,
            padding=padding,
            groups=int(setting.number("num_group", 1)),
        )

    def _scaled(self, source: Operation, op: str, name: str, setting: "_Settings") -> Operation:
        if source.kind != INPUT:
            raise UrfrError(f"expected {op} {name} only at the input of {self.where}")
        factor, term = SCALARS[op](setting.number("scalar", None))
        before = source.arrays or {"scale": np.ones(3), "offset": np.zeros(3)}
        after = {"scale": before["scale"] * factor, "offset": before["offset"] * factor + term}
        return Operation(INPUT, source.name, arrays=after)

    def _take(self, parameters: list[str], count: int, name: str) -> list[AnyArray]:
        if len(parameters) != count:
            raise UrfrError(f"expected {count} parameters of {name} in {self.where}, but got {parameters}")
        missing = [parameter for parameter in parameters if parameter not in self.arrays]
        if missing:
            raise UrfrError(f"{', '.join(missing)} of {self.where} is not in the .params file")
        self.used.update(parameters)
        return [self.arrays[parameter].astype(np.float32) for parameter in parameters]

    def _number(self, value: object, below: int) -> int:
        if not isinstance(value, int) or not 0 <= value < below:
            raise UrfrError(f"expected a node's number below {below} in {self.where}, but got {value!r}")
        return value


class _Settings:
    """The attributes of a node, which the file keeps as strings such as '(3, 3)', 'True', '2e-05'."""

    def __init__(self, attributes: dict[str, str], where: str) -> None:
        self.attributes = attributes
        self.where = where

    def _value(self, key: str, default: object) -> object:
        text = self.attributes.get(key)
        try:
            return default if text is None else ast.literal_eval(str(text))
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return None

    def _refusal(self, key: str) -> UrfrError:
        text = self.attributes.get(key)
        return UrfrError(f"the setting {key} of {self.where} cannot be understood: {text!r}")

    def number(self, key: str, default: float | None) -> float:
        """Gives a setting that is a number."""
        value = self._value(key, default)
        if not isinstance(value, int | float):
            raise self._refusal(key)
        return float(value)

    def flag(self, key: str, default: bool) -> bool:
        """Gives a setting that is True, False, 1 or 0."""
        value = self._value(key, default)
        if not isinstance(value, int):
            raise self._refusal(key)
        return bool(value)

    def pair(self, key: str, default: int) -> int:
        """Gives the one value of a pair of equal integers; () stands for the default."""
        value = self._value(key, ())
        if not isinstance(value, tuple | list):
            raise self._refusal(key)
        first, *others = value or (default, default)
        if len(others) != 1 or first != others[0] or not isinstance(first, int):
            raise UrfrError(f"expected two equal integers for {key} of {self.where}, but got {value}")
        return first


def _matrix(weight: AnyArray, name: str) -> AnyArray:
    if weight.ndim != 2:
        raise UrfrError(f"expected a matrix for {name}, but got the shape {weight.shape}")
    return weight


def _with_bias(kernel: AnyArray, bias: list[AnyArray]) -> dict[str, AnyArray]:
    return {"kernel": kernel, **({"bias": bias[0]} if bias else {})}
