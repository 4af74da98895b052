"""A folder for each person: ROOT/PERSON/anything.jpg, deeper folders included.

Hidden and system files and folders are passed over. Folders whose names differ in nothing but their Unicode
form are one person's.
"""

import os
from collections.abc import Container, Iterator

from urfr_tf.data.headers import ImageError
from urfr_tf.data.names import normal_form
from urfr_tf.data.sources.item import Item
from urfr_tf.data.tree import Ignored, scan
from urfr_tf.errors import UrfrError


def survey(path: str, ignored: Ignored | None = None) -> dict[str, int]:
    """Identity -> number of files under its folders; walks the tree without keeping its names.

    Args:
        path: the folder of folders.
        ignored: counts what does not belong to the tree.

    Raises:
        UrfrError: the folder is missing, cannot be read, or holds no folder.
    """
    ignored = Ignored() if ignored is None else ignored
    people: dict[str, int] = {}
    for entry in _scan(path, ignored):
        if _is_person(entry, path):
            count = sum(1 for _, problem in _files(entry.path, ignored) if problem is None)
            identity = normal_form(entry.name)
            people[identity] = people.get(identity, 0) + count
    if not people:
        raise UrfrError(
            f"expected a folder for each person in {path}, but it holds no folder{ignored.remark()}"
        )
    return people


def items(path: str, keep: Container[str], ignored: Ignored | None = None) -> Iterator[Item]:
    """The files of the people in `keep`, one by one as the file system gives them.

    A person's folder may be a symbolic link to a folder elsewhere; deeper links to folders are not
    followed, and links that lead back to or above `path` never are: so there are no endless loops.

    Args:
        path, ignored: as in `survey`.
        keep: identities.
    """
    for entry in _scan(path, ignored):
        if not _is_person(entry, path):
            why = "a link or name that is not followed" if _is_folder(entry) else "directly in the source"
            yield Item("", entry.name, problem=ImageError("in no person's folder", why))
        elif (identity := normal_form(entry.name)) in keep:
            for file, problem in _files(entry.path, ignored):
                yield Item(identity, os.path.relpath(file, path), file=file, problem=problem)


def _scan(path: str, ignored: Ignored | None) -> Iterator[os.DirEntry[str]]:
    try:
        yield from scan(path, ignored)
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


def _files(folder: str, ignored: Ignored | None) -> Iterator[tuple[str, ImageError | None]]:
    waiting = [folder]
    while waiting:
        folder = waiting.pop()
        try:
            for entry in scan(folder, ignored):
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                elif entry.is_symlink() and _is_folder(entry):
                    yield entry.path, ImageError("link to a folder", "such links are not followed")
                else:
                    yield entry.path, None
        except OSError as error:
            yield folder, ImageError("unreadable", f"the folder: {error.strerror}")
