"""Lists in text files from anywhere: encodings with and without a byte-order mark, and what separates cells.

UTF-8 is the rule; bytes that are not UTF-8 become surrogate escapes, as in names of files. UTF-16 and UTF-32
are told by their mark, UTF-16 also by its zeros. Lines may end in any way.
"""

import codecs
import csv
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

from urfr_tf.errors import UrfrError

SPACES = " "
"""As a delimiter: any run of white space."""
_SAMPLE = 64 * 1024
_SAMPLED_LINES = 20
# That of UTF-32 begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@contextmanager
def open_list(path: str, newline: str | None = None) -> Iterator[TextIO]:
    """Opens a list as text.

    Args:
        path: the file.
        newline: as in `open`; "" for csv.reader.

    Raises:
        UrfrError: the file cannot be read, is binary, or not in its encoding.
    """
    try:
        with open(path, "rb") as binary:
            encoding = tell_encoding(binary.read(_SAMPLE), path)
        errors = "surrogateescape" if encoding.startswith("utf-8") else "strict"
        with open(path, encoding=encoding, errors=errors, newline=newline) as file:
            yield file
    except OSError as error:
        raise UrfrError(f"could not read the list {path}: {error.strerror or error}") from error
    except UnicodeError as error:
        raise UrfrError(f"expected text in {path}, but it is not whole: {error}") from error


def tell_encoding(head: bytes, path: str) -> str:
    """Tells the encoding of a text by how it begins.

    Raises:
        UrfrError: it is no text; `path` names it.
    """
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    if b"\0" not in head:
        return "utf-8"
    # Of text in mostly Latin letters every other byte is zero in UTF-16.
    even, odd = head[::2].count(0), head[1::2].count(0)
    if even == 0 or odd == 0:
        encoding = "utf-16-be" if even else "utf-16-le"
        try:
            text = codecs.getincrementaldecoder(encoding)().decode(head)
        except UnicodeError:
            text = "\0"
        if all(c.isprintable() or c in "\t\r\n" for c in text):
            return encoding
    raise UrfrError(f"expected a list in text, but {path} is binary")


def decode_list(content: bytes, path: str) -> list[str]:
    """The lines of a list that is in memory; as `open_list`."""
    encoding = tell_encoding(content[:_SAMPLE], path)
    try:
        text = content.decode(encoding, "surrogateescape" if encoding.startswith("utf-8") else "strict")
    except UnicodeError as error:
        raise UrfrError(f"expected text in {path}, but it is not whole: {error}") from error
    return text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n").split("\n")


def split_cells(line: str, delimiter: str) -> list[str]:
    """The cells of a line; those between commas or semicolons may be in quotation marks, and are trimmed."""
    if delimiter == SPACES:
        return line.split()
    if delimiter == "\t":
        return line.split("\t")
    return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter), [])]


def choose_delimiter(
    lines: Sequence[str], delimiters: Sequence[str], fits: Callable[[list[str]], bool]
) -> str:
    """Chooses by the first lines what separates the cells of a list.

    Args:
        lines: the list, or its beginning.
        delimiters: what may separate cells; the first is chosen where none is better.
        fits: whether cells are those of a line of this kind of list.
    """
    sample = [line for line in lines if line.strip()][:_SAMPLED_LINES]

    def count(delimiter: str) -> int:
        try:
            return sum(fits(split_cells(line, delimiter)) for line in sample)
        except csv.Error:  # a cell of over 131072 characters
            return 0

    return max(delimiters, key=count)


def first_lines(path: str) -> list[str]:
    """The lines at the beginning of a list, whole ones, where that is not one long line.

    Raises:
        UrfrError: as `open_list`.
    """
    with open_list(path) as file:
        text = file.read(_SAMPLE)
        lines = text.split("\n")
        return lines[:-1] if len(lines) > 1 and len(text) == _SAMPLE else lines
