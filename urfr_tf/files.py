"""Files that are written whole or not at all: next to their place, then renamed."""

import contextlib
import errno
import hashlib
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from urfr_tf.errors import UrfrError


def disk_error(error: OSError, path: str | os.PathLike[str]) -> UrfrError:
    """Makes the error that says in a sentence why `path` could not be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return UrfrError(
            f"the disk is full: could not write {path}; nothing that was there before was changed"
        )
    return UrfrError(f"could not write {path}: {error.strerror or error}")


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Gives a temporary path next to `path`, and renames it to `path` when the block ends without an error.

    Raises:
        UrfrError: the disk is full or the folder cannot be written. The old file, if any, stays.
    """
    target = Path(path)
    tmp_path = target.with_name(f".part-{os.getpid()}-{target.name}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield tmp_path
        with open(tmp_path, "rb") as written:
            os.fsync(written.fileno())
        os.replace(tmp_path, target)
    except OSError as error:
        raise disk_error(error, path) from error
    finally:
        with contextlib.suppress(OSError):
            tmp_path.unlink(missing_ok=True)


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """Opens a file from outside for reading.

    A named pipe or a device would keep its reader waiting, or would never end.

    Raises:
        UrfrError: it cannot be opened, or it is no regular file.
    """
    try:
        # O_NONBLOCK: opening a named pipe must not wait for somebody to write into it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UrfrError(f"could not read {path}: {reason}") from error
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    kind = "a folder" if stat.S_ISDIR(mode) else "a pipe, a socket or a device"
    raise UrfrError(f"could not read {path}: expected a file, but it is {kind}")


def find_beside(owner: Path, name: object) -> Path:
    """Finds a file that another file names. The name must not lead out of the folder of that file.

    Symbolic links are followed within the folder. Where `owner` is itself a link, they may also lead into the
    folder of its target, since a cache of downloads keeps all files of a model in one folder of its own.

    Args:
        owner: the file that holds the name.
        name: what it says; it should be the plain name of a file in the same folder.

    Returns:
        The path of the file in the folder of `owner`.

    Raises:
        UrfrError: another name than that, a link that leads elsewhere, a missing file, or no regular file.
    """
    if not isinstance(name, str) or name in ("", ".", "..") or "\0" in name or name != os.path.basename(name):
        raise UrfrError(
            f"expected the plain name of a file next to {owner}, but it names {str(name)[:100]!r}"
        )
    path = owner.with_name(name)
    try:
        target = os.path.realpath(path, strict=True)
        folders = (os.path.realpath(owner.parent), os.path.dirname(os.path.realpath(owner)))
        regular = os.path.isfile(target)
    except OSError as error:
        raise UrfrError(f"could not read {path}, which {owner} names: {error.strerror or error}") from error
    if os.path.dirname(target) not in folders:
        raise UrfrError(
            f"expected {path}, which {owner} names, in the folder itself, but it is a link to {target}; "
            "put a copy of the file there"
        )
    if not regular:
        raise UrfrError(f"expected a file at {path}, which {owner} names, but it is none")
    return path


def size_of(path: Path) -> int:
    """Counts the bytes of a file, or of all files below a folder."""
    return sum(file.stat().st_size for file in [path, *path.rglob("*")] if file.is_file())


def file_sha256(path: str | os.PathLike[str]) -> str:
    """Digests a file, read in blocks of 1 MiB, with SHA-256; gives 64 hexadecimal digits.

    Raises:
        OSError: the file cannot be read.
    """
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def write_bytes(path: str | os.PathLike[str], content: bytes) -> None:
    """Writes `content` to `path`, whole or not at all."""
    with replacing(path) as tmp_path:
        tmp_path.write_bytes(content)


def write_text(path: str | os.PathLike[str], content: str) -> None:
    """Writes UTF-8 text to `path`, whole or not at all.

    A byte of a name that is not UTF-8, as E9, becomes `\\udce9`. JSON and YAML read it back as the same name.
    """
    write_bytes(path, encode_text(content))


def encode_text(content: str) -> bytes:
    """Encodes text as UTF-8; see `write_text` for names that are not."""
    return content.encode("utf-8", "backslashreplace")


def write_json(path: str | os.PathLike[str], content: object) -> None:
    """Writes `content` as indented JSON to `path`, whole or not at all; NaN is refused."""
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: str | os.PathLike[str]) -> Any:
    """Reads a JSON file. What is in it is not known here: the caller checks it.

    Raises:
        UrfrError: the file is missing, unreadable or not JSON.
    """
    try:
        with open_regular(path) as file:
            return json.loads(file.read().decode("utf-8"))
    except RecursionError as error:
        raise UrfrError(f"expected JSON in {path}, but it is nested too deeply") from error
    except OSError as error:
        raise UrfrError(f"could not read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise UrfrError(f"expected JSON in {path}, but it does not parse: {error}") from error
