"""Text for a terminal: names that are not UTF-8 are printed, and commands can be pasted back."""

import io
import shlex
import sys
from collections.abc import Iterable


def accept_any_name() -> None:
    """Makes printing succeed whatever the name and the terminal: what it cannot show is escaped.

    A byte that is not UTF-8, as E9, is printed as `\\udce9`, which JSON and YAML read back as the same name.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def join_command(words: Iterable[str]) -> str:
    """Joins words to one line for a shell; a word with bytes that are not UTF-8 becomes bash's `$'...'`."""
    return " ".join(map(_quote, words))


def _quote(word: str) -> str:
    try:
        word.encode("utf-8")
    except UnicodeEncodeError:
        escaped = word.replace("\\", "\\\\").replace("'", "\\'")
        return "$'" + "".join(map(_as_byte, escaped)) + "'"
    return shlex.quote(word)


def _as_byte(character: str) -> str:
    """A surrogate escape as the byte that it stands for; every other character as it is."""
    byte = ord(character) - 0xDC00
    return f"\\x{byte:02x}" if 0x80 <= byte < 0x100 else character
