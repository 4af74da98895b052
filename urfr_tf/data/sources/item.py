"""One image of a source before it is read: who, under which name, and where its bytes are."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from urfr_tf.data.headers import HEAD, ImageError, tell_format
from urfr_tf.data.names import find_on_disk


@dataclass(frozen=True)
class Item:
    """An image that can be read later, in another thread or process.

    Attributes:
        identity: the person's name.
        key: the image's name in its source, unique together with the identity.
        file: the file that holds the bytes, from `offset` on, `size` of them (None: all).
        content: the bytes themselves, for sources that can only be read from front to end.
        points: x0, y0, ... x4, y4 in pixels of the photograph, or None.
        problem: why it is refused without being read, or None.
    """

    identity: str
    key: str
    file: str | None = None
    offset: int = 0
    size: int | None = None
    content: bytes | None = None
    points: tuple[float, ...] | None = None
    problem: ImageError | None = None


def read_item(item: Item, max_bytes: int) -> bytes:
    """The bytes of an item.

    Raises:
        ImageError: the item has a problem, its file cannot be read, is no regular file or has more than
            `max_bytes` bytes.
    """
    if item.problem is not None:
        raise item.problem
    if item.content is not None:
        return item.content
    with _opened(item) as (descriptor, size):
        if size > max_bytes:
            raise ImageError("file too large", f"{size} bytes, the limit is {max_bytes}")
        return os.pread(descriptor, size, item.offset)


def why_no_image(item: Item) -> ImageError | None:
    """Tells by its first bytes why an item is no image at all: text, a video, an empty file, a pipe.

    Returns:
        None for an image, a damaged one included, and for a file that cannot be read: it may be one.
    """
    try:
        if item.problem is not None:
            raise item.problem
        head = item.content
        if head is None:
            with _opened(item) as (descriptor, size):
                head = os.pread(descriptor, min(size, HEAD), item.offset)
        tell_format(head)
    except _UnreadableError:
        return None
    except ImageError as refusal:
        return refusal
    return None


class _UnreadableError(ImageError):
    """The system does not let a file be read."""


@contextmanager
def _opened(item: Item) -> Iterator[tuple[int, int]]:
    """Opens a regular file: its descriptor, and how many bytes the item has in it."""
    assert item.file is not None
    try:
        # O_NONBLOCK: opening a named pipe must not wait for somebody to write into it.
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            descriptor = os.open(item.file, flags)
        except FileNotFoundError:
            descriptor = os.open(find_on_disk(item.file), flags)
        with open(descriptor, "rb", buffering=0):
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise ImageError("unreadable", "not a regular file")
            size = status.st_size - item.offset if item.size is None else item.size
            yield descriptor, max(size, 0)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise _UnreadableError("unreadable", reason) from None
