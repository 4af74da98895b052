"""Follows a pickle as data. Nothing in the file is ever imported or called.

Python's own unpickler imports and calls what a file names. This reader steps through the opcodes, which the
standard library's `pickletools` decodes, with a stack of plain values. A named class or function becomes an
`Inert`, which only remembers its name. A call is carried out only if the caller's allow-list has a function
of ours for exactly that name.
"""

import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from urfr_tf.errors import UrfrError

_MARK = object()
_KEYS = (str, int, float, bytes, type(None))
_LONGEST_NAME = 100
_PUSHED = (  # Opcodes whose argument is the value.
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
)
_OLD_TEXT = ("STRING", "BINSTRING", "SHORT_BINSTRING")
_NEW: dict[str, Callable[[], object]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_SET": lambda: Inert("builtins.set"),
    "MARK": lambda: _MARK,
}


class Inert:
    """Stands for an object, a class or a function that is only named. It does nothing.

    Args:
        name: the full name, "module.name".
    """

    def __init__(self, name: str) -> None:
        self.name = name


@runtime_checkable
class Stateful(Protocol):
    """What a function of an allow-list returns where the pickle sets the state of the object afterwards."""

    def set_state(self, state: object) -> None:
        """Takes the state; raises ValueError if it is not as expected."""


@dataclass(frozen=True)
class PickleRules:
    """What a pickle may do.

    Attributes:
        functions: the allow-list. By full name ("module.name"), what stands for that global when the pickle
            calls it.
        persistent: what stands for a persistent id; None refuses persistent ids.
        strict: refuse a call of any other name, and the state of any other object. Otherwise the result of
            such a call is an `Inert`, and its state is passed over.
        old_text_as_bytes: the strings of Python 2 are bytes, as in `pickle.load(encoding="bytes")`.
    """

    functions: Mapping[str, Callable[..., object]]
    persistent: Callable[[object], object] | None = None
    strict: bool = False
    old_text_as_bytes: bool = False


class PickleError(Exception):
    """A pickle cannot be followed, or does what the rules do not allow. The message says what."""


def follow_pickle(content: bytes, rules: PickleRules) -> object:
    """Gives the value that a pickle describes.

    Returns:
        A value made of dict, list, tuple, numbers, strings, bytes, `Inert`, and what the functions of the
        rules give.

    Raises:
        PickleError: it is not a pickle, is cut short, uses an opcode that plain data does not need, or does
            what the rules do not allow.
    """
    try:
        return _Machine(rules).run(content)
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise PickleError(str(error)) from error


def run_pickle(content: bytes, where: str, rules: PickleRules) -> object:
    """Does the same as `follow_pickle` for a file that should be whole.

    Args:
        content: the pickle.
        where: its name, for messages.
        rules: what it may do.

    Raises:
        UrfrError: see PickleError of `follow_pickle`.
    """
    try:
        return follow_pickle(content, rules)
    except PickleError as error:
        raise UrfrError(f"{where} is damaged: its pickle cannot be followed ({error})") from error


