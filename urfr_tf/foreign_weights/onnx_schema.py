"""The part of ONNX's protobuf schema that weights need, as message classes made at run time.

The field numbers are those of `onnx/onnx.proto` (unchanged since IR version 3). The package `onnx` is
not a dependency; protobuf is there with TensorFlow, and it checks every length against the file. The
descriptors live in a pool of their own, so that `onnx` may be imported in the same process.
"""

from typing import Any

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
# message: {field: (number, type)}; a type in a list is repeated; a type that is no scalar is a message.
_MESSAGES: dict[str, dict[str, tuple[int, Any]]] = {
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


def model_class() -> Any:
    """The message class of a whole ONNX file: `model_class()().ParseFromString(content)`."""
    file = descriptor_pb2.FileDescriptorProto(name="urfr_onnx.proto", package=_PACKAGE, syntax="proto2")
    for message, fields in _MESSAGES.items():
        described = file.message_type.add(name=message)
        for name, (number, kind) in fields.items():
            repeated = isinstance(kind, list)
            kind = kind[0] if repeated else kind
            field = described.field.add(name=name, number=number)
            field.label = field.LABEL_REPEATED if repeated else field.LABEL_OPTIONAL
            if kind in _SCALARS:
                field.type = _SCALARS[kind]
            else:
                field.type = field.TYPE_MESSAGE
                field.type_name = f".{_PACKAGE}.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.Model"))
