"""Runs the part of the pickle language that holds data; imports and calls nothing of a file's choice.

Python's own unpickler executes whatever a file names. This one steps through the opcodes (decoded by
the standard library's `pickletools`) with a stack of plain values; a named class or function becomes
an `Inert` that remembers its name, unless the caller gives a function of ours for exactly that name.
"""

import pickletools
from collections.abc import Callable, Mapping
from typing import Any

from urfr_tf.errors import UrfrError

_MARK = object()
_KEYS = (str, int, float, bytes, type(None))
_PUSHED = (  # Opcodes whose value stands beside them.
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
)
_NEW: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_SET": list,
    "EMPTY_TUPLE": tuple,
    "MARK": lambda: _MARK,
}


class Inert:
    """Stands for an object of a class, or a function, that is only named: it does nothing."""

    def __init__(self, name: str) -> None:
        self.name = name


def run_pickle(
    content: bytes, where: str, functions: Mapping[str, Callable[..., Any]], persistent: Callable[[Any], Any]
) -> Any:
    """The value that a pickle describes, made of dict, list, tuple, numbers, strings and `Inert`.

    Args:
        content: the pickle.
        where: its name, for messages.
        functions: by full name ("module.name"), what stands for that global when the pickle calls it.
        persistent: what stands for a persistent id.

    Raises:
        UrfrError: it is not a pickle, is cut short, or uses an opcode that plain data does not need.
    """
    machine = _Machine(functions, persistent)
    try:
        for opcode, argument, _ in pickletools.genops(content):
            if opcode.name == "STOP":
                return machine.stack.pop()
            machine.step(opcode.name, argument)
    except UrfrError:
        raise
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise UrfrError(f"{where} is damaged: its pickle cannot be followed ({error})") from error
    raise UrfrError(f"{where} is damaged: its pickle has no end")


class _Machine:
    def __init__(self, functions: Mapping[str, Callable[..., Any]], persistent: Callable[[Any], Any]) -> None:
        self.functions = functions
        self.persistent = persistent
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def step(self, name: str, argument: Any) -> None:
        """Carries out one opcode."""
        stack = self.stack
        if name in _PUSHED:
            stack.append(argument)
        elif name in _NEW:
            stack.append(_NEW[name]())
        elif name in ("PROTO", "FRAME"):
            pass
        elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
            self.memo[argument] = stack[-1]
        elif name == "MEMOIZE":
            self.memo[len(self.memo)] = stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(self.memo[argument])
        elif name == "GLOBAL":
            stack.append(Inert(argument.replace(" ", ".")))
        elif name == "STACK_GLOBAL":
            last, module = stack.pop(), stack.pop()
            stack.append(Inert(f"{module}.{last}"))
        elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
            count = int(name[-1])
            stack[-count:] = [tuple(self._last(count))]
        elif name in ("TUPLE", "LIST", "FROZENSET"):
            items = self._to_mark()
            stack.append(tuple(items) if name == "TUPLE" else items)
        elif name == "DICT":
            items = self._to_mark()
            stack.append({})
            self._put(items)
        elif name in ("APPEND", "APPENDS", "ADDITEMS"):
            items = [stack.pop()] if name == "APPEND" else self._to_mark()
            if isinstance(stack[-1], list):
                stack[-1].extend(items)
        elif name in ("SETITEM", "SETITEMS"):
            self._put(self._pop(2) if name == "SETITEM" else self._to_mark())
        elif name in ("REDUCE", "NEWOBJ", "NEWOBJ_EX"):
            self._call(name)
        elif name == "BUILD":
            stack.pop()
        elif name == "BINPERSID":
            stack.append(self.persistent(stack.pop()))
        elif name == "POP":
            stack.pop()
        elif name == "POP_MARK":
            self._to_mark()
        elif name == "DUP":
            stack.append(stack[-1])
        else:
            raise ValueError(f"opcode {name}")

    def _call(self, name: str) -> None:
        arguments = self._pop(3 if name == "NEWOBJ_EX" else 2)
        called = arguments[0]
        if name == "REDUCE" and isinstance(called, Inert) and called.name in self.functions:
            self.stack.append(self.functions[called.name](*arguments[1]))
        else:
            self.stack.append(Inert(called.name))

    def _put(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, dict):
            # Keys that are containers are left out: hashing a deep one would exhaust C's stack.
            pairs = zip(items[::2], items[1::2], strict=True)
            target.update((key, value) for key, value in pairs if isinstance(key, _KEYS))

    def _last(self, count: int) -> list[Any]:
        items = self.stack[-count:]
        if len(items) < count or any(item is _MARK for item in items):
            raise IndexError("the stack is empty")
        return items

    def _pop(self, count: int) -> list[Any]:
        items = self._last(count)
        del self.stack[-count:]
        return items

    def _to_mark(self) -> list[Any]:
        place = len(self.stack) - 1
        while self.stack[place] is not _MARK:
            place -= 1
            if place < 0:
                raise IndexError("there is no mark")
        items = self.stack[place + 1 :]
        del self.stack[place:]
        return items
