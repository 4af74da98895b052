"""A folder for each person: ROOT/PERSON/anything.jpg, deeper folders included."""

import os
from collections.abc import Container, Iterator

from urfr_tf.data.headers import ImageError
from urfr_tf.data.sources.item import Item
from urfr_tf.errors import UrfrError


def survey(path: str) -> dict[str, int]:
    """Identity -> number of files under its folder; walks the tree without keeping its names.

    Raises:
        UrfrError: the folder is missing, cannot be read, or holds no folder.
    """
    people = {}
    for entry in _scan(path):
        if _is_person(entry, path):
            people[entry.name] = sum(1 for _, problem in _files(entry.path) if problem is None)
    if not people:
        raise UrfrError(f"expected a folder for each person in {path}, but it holds no folder")
    return people


def items(path: str, keep: Container[str]) -> Iterator[Item]:
    """The files of the people in `keep`, one by one as the file system gives them.

    A person's folder may be a symbolic link to a folder elsewhere; deeper links to folders are not
    followed, and links that lead back to or above `path` never are: so there are no endless loops.
    """
    for entry in _scan(path):
        if not _is_person(entry, path):
            why = "a link or name that is not followed" if _is_folder(entry) else "directly in the source"
            yield Item("", entry.name, problem=ImageError("in no person's folder", why))
        elif entry.name in keep:
            for file, problem in _files(entry.path):
                yield Item(entry.name, os.path.relpath(file, path), file=file, problem=problem)


def _scan(path: str) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(path) as entries:
            yield from entries
    except OSError as error:
        raise UrfrError(f"expected a folder of folders at {path}: {error.strerror}") from error


def _is_person(entry: os.DirEntry[str], root: str) -> bool:
    if not _is_folder(entry) or any(character in entry.name for character in "\t\n\r"):
        return False
    if not entry.is_symlink():
        return True
    target, top = os.path.realpath(entry.path), os.path.realpath(root)
    return os.path.commonpath([target, top]) != target


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _files(folder: str) -> Iterator[tuple[str, ImageError | None]]:
    waiting = [folder]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    elif entry.is_symlink() and _is_folder(entry):
                        yield entry.path, ImageError("link to a folder", "such links are not followed")
                    else:
                        yield entry.path, None
        except OSError as error:
            yield folder, ImageError("unreadable", f"the folder: {error.strerror}")
