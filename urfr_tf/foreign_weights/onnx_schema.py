"""The messages of ONNX's protobuf schema that weights need. Their classes are built at run time.

The field numbers are those of `onnx/onnx.proto` (unchanged since IR version 3). The package `onnx` is not a
dependency. Protobuf comes with TensorFlow, and it checks every length against the file. The descriptors live
in a separate pool, so that `onnx` may be imported in the same process.
"""

import functools
from collections.abc import Sequence
from typing import Protocol, TypeAlias

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_PACKAGE = "urfr_onnx"
_SCALARS = {
    "float": descriptor_pb2.FieldDescriptorProto.TYPE_FLOAT,
    "double": descriptor_pb2.FieldDescriptorProto.TYPE_DOUBLE,
    "int32": descriptor_pb2.FieldDescriptorProto.TYPE_INT32,
    "int64": descriptor_pb2.FieldDescriptorProto.TYPE_INT64,
    "string": descriptor_pb2.FieldDescriptorProto.TYPE_STRING,
    "bytes": descriptor_pb2.FieldDescriptorProto.TYPE_BYTES,
}
_FieldType: TypeAlias = "str | list[str]"
# message: {field: (number, type)}; a type in a list is repeated; a type that is no scalar is a message.
_MESSAGES: dict[str, dict[str, tuple[int, _FieldType]]] = {
    "Entry": {"key": (1, "string"), "value": (2, "string")},
    "Tensor": {
        "dims": (1, ["int64"]),
        "data_type": (2, "int32"),
        "float_data": (4, ["float"]),
        "int32_data": (5, ["int32"]),
        "int64_data": (7, ["int64"]),
        "name": (8, "string"),
        "raw_data": (9, "bytes"),
        "double_data": (10, ["double"]),
        "external_data": (13, ["Entry"]),
        "data_location": (14, "int32"),
    },
    "Attribute": {
        "name": (1, "string"),
        "f": (2, "float"),
        "i": (3, "int64"),
        "s": (4, "bytes"),
        "t": (5, "Tensor"),
        "floats": (7, ["float"]),
        "ints": (8, ["int64"]),
    },
    "Node": {
        "input": (1, ["string"]),
        "output": (2, ["string"]),
        "name": (3, "string"),
        "op_type": (4, "string"),
        "attribute": (5, ["Attribute"]),
    },
    "Dimension": {"dim_value": (1, "int64"), "dim_param": (2, "string")},
    "Shape": {"dim": (1, ["Dimension"])},
    "TensorType": {"elem_type": (1, "int32"), "shape": (2, "Shape")},
    "Type": {"tensor_type": (1, "TensorType")},
    "ValueInfo": {"name": (1, "string"), "type": (2, "Type")},
    "Graph": {
        "node": (1, ["Node"]),
        "name": (2, "string"),
        "initializer": (5, ["Tensor"]),
        "input": (11, ["ValueInfo"]),
        "output": (12, ["ValueInfo"]),
    },
    "Model": {"ir_version": (1, "int64"), "graph": (7, "Graph")},
}


class OnnxEntry(Protocol):
    """A key and its value."""

    key: str
    value: str


class OnnxTensor(Protocol):
    """An array, its content here or in another file."""

    name: str
    dims: Sequence[int]
    data_type: int
    raw_data: bytes
    data_location: int
    external_data: Sequence[OnnxEntry]


class OnnxAttribute(Protocol):
    """A setting of a node, in one field of several."""

    name: str
    f: float
    i: int
    s: bytes
    t: OnnxTensor
    floats: Sequence[float]
    ints: Sequence[int]

    def HasField(self, name: str) -> bool:  # noqa: N802 (protobuf's name)
        """Whether a field that is not repeated is set."""


class OnnxNode(Protocol):
    """One layer: names of what it takes and gives, and its settings."""

    name: str
    op_type: str
    input: Sequence[str]
    output: Sequence[str]
    attribute: Sequence[OnnxAttribute]


class OnnxDimension(Protocol):
    """A side; 0 where it is free."""

    dim_value: int


class OnnxShape(Protocol):
    """The sides of an input."""

    dim: Sequence[OnnxDimension]


class OnnxTensorType(Protocol):
    """The shape of an input."""

    shape: OnnxShape


class OnnxType(Protocol):
    """The type of an input."""

    tensor_type: OnnxTensorType


class OnnxValue(Protocol):
    """An input or output."""

    name: str
    type: OnnxType


class OnnxGraph(Protocol):
    """A network."""

    node: Sequence[OnnxNode]
    initializer: Sequence[OnnxTensor]
    input: Sequence[OnnxValue]
    output: Sequence[OnnxValue]


class OnnxModel(Protocol):
    """A whole file."""

    graph: OnnxGraph

    def ParseFromString(self, content: bytes) -> int:  # noqa: N802 (protobuf's name)
        """Takes the fields from a file's content; raises DecodeError."""


@functools.cache
def build_model_class() -> type[OnnxModel]:
    """Builds the message class of a whole ONNX file: `build_model_class()().ParseFromString(content)`."""
    file = descriptor_pb2.FileDescriptorProto(name="urfr_onnx.proto", package=_PACKAGE, syntax="proto2")
    for message, fields in _MESSAGES.items():
        described = file.message_type.add(name=message)
        for name, (number, kind) in fields.items():
            field = described.field.add(name=name, number=number)
            field.label = field.LABEL_REPEATED if isinstance(kind, list) else field.LABEL_OPTIONAL
            type_name = kind[0] if isinstance(kind, list) else kind
            if type_name in _SCALARS:
                field.type = _SCALARS[type_name]
            else:
                field.type = field.TYPE_MESSAGE
                field.type_name = f".{_PACKAGE}.{type_name}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    model: type[OnnxModel] = message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.Model"))
    return model
