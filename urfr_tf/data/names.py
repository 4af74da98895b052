"""Names of people and files: compared, sorted, as bytes that come back unchanged, and for people to read.

Python's names of files that are not UTF-8 hold surrogate escapes.
"""

import os
import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import Generic, TypeVar

_DIGITS = re.compile(r"([0-9]+)")
T = TypeVar("T")


def normal_form(name: str) -> str:
    """The form in which names are compared (Unicode's NFC): `é` as one character, or as `e` and an accent.

    macOS and some archives write the second form, most lists the first; both are the same name. Bytes that
    are not UTF-8 stay as they are.
    """
    return name if name.isascii() else unicodedata.normalize("NFC", name)


class NameTable(Generic[T]):
    """Finds what goes with a name: as it is written, else by its normal form.

    Args:
        entries: names and what goes with them; a name may occur several times.
    """

    def __init__(self, entries: Iterable[tuple[str, T]]) -> None:
        self._exact: dict[str, list[T]] = {}
        self._normal: dict[str, list[T]] = {}
        for name, value in entries:
            self._exact.setdefault(name, []).append(value)
            if not name.isascii():
                self._normal.setdefault(normal_form(name), []).append(value)

    def find(self, name: str) -> list[T]:
        """Gives all that goes with a name: none, one, or several where the name does not tell them apart."""
        form = normal_form(name)
        return self._exact.get(name) or self._normal.get(form) or self._exact.get(form) or []


def find_on_disk(path: str) -> str:
    """Finds the file that a list names in another Unicode form than the disk.

    Returns:
        The path by which the file is opened; the given one where there is no such file, or more than one.
    """
    if path.isascii() or os.path.lexists(path):
        return path
    folder, name = os.path.split(path)
    if not name or folder == path:
        return path
    folder = find_on_disk(folder)
    try:
        names = _names_in(folder, os.stat(folder).st_mtime_ns).find(name)
    except OSError:
        names = []
    return os.path.join(folder, names[0]) if len(names) == 1 else path


@lru_cache(maxsize=16)
def _names_in(folder: str, changed: int) -> NameTable[str]:
    """The entries of a folder as of its last change; a list names many files of one folder in turn."""
    return NameTable((name, name) for name in os.listdir(folder))


NaturalKey = tuple[list[tuple[int, str]], str]


def natural_key(name: str) -> NaturalKey:
    """Sort key that puts s2 before s10: runs of digits are compared as numbers.

    A number is compared as (digits, text), so that a name of 10,000 digits costs nothing special.
    """
    runs = _DIGITS.split(name)
    for i in range(1, len(runs), 2):
        runs[i] = runs[i].lstrip("0")
    return [(len(run) if i % 2 else 0, run) for i, run in enumerate(runs)], name


def to_bytes(name: str) -> bytes:
    """A name as bytes; names that are not UTF-8 come back from `to_name` unchanged."""
    return name.encode("utf-8", "surrogateescape")


def to_name(value: bytes) -> str:
    """The inverse of `to_bytes`."""
    return value.decode("utf-8", "surrogateescape")


def by_name(identity: bytes, key: bytes) -> tuple[NaturalKey, NaturalKey]:
    """Sort key of an image: its person's name, then its own, both in natural order."""
    return natural_key(to_name(identity)), natural_key(to_name(key))


def shown(key: bytes) -> str:
    """A name for a list that people read: one line, no tab, always UTF-8."""
    name = key.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)
