"""Paths as TensorFlow takes them: UTF-8, and without the characters that it reads as a pattern.

TensorFlow reads `exp[1]/checkpoints/step-2` as a pattern and finds nothing. It refuses a path that is not
UTF-8, or fails when it puts the path into a message. Such a path gets another name here: a symbolic link in
a temporary folder of this process.
"""

import atexit
import functools
import os
import shutil
import tempfile
from pathlib import Path

_PATTERN = frozenset("*?[\\")
_links: dict[str, str] = {}


def plain_path(path: str | os.PathLike[str]) -> str:
    """Returns a path of the same file or folder that TensorFlow takes.

    Args:
        path: of a file or folder, or of one that is about to be written into an existing folder.

    Returns:
        The path itself wherever TensorFlow takes it. The other name is valid as long as this process lives.
    """
    text = os.fspath(path)
    if _is_plain(text):
        return text
    if not os.path.exists(text):
        folder, name = os.path.split(os.path.abspath(text))
        return os.path.join(_link_to(folder), name)
    return _link_to(os.path.abspath(text))


def real_path(path: str) -> str:
    """The inverse of `plain_path`, for messages; it also takes paths of files below."""
    for real, link in _links.items():
        if path == link or path.startswith(link + os.sep):
            return real + path[len(link) :]
    return path


def _is_plain(text: str) -> bool:
    return text.isprintable() and not _PATTERN.intersection(text)


def _link_to(path: str) -> str:
    if _is_plain(path):
        return path
    if path not in _links:
        suffix = Path(path).suffix
        link = f"{_link_folder()}/{len(_links)}{suffix if _is_plain(suffix) else ''}"
        os.symlink(path, link)
        _links[path] = link
    return _links[path]


@functools.cache
def _link_folder() -> str:
    folder = tempfile.gettempdir()
    folder = tempfile.mkdtemp(prefix="urfr-paths-", dir=folder if _is_plain(folder) else "/tmp")
    atexit.register(_remove, folder, os.getpid())
    return folder


def _remove(folder: str, pid: int) -> None:
    # A process that was forked from this one leaves the links alone.
    if os.getpid() == pid:
        shutil.rmtree(folder, ignore_errors=True)
