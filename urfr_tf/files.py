"""Files that are written whole or not at all: next to their place, then renamed."""

import contextlib
import errno
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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
    """Writes UTF-8 text to `path`, whole or not at all."""
    write_bytes(path, content.encode("utf-8"))


def write_json(path: str | os.PathLike[str], content: object) -> None:
    """Writes `content` as indented JSON to `path`, whole or not at all; NaN is refused."""
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: str | os.PathLike[str]) -> Any:
    """Reads a JSON file. What is in it is not known here: the caller checks it.

    Raises:
        UrfrError: the file is missing, unreadable or not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UrfrError(f"could not read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise UrfrError(f"expected JSON in {path}, but it does not parse: {error}") from error
