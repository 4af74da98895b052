"""A .tflite file as untrusted bytes: checked before the interpreter sees it, card inside.

TensorFlow Lite 2.15 opens a truncated file without verifying it and dies in a segmentation fault, so
every file is first read by the flatbuffer's Python classes, whose reads are bounds-checked.
"""

import json
import os
import struct
from typing import TYPE_CHECKING

from urfr_tf.errors import UrfrError
from urfr_tf.files import encode_text, open_regular
from urfr_tf.runs.card import CARD_NAME, ModelCard, card_of_json

if TYPE_CHECKING:
    from tensorflow.lite.python.schema_py_generated import ModelT, OperatorT, SubGraphT

IDENTIFIER = b"TFL3"
_LARGEST_CARD = 1 << 20


def read_tflite(path: str | os.PathLike[str]) -> tuple[bytes, ModelCard]:
    """Reads and checks a TFLite file.

    Returns:
        The file's bytes, and the card that `urfr export` wrote into its metadata ({} if it has none).

    Raises:
        UrfrError: it is not a TFLite file, is truncated, has an operator that is not built in, or its card is
            mangled.
    """
    try:
        with open_regular(path) as file:
            content = file.read()
    except OSError as error:
        raise UrfrError(f"could not read {path}: {error.strerror or error}") from error
    if content[4:8] != IDENTIFIER:
        raise UrfrError(
            f"expected a TensorFlow Lite file, but {path} ({len(content)} bytes) does not start like one"
        )
    try:
        model = unpack(content)
        card = _read_card(model, path)
    except (struct.error, IndexError, ValueError, TypeError, OverflowError, MemoryError) as error:
        raise UrfrError(
            f"expected a whole TensorFlow Lite file, but {path} ({len(content)} bytes) is truncated or "
            "damaged"
        ) from error
    if not model.subgraphs:
        raise UrfrError(f"expected a TensorFlow Lite file with a graph, but {path} holds none")
    # TensorFlow's interpreter runs TensorFlow's own operations, such as reading files, as custom operators.
    custom = [_text(code.customCode) for code in model.operatorCodes if code.customCode is not None]
    if custom:
        raise UrfrError(
            f"expected built-in operators only, as urfr export writes them, in {path}, but got "
            f"{custom[0][:100]!r}"
        )
    return content, card


def add_card(content: bytes, card: ModelCard) -> bytes:
    """Writes `card` as JSON into the metadata of a TFLite file, under the name `urfr.json`.

    Returns:
        The bytes of the new file. A card that was there before is replaced.
    """
    import numpy as np
    from tensorflow.lite.python import schema_py_generated as schema

    model = unpack(content)
    metadata, buffer = schema.MetadataT(), schema.BufferT()
    text = json.dumps(card, ensure_ascii=False, sort_keys=True, allow_nan=False)
    buffer.data = np.frombuffer(encode_text(text), np.uint8)
    metadata.name, metadata.buffer = CARD_NAME, len(model.buffers)
    model.buffers = [*model.buffers, buffer]
    model.metadata = [m for m in model.metadata or [] if _text(m.name) != CARD_NAME] + [metadata]
    return pack(model, len(content))


def unpack(content: bytes) -> "ModelT":
    """Reads the file as objects of the flatbuffer's schema (`schema_py_generated.ModelT`).

    Raises:
        struct.error, IndexError, ValueError: something in it points outside of it.
    """
    from tensorflow.lite.python import schema_py_generated as schema

    return schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(content, 0))


def pack(model: "ModelT", size: int) -> bytes:
    """Writes what `unpack` gives as bytes.

    Args:
        model: the objects.
        size: about how many bytes there will be, so that the buffer need not grow.
    """
    import flatbuffers

    builder = flatbuffers.Builder(size + 4096)
    builder.Finish(model.Pack(builder), file_identifier=IDENTIFIER)
    return bytes(builder.Output())


def find_operators(model: "ModelT", graph: "SubGraphT", kind: int) -> "list[OperatorT]":
    """Finds the operators of one kind (`schema.BuiltinOperator`) in a graph, in the order they run."""
    codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
    return [operator for operator in graph.operators if codes[operator.opcodeIndex] == kind]


def _read_card(model: "ModelT", path: str | os.PathLike[str]) -> ModelCard:
    for entry in model.metadata or []:
        if _text(entry.name) == CARD_NAME:
            text = bytes(bytearray(model.buffers[entry.buffer].data))
            return card_of_json(json.loads(text[:_LARGEST_CARD].decode("utf-8")), f"the metadata of {path}")
    return {}


def _text(name: object) -> str:
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)
