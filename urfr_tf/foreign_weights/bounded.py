"""Reads a binary file whose sizes are not to be trusted."""

import os
import struct
from typing import Any, TypeAlias

from numpy.typing import NDArray

from urfr_tf.errors import UrfrError
from urfr_tf.files import open_regular

AnyArray: TypeAlias = NDArray[Any]
"""An array of whatever type a file has."""


def read_file(path: str | os.PathLike[str]) -> bytes:
    """Reads a whole file.

    Raises:
        UrfrError: it cannot be read, or it is no regular file.
    """
    try:
        with open_regular(path) as file:
            return file.read()
    except OSError as error:
        raise UrfrError(f"could not read {path}: {error.strerror or error}") from error


class BoundedReader:
    """A position in `content`. Every step is checked against the end before memory is allocated.

    Args:
        content: the file.
        where: its name, for messages.
    """

    def __init__(self, content: bytes, where: str) -> None:
        self.content = memoryview(content)
        self.where = where
        self.position = 0

    @property
    def left(self) -> int:
        """How many bytes were not read yet."""
        return len(self.content) - self.position

    def take(self, count: int, what: str) -> memoryview:
        """Gives the next `count` bytes.

        Raises:
            UrfrError: fewer are left.
        """
        if count < 0 or count > self.left:
            raise UrfrError(
                f"{self.where} is cut short or damaged: {what} needs {count} bytes at {self.position}, "
                f"but {self.left} are left"
            )
        self.position += count
        return self.content[self.position - count : self.position]

    def unpack(self, layout: str, what: str) -> tuple[int, ...]:
        """Gives little-endian integers in the notation of `struct`."""
        layout = "<" + layout
        return struct.unpack(layout, self.take(struct.calcsize(layout), what))
