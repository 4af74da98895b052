"""A .tflite file as untrusted bytes: checked before the interpreter sees it, card inside.

TensorFlow Lite 2.15 opens a truncated file without verifying it and dies in a segmentation fault, so
every file is first read by the flatbuffer's Python classes, whose reads are bounds-checked.
"""

import json
import os
import struct
from typing import Any

from urfr_tf.errors import UrfrError

IDENTIFIER = b"TFL3"
CARD = "urfr.json"
_LARGEST_CARD = 1 << 20


def read_tflite(path: str | os.PathLike[str]) -> tuple[bytes, dict[str, Any]]:
    """Reads and checks a TFLite file.

    Returns:
        The file's bytes, and the card that `urfr export` wrote into its metadata ({} if it has none).

    Raises:
        UrfrError: it is not a TFLite file, is truncated, or its card is mangled.
    """
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        raise UrfrError(f"could not read {path}: {error.strerror or error}") from error
    if content[4:8] != IDENTIFIER:
        raise UrfrError(
            f"expected a TensorFlow Lite file, but {path} ({len(content)} bytes) does not start like one"
        )
    try:
        model = unpack(content)
        card = _card(model)
    except (struct.error, IndexError, ValueError, TypeError, OverflowError, MemoryError) as error:
        raise UrfrError(
            f"expected a whole TensorFlow Lite file, but {path} ({len(content)} bytes) is truncated or damaged"
        ) from error
    if not model.subgraphs:
        raise UrfrError(f"expected a TensorFlow Lite file with a graph, but {path} holds none")
    return content, card


def with_card(content: bytes, card: dict[str, Any]) -> bytes:
    """The same model with `card` as JSON in its metadata, under the name `urfr.json`."""
    import numpy as np
    from tensorflow.lite.python import schema_py_generated as schema

    model = unpack(content)
    metadata, buffer = schema.MetadataT(), schema.BufferT()
    text = json.dumps(card, ensure_ascii=False, sort_keys=True, allow_nan=False)
    buffer.data = np.frombuffer(text.encode("utf-8"), np.uint8)
    metadata.name, metadata.buffer = CARD, len(model.buffers)
    model.buffers = [*model.buffers, buffer]
    model.metadata = [m for m in model.metadata or [] if _text(m.name) != CARD] + [metadata]
    return pack(model, len(content))


def unpack(content: bytes) -> Any:
    """The file as objects of the flatbuffer's schema (`schema_py_generated.ModelT`).

    Raises:
        struct.error, IndexError, ValueError: something in it points outside of it.
    """
    from tensorflow.lite.python import schema_py_generated as schema

    return schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(content, 0))


def pack(model: Any, size: int) -> bytes:
    """The bytes of what `unpack` gives; `size` is about how many, so that its buffer need not grow."""
    import flatbuffers

    builder = flatbuffers.Builder(size + 4096)
    builder.Finish(model.Pack(builder), file_identifier=IDENTIFIER)
    return bytes(builder.Output())


def of_kind(model: Any, graph: Any, kind: int) -> list[Any]:
    """The graph's operators of one of `schema.BuiltinOperator`'s kinds, in the order in which they run."""
    codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
    return [operator for operator in graph.operators if codes[operator.opcodeIndex] == kind]


def _card(model: Any) -> dict[str, Any]:
    for entry in model.metadata or []:
        if _text(entry.name) == CARD:
            text = bytes(bytearray(model.buffers[entry.buffer].data))
            card = json.loads(text[:_LARGEST_CARD].decode("utf-8"))
            if not isinstance(card, dict):
                raise ValueError("the card is not an object")
            return card
    return {}


def _text(name: Any) -> str:
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)
