"""One process at a time: a lock on a folder that is written into."""

import contextlib
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

from urfr_tf.errors import UrfrError

LOCK = ".lock"
"""Name of the file that carries the lock of a folder while it is held."""


@contextlib.contextmanager
def lock_folder(
    folder: str | os.PathLike[str], work: str, name: str = LOCK, *, wait: bool = False
) -> Iterator[None]:
    """Keeps every other process that asks for the same lock from writing into a folder.

    The system releases the lock when the process ends, however it ends. A file system without locks is named
    in a warning, and nobody is kept out. A folder that was made for the lock, and in which nothing was
    written, is removed again.

    Args:
        folder: the folder; made when missing.
        work: who has the lock, for the message: "urfr train".
        name: file in the folder that carries the lock while it is held.
        wait: wait until the lock is free.

    Raises:
        UrfrError: another process has the lock; the message names it. Or the folder is a file, or cannot be
            written.
    """
    path = Path(folder) / name
    missing = [each for each in path.parents if not each.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = _take_lock(path, wait)
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{work} (process {os.getpid()} on {socket.gethostname()})".encode())
    except OSError as error:
        if path.parent.exists() and not path.parent.is_dir():
            raise UrfrError(f"expected a folder at {path.parent}, but it is a file") from error
        raise UrfrError(f"could not write {path}: {error.strerror or error}") from error
    try:
        yield
    finally:
        # Removed while it is held: whoever waited for it looks whether the file is still there.
        path.unlink(missing_ok=True)
        os.close(descriptor)
        with contextlib.suppress(OSError):
            for each in missing:
                each.rmdir()


def _take_lock(path: Path, wait: bool) -> int:
    """Opens and locks a file; returns its descriptor."""
    import fcntl  # Not on every system that only reads models.

    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError as error:
            holder = os.read(descriptor, 1000).decode("utf-8", "replace") or "another process"
            os.close(descriptor)
            raise UrfrError(
                f"{holder} is writing to {path.parent}; wait until it has ended, or choose another folder"
            ) from error
        except OSError as error:
            print(
                f"warning: the file system of {path.parent} has no locks ({error.strerror}); "
                "make sure that no other process writes into this folder",
                file=sys.stderr,
            )
            return descriptor
        try:
            if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                return descriptor
        except FileNotFoundError:
            pass
        os.close(descriptor)
