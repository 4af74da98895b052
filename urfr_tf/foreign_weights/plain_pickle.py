"""Reads pickles of bytes, lists and booleans without unpickling them.

The allow-list has seven functions, all of which spell bytes or a boolean: bytearray, bytes, _codecs.encode,
and those of NumPy's uint8 arrays and booleans. Any other call is refused (see pickle_machine).
"""

import os
from collections.abc import Callable
from typing import TypeAlias

from urfr_tf.errors import UrfrError
from urfr_tf.foreign_weights.bounded import read_file
from urfr_tf.foreign_weights.pickle_machine import Inert, PickleError, PickleRules, follow_pickle

PlainValue: TypeAlias = "bytes | bool | list[bytes | bool]"
PlainPickle: TypeAlias = "bytes | bool | list[PlainValue] | tuple[PlainValue, ...]"
_MOST_BYTES = 4 << 30


class _NumpyType:
    """A NumPy type; only its letters matter."""

    def __init__(self, letters: str) -> None:
        self.letters = letters

    def set_state(self, state: object) -> None:
        """Byte order and alignment, which bytes do not have."""


class _NumpyArray:
    """A NumPy array of which only the bytes are wanted; None until its state is set."""

    def __init__(self) -> None:
        self.content: bytes | None = None

    def set_state(self, state: object) -> None:
        """(version, shape, type, Fortran order, content)."""
        if not isinstance(state, tuple) or len(state) != 5:
            raise ValueError("a NumPy array that is not plain bytes")
        _, shape, kind, _, content = state
        content = _encode(content)
        if not isinstance(kind, _NumpyType) or kind.letters != "u1" or shape != (len(content),):
            raise ValueError("a NumPy array that is not plain bytes")
        self.content = content


def read_plain(path: str | os.PathLike[str]) -> PlainPickle:
    """Reads a pickle file of bytes, lists and booleans.

    Byte arrays, NumPy's one-dimensional uint8 arrays among them, are given as bytes.

    Returns:
        What was pickled: a value, or a tuple or list of values and lists of values.

    Raises:
        UrfrError: the file cannot be read, is over 4 GiB, is no pickle, or holds anything else.
    """
    try:
        size = os.path.getsize(path)
    except OSError as error:
        raise UrfrError(f"could not read {path}: {error.strerror or error}") from error
    if size > _MOST_BYTES:
        raise UrfrError(f"expected a pickle of at most {_MOST_BYTES} bytes, but {path} has {size}")
    return parse_plain(read_file(path), str(path))


def parse_plain(content: bytes, where: str) -> PlainPickle:
    """Does the same as `read_plain` with the bytes of a pickle; `where` names it in messages."""
    try:
        return _plain(follow_pickle(content, _RULES))
    except (PickleError, ValueError) as error:
        raise UrfrError(
            f"expected a pickle of nothing but bytes, lists and booleans in {where}, but it has {error}"
        ) from error


def _text(value: object) -> str:
    return value.decode("ascii") if isinstance(value, bytes) else str(value)


def _encode(text: object = "", encoding: object = "latin-1", *_: object) -> bytes:
    """_codecs.encode(text, "latin1"), how old protocols write bytes; bytearray(text, "latin-1") too."""
    if isinstance(text, bytes):
        return text
    if not isinstance(text, str) or not isinstance(encoding, str | bytes):
        raise ValueError("bytes that are neither bytes nor text")
    if _text(encoding).lower().replace("-", "") != "latin1":
        raise ValueError(f"text in {encoding!r}")
    return text.encode("latin-1")


def _make_type(letters: object, *_: object) -> _NumpyType:
    return _NumpyType(_text(letters) if isinstance(letters, str | bytes) else "")


def _make_boolean(kind: object, content: object) -> bool:
    if not isinstance(kind, _NumpyType) or kind.letters not in ("b1", "?"):
        raise ValueError("a NumPy number that is no boolean")
    return bool(_encode(content)[0])


def _make_array(*_: object) -> _NumpyArray:
    return _NumpyArray()


def _array_from_buffer(content: object, kind: object, shape: object, *_: object) -> bytes | None:
    array = _NumpyArray()
    array.set_state((1, shape, kind, False, content))
    return array.content


def _allow_list() -> dict[str, Callable[..., object]]:
    """Python 2 and NumPy 2 have other names for the modules."""
    functions: dict[str, Callable[..., object]] = {"_codecs.encode": _encode, "numpy.dtype": _make_type}
    for module in ("builtins", "__builtin__"):
        functions.update({f"{module}.bytearray": _encode, f"{module}.bytes": _encode})
    for core in ("numpy.core", "numpy._core"):
        functions[f"{core}.multiarray.scalar"] = _make_boolean
        functions[f"{core}.multiarray._reconstruct"] = _make_array
        functions[f"{core}.numeric._frombuffer"] = _array_from_buffer
    return functions


_RULES = PickleRules(_allow_list(), strict=True, old_text_as_bytes=True)


def _plain(value: object) -> PlainPickle:
    """Replaces the arrays of a finished structure by their bytes, two levels of lists deep."""
    if isinstance(value, tuple):
        return tuple(_inner(item) for item in value)
    if isinstance(value, list):
        return [_inner(item) for item in value]
    return _leaf(value)


def _inner(value: object) -> PlainValue:
    return [_leaf(item) for item in value] if isinstance(value, list) else _leaf(value)


def _leaf(value: object) -> bytes | bool:
    if isinstance(value, _NumpyArray):
        value = value.content
    if not isinstance(value, bytes | bool):
        kind = value.name if isinstance(value, Inert) else type(value).__name__.strip("_")
        raise ValueError(f"a value of type {kind[:100]} where bytes or a boolean should be")
    return value