class _Machine:
    """The stack and the memo of one pickle."""

    def __init__(self, rules: PickleRules) -> None:
        self.rules = rules
        self.stack: list[object] = []
        self.memo: dict[int, object] = {}

    def run(self, content: bytes) -> object:
        """Carries out the opcodes up to STOP."""
        for opcode, argument, _ in pickletools.genops(content):
            name = opcode.name
            if name == "STOP":
                return self.stack.pop()
            if name in _PUSHED:
                self.stack.append(argument)
            elif name in _OLD_TEXT:
                text = str(argument)
                self.stack.append(text.encode("latin-1") if self.rules.old_text_as_bytes else text)
            elif name == "BYTEARRAY8":
                self.stack.append(bytes(argument or b""))
            elif name in _NEW:
                self.stack.append(_NEW[name]())
            elif name in _STEPS:
                _STEPS[name](self, name, argument)
            else:
                raise ValueError(f"the opcode {name}")
        raise ValueError("no end")

    def ignore(self, name: str, argument: object) -> None:
        """PROTO and FRAME."""

    def store(self, name: str, argument: int) -> None:
        """Puts the top of the stack into the memo."""
        self.memo[len(self.memo) if name == "MEMOIZE" else argument] = self.stack[-1]

    def fetch(self, name: str, argument: int) -> None:
        """Pushes a value from the memo."""
        self.stack.append(self.memo[argument])

    def name_global(self, name: str, argument: str) -> None:
        """Pushes a name, which a real unpickler would import."""
        words = argument.split(" ") if name == "GLOBAL" else self._pop(2)
        if not all(isinstance(word, str) for word in words):
            raise ValueError("a name that is no text")
        self.stack.append(Inert(".".join(map(str, words))))

    def make_tuple(self, name: str, argument: object) -> None:
        """TUPLE, TUPLE1, TUPLE2, TUPLE3."""
        self.stack.append(tuple(self._to_mark() if name == "TUPLE" else self._pop(int(name[-1]))))

    def make_list(self, name: str, argument: object) -> None:
        """LIST."""
        self.stack.append(self._to_mark())

    def make_frozenset(self, name: str, argument: object) -> None:
        """Sets are stepped over: hashing what a stranger wrote can exhaust C's stack."""
        self._to_mark()
        self.stack.append(Inert("builtins.frozenset"))

    def make_dict(self, name: str, argument: object) -> None:
        """DICT."""
        items = self._to_mark()
        self.stack.append({})
        self._set_items(items)

    def extend(self, name: str, argument: object) -> None:
        """APPEND, APPENDS, ADDITEMS."""
        items = self._pop(1) if name == "APPEND" else self._to_mark()
        target = self.stack[-1]
        if isinstance(target, list):
            target.extend(items)
        elif self.rules.strict:
            raise ValueError("something appended to what is no list")

    def set_items(self, name: str, argument: object) -> None:
        """SETITEM, SETITEMS."""
        self._set_items(self._pop(2) if name == "SETITEM" else self._to_mark())

    def call(self, name: str, argument: object) -> None:
        """REDUCE, NEWOBJ, NEWOBJ_EX: a function of the allow-list, or an `Inert`."""
        called, *arguments = self._pop(3 if name == "NEWOBJ_EX" else 2)
        if not isinstance(called, Inert):
            raise ValueError("a call of something without a name")
        function = self.rules.functions.get(called.name) if name == "REDUCE" else None
        if function is not None:
            if not isinstance(arguments[0], tuple):
                raise ValueError(f"a call of {called.name} without arguments")
            self.stack.append(function(*arguments[0]))
        elif self.rules.strict:
            raise ValueError(f"a call of {called.name[:_LONGEST_NAME]!r}")
        else:
            self.stack.append(Inert(called.name))

    def build(self, name: str, argument: object) -> None:
        """BUILD: the state of an object."""
        target, state = self._pop(2)
        self.stack.append(target)
        if isinstance(target, Stateful):
            target.set_state(state)
        elif self.rules.strict:
            raise ValueError("state for an object")

    def persist(self, name: str, argument: object) -> None:
        """BINPERSID."""
        if self.rules.persistent is None:
            raise ValueError(f"the opcode {name}")
        self.stack.append(self.rules.persistent(self.stack.pop()))

    def drop(self, name: str, argument: object) -> None:
        """POP, POP_MARK."""
        if name == "POP":
            self.stack.pop()
        else:
            self._to_mark()

    def duplicate(self, name: str, argument: object) -> None:
        """DUP."""
        self.stack.append(self.stack[-1])

    def _set_items(self, items: list[object]) -> None:
        target = self.stack[-1]
        if isinstance(target, dict):
            # Keys that are containers are left out: hashing a deep one would exhaust C's stack.
            pairs = zip(items[::2], items[1::2], strict=True)
            target.update((key, value) for key, value in pairs if isinstance(key, _KEYS))

    def _pop(self, count: int) -> list[object]:
        items = self.stack[-count:]
        if len(items) < count or any(item is _MARK for item in items):
            raise IndexError("the stack is empty")
        del self.stack[-count:]
        return items

    def _to_mark(self) -> list[object]:
        place = len(self.stack) - 1
        while place >= 0 and self.stack[place] is not _MARK:
            place -= 1
        if place < 0:
            raise IndexError("there is no mark")
        items = self.stack[place + 1 :]
        del self.stack[place:]
        return items


_STEPS: dict[str, Callable[..., None]] = {
    **dict.fromkeys(("PROTO", "FRAME"), _Machine.ignore),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"), _Machine.store),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _Machine.fetch),
    **dict.fromkeys(("GLOBAL", "STACK_GLOBAL"), _Machine.name_global),
    **dict.fromkeys(("TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"), _Machine.make_tuple),
    "LIST": _Machine.make_list,
    "FROZENSET": _Machine.make_frozenset,
    "DICT": _Machine.make_dict,
    **dict.fromkeys(("APPEND", "APPENDS", "ADDITEMS"), _Machine.extend),
    **dict.fromkeys(("SETITEM", "SETITEMS"), _Machine.set_items),
    **dict.fromkeys(("REDUCE", "NEWOBJ", "NEWOBJ_EX"), _Machine.call),
    "BUILD": _Machine.build,
    "BINPERSID": _Machine.persist,
    **dict.fromkeys(("POP", "POP_MARK"), _Machine.drop),
    "DUP": _Machine.duplicate,
}
