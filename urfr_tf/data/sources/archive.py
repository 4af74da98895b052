"""The files of a folder or a tar archive under their relative names; an archive is never extracted.

An archive that is not compressed is read at the places that its headers name, by many threads at
once; a compressed one from front to end.
"""

import os
import tarfile
import zlib
from collections.abc import Iterator

from urfr_tf.data.headers import ImageError
from urfr_tf.data.sources.item import Item
from urfr_tf.data.tree import Ignored, foreign_part, walk
from urfr_tf.errors import UrfrError

OUTSIDE = "outside of the source"
_LONGEST_NAME = 4096


def files(path: str, max_bytes: int, ignored: Ignored | None = None) -> Iterator[Item]:
    """Every file of a folder or of a tar archive (plain, gz, bz2 or xz), but for hidden and system files.

    Items have no identity yet; their key is the name with slashes. Links and devices are given with a
    problem, and so are names that lead out of the archive; files over `max_bytes` in a compressed
    archive are not kept either.

    Args:
        path: the folder or the archive.
        max_bytes: limit on a file of a compressed archive.
        ignored: counts hidden and system files; those of a hidden folder in an archive one by one.

    Raises:
        UrfrError: the archive does not open or ends early.
    """
    if os.path.isdir(path):
        yield from _folder(path, ignored)
        return
    try:
        for item in _plain(path) if _is_plain(path) else _compressed(path, max_bytes):
            # A name that leads out of the archive is refused by name, whatever it is called.
            outside = item.problem is not None and item.problem.reason == OUTSIDE
            foreign = "" if outside else foreign_part(item.key)
            if not foreign:
                yield item
            elif ignored is not None:
                ignored.add(foreign)
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise UrfrError(f"expected a whole tar archive at {path}, but reading it failed: {error}") from error


def _folder(root: str, ignored: Ignored | None) -> Iterator[Item]:
    unreadable: list[OSError] = []
    for folder, _, names in walk(root, ignored, unreadable.append):
        for name in names:
            path = os.path.join(folder, name)
            yield Item("", os.path.relpath(path, root).replace(os.sep, "/"), path)
    for error in unreadable:
        problem = ImageError("unreadable", f"the folder: {error.strerror}")
        yield Item("", os.path.relpath(error.filename, root).replace(os.sep, "/"), problem=problem)


def _is_plain(path: str) -> bool:
    try:
        with tarfile.open(path, "r:"):
            return True
    except tarfile.TarError:
        return False


def _plain(path: str) -> Iterator[Item]:
    with open(path, "rb") as file, tarfile.open(fileobj=file, mode="r:") as archive:
        length = os.fstat(file.fileno()).st_size
        for member, problem in _members(archive):
            if problem is None and member.offset_data + member.size > length:
                raise tarfile.ReadError("unexpected end of data")
            yield Item("", member.name, path, member.offset_data, member.size, problem=problem)
        # An archive ends with blocks of zeros; tarfile also takes the end of the file between two members.
        if os.pread(file.fileno(), tarfile.BLOCKSIZE, archive.offset) != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError("unexpected end of the archive")


def _compressed(path: str, max_bytes: int) -> Iterator[Item]:
    with tarfile.open(path, "r|*") as archive:
        for member, problem in _members(archive):
            if problem is None and member.size > max_bytes:
                problem = ImageError("file too large", f"{member.size} bytes, the limit is {max_bytes}")
            if problem is not None:
                yield Item("", member.name, problem=problem)
            elif (stream := archive.extractfile(member)) is not None:
                yield Item("", member.name, content=stream.read())


def _members(archive: tarfile.TarFile) -> Iterator[tuple[tarfile.TarInfo, ImageError | None]]:
    while (member := archive.next()) is not None:
        archive.members = []  # type: ignore[attr-defined] # TarFile keeps every member: a leak.
        if not member.isdir():
            yield member, _problem(member)


def _problem(member: tarfile.TarInfo) -> ImageError | None:
    if not member.isreg() or member.issparse():
        return ImageError("unreadable", "a link or a special file in the archive")
    name = member.name
    if name.startswith("/") or ".." in name.split("/") or "\0" in name or len(name) > _LONGEST_NAME:
        return ImageError(OUTSIDE, "the name leads out of the archive")
    return None
