"""Reads pickles of bytes, lists and booleans without unpickling: nothing in the file is ever called.

`pickle.Unpickler` imports and calls what the file names. This is an interpreter of its own for the few
opcodes that plain data needs; names of classes stay names, and only six of them are understood, all of
which spell bytes or a boolean: bytearray, bytes, _codecs.encode, and NumPy's uint8 arrays and booleans.
"""

import os
import pickletools
from collections.abc import Callable
from typing import Any

from urfr_tf.errors import UrfrError

_MOST_BYTES = 4 << 30
_MARK = object()
_PASSED_OVER = {"PROTO", "FRAME"}
_VALUES = {
    *("NONE", "NEWTRUE", "NEWFALSE", "INT", "BININT", "BININT1", "BININT2", "LONG1"),
    *("SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_OLD_STRINGS = {"BINSTRING", "SHORT_BINSTRING"}
_STORE = {"PUT", "BINPUT", "LONG_BINPUT"}
_FETCH = {"GET", "BINGET", "LONG_BINGET"}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class _Name(str):
    """The name of something that a real unpickler would import."""


class _Kind:
    """A NumPy type: its two letters."""

    def __init__(self, letters: str) -> None:
        self.letters = letters


class _Array:
    """A NumPy array of which only the bytes are wanted; None until its state came."""

    def __init__(self) -> None:
        self.content: bytes | None = None


def read_plain(path: str | os.PathLike[str]) -> Any:
    """The content of a pickle as tuples, lists, bytes, booleans, numbers and strings.

    Byte arrays, NumPy's one-dimensional uint8 arrays among them, are given as bytes.

    Raises:
        UrfrError: the file cannot be read, is no pickle, or holds anything else.
    """
    try:
        with open(path, "rb") as file:
            if (size := os.fstat(file.fileno()).st_size) > _MOST_BYTES:
                raise UrfrError(f"expected a pickle of at most {_MOST_BYTES} bytes, but {path} has {size}")
            data = file.read()
    except OSError as error:
        raise UrfrError(f"could not read {path}: {error.strerror or error}") from error
    return parse_plain(data, str(path))


def parse_plain(data: bytes, where: str) -> Any:
    """As `read_plain`, of the pickle's bytes; `where` names it in messages."""
    try:
        return _Machine().run(data)
    except (
        _RefusedError,
        ValueError,
        IndexError,
        TypeError,
        KeyError,
        AttributeError,
        OverflowError,
    ) as error:
        raise UrfrError(
            f"expected a pickle of nothing but bytes, lists and booleans in {where}, but it has {error}"
        ) from error


class _RefusedError(Exception):
    pass


class _Machine:
    """The stack and the memo of a pickle's program."""

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def run(self, data: bytes) -> Any:
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name == "STOP":
                return _plain(self._stack.pop())
            self._step(opcode.name, argument)
        raise _RefusedError("no end")

    def _step(self, name: str, argument: Any) -> None:
        stack = self._stack
        if name in _PASSED_OVER:
            return
        if name in _VALUES:
            stack.append(_CONSTANTS.get(name, argument))
        elif name in _OLD_STRINGS:
            stack.append(argument.encode("latin-1"))
        elif name == "BYTEARRAY8":
            stack.append(bytes(argument))
        elif name in ("EMPTY_LIST", "EMPTY_TUPLE"):
            stack.append([] if name == "EMPTY_LIST" else ())
        elif name == "MARK":
            stack.append(_MARK)
        elif name in ("LIST", "TUPLE"):
            values = self._to_mark()
            stack.append(values if name == "LIST" else tuple(values))
        elif name in _TUPLES:
            values = [stack.pop() for _ in range(_TUPLES[name])]
            stack.append(tuple(reversed(values)))
        elif name in ("APPEND", "APPENDS"):
            values = [stack.pop()] if name == "APPEND" else self._to_mark()
            self._list().extend(values)
        elif name in _STORE or name == "MEMOIZE":
            self._memo[len(self._memo) if name == "MEMOIZE" else argument] = stack[-1]
        elif name in _FETCH:
            stack.append(self._memo[argument])
        elif name in ("GLOBAL", "STACK_GLOBAL"):
            parts = argument.split(" ") if name == "GLOBAL" else [stack.pop(), stack.pop()][::-1]
            stack.append(_Name(".".join(map(_text, parts))))
        elif name == "REDUCE":
            arguments, function = stack.pop(), stack.pop()
            stack.append(_reduced(function, arguments))
        elif name == "BUILD":
            state = stack.pop()
            _build(stack[-1], state)
        else:
            raise _RefusedError(f"the opcode {name}")

    def _to_mark(self) -> list[Any]:
        values: list[Any] = []
        while (value := self._stack.pop()) is not _MARK:
            values.append(value)
        return values[::-1]

    def _list(self) -> list[Any]:
        if type(self._stack[-1]) is not list:
            raise _RefusedError("something appended to what is no list")
        return self._stack[-1]


def _text(value: Any) -> str:
    return value.decode("ascii") if isinstance(value, bytes) else str(value)


def _reduced(function: Any, arguments: Any) -> Any:
    """What the call of a known name means; any other name is refused."""
    if not isinstance(function, _Name) or not isinstance(arguments, tuple):
        raise _RefusedError("a call of something without a name")
    module, _, name = function.rpartition(".")
    meaning = _CALLS.get(
        (module.replace("numpy._core", "numpy.core").replace("__builtin__", "builtins"), name)
    )
    if meaning is None:
        raise _RefusedError(f"a call of {str(function)[:100]!r}")
    return meaning(*arguments)


def _encoded(text: str = "", encoding: Any = "latin-1", *_: Any) -> bytes:
    """_codecs.encode(text, "latin1"), how old protocols write bytes; bytearray(text, "latin-1") too."""
    if isinstance(text, bytes):
        return text
    if _text(encoding).lower().replace("-", "") != "latin1":
        raise _RefusedError(f"text in {encoding!r}")
    return text.encode("latin-1")


def _kind(letters: Any, *_: Any) -> _Kind:
    return _Kind(_text(letters))


def _scalar(kind: Any, content: Any) -> bool:
    if not isinstance(kind, _Kind) or kind.letters not in ("b1", "?"):
        raise _RefusedError("a NumPy number that is no boolean")
    return bool(_encoded(content)[0])


def _reconstruct(*_: Any) -> _Array:
    return _Array()


def _from_buffer(content: Any, kind: Any, shape: Any, *_: Any) -> bytes:
    array = _Array()
    _build(array, (1, shape, kind, False, content))
    assert array.content is not None
    return array.content


_CALLS: dict[tuple[str, str], Callable[..., Any]] = {
    ("builtins", "bytearray"): _encoded,
    ("builtins", "bytes"): _encoded,
    ("_codecs", "encode"): _encoded,
    ("numpy", "dtype"): _kind,
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy.core.numeric", "_frombuffer"): _from_buffer,
}


def _build(target: Any, state: Any) -> None:
    if isinstance(target, _Kind):
        return  # byte order and alignment, which bytes do not have
    if not isinstance(target, _Array):
        raise _RefusedError("state for an object")
    _, shape, kind, _, content = state
    content = _encoded(content)
    if not isinstance(kind, _Kind) or kind.letters != "u1" or shape != (len(content),):
        raise _RefusedError("a NumPy array that is not plain bytes")
    target.content = content


def _plain(value: Any) -> Any:
    """Replaces the arrays of a finished structure by their bytes, two levels of lists deep."""
    if isinstance(value, tuple | list):
        return type(value)(_inner(part) for part in value)
    return _leaf(value)


def _inner(value: Any) -> Any:
    return [_leaf(part) for part in value] if isinstance(value, list) else _leaf(value)


def _leaf(value: Any) -> Any:
    if isinstance(value, _Array):
        value = value.content
    if not isinstance(value, bytes | bool):
        raise _RefusedError(
            f"a value of type {type(value).__name__.strip('_')} where bytes or a boolean should be"
        )
    return value
