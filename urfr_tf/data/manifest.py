"""The manifest of a folder of shards: what is in it, checked before anything is read from it."""

import dataclasses
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from urfr_tf.errors import UrfrError
from urfr_tf.files import find_beside, read_json

FORMAT = "urfr-shards/1"
_SHARD_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\.tfrecord")


@dataclasses.dataclass(frozen=True)
class Manifest:
    """A folder of shards.

    Attributes:
        folder: where it is.
        images: N, records in all shards.
        classes: C.
        image_size: every image is image_size x image_size pixels.
        shard_paths: the shards in the order of their records.
        shard_records: int64 [shards], records of each.
        counts: int64 [C], images of each class.
        identities: the name of each class; bytes that are not UTF-8 are surrogate escapes.
        raw: manifest.json as it is.
    """

    folder: Path
    images: int
    classes: int
    image_size: int
    shard_paths: list[Path]
    shard_records: NDArray[np.int64]
    counts: NDArray[np.int64]
    identities: list[str]
    raw: dict[str, Any]


def load_manifest(folder: str | os.PathLike[str]) -> Manifest:
    """Reads `manifest.json` and `classes.tsv`, and looks whether every shard is there with its size.

    Raises:
        UrfrError: no manifest, one that is mangled or of another format, a shard that is missing or not of
            the size it was written with, or classes that do not add up to the images.
    """
    folder = Path(folder)
    path = folder / "manifest.json"
    if not path.is_file():
        what = "has none; urfr prepare makes shards of photographs" if folder.is_dir() else "is no folder"
        raise UrfrError(f"expected a folder of shards with manifest.json, but {folder} {what}")
    raw = read_json(path)
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        format_name = raw.get("format") if isinstance(raw, dict) else type(raw).__name__
        raise UrfrError(f"expected the format {FORMAT!r} in {path}, but got {format_name!r}")
    images, classes, size = (_positive(raw, key, path) for key in ("images", "classes", "image_size"))
    shards = raw.get("shards")
    if not isinstance(shards, list) or not shards or not all(isinstance(s, dict) for s in shards):
        raise UrfrError(f"expected a list of shards in {path}, but got {type(shards).__name__}")
    paths = [_shard(folder, shard, path) for shard in shards]
    if len(set(paths)) != len(paths):
        raise UrfrError(f"expected every shard once in {path}, but one is listed twice")
    records = np.array([_positive(shard, "records", path, least=0) for shard in shards], np.int64)
    if records.sum() != images:
        raise UrfrError(
            f"expected {images} records in the shards of {path}, but they add up to {records.sum()}"
        )
    counts, identities = _classes(folder / "classes.tsv", classes, images)
    return Manifest(folder, images, classes, size, paths, records, counts, identities, raw)


def _positive(table: dict[str, Any], key: str, path: Path, least: int = 1) -> int:
    value = table.get(key)
    if type(value) is not int or not least <= value < 2**53:
        raise UrfrError(
            f"expected a whole number of at least {least} as {key!r} in {path}, but got {value!r}"
        )
    return value


def _shard(folder: Path, shard: dict[str, Any], path: Path) -> Path:
    name = shard.get("file")
    # The manifest may come from outside: a name must not lead out of its folder.
    if not isinstance(name, str) or not _SHARD_NAME.fullmatch(name):
        raise UrfrError(f"expected the plain name of a .tfrecord file in {path}, but got {name!r}")
    expected = _positive(shard, "bytes", path, least=0)
    size = find_beside(path, name).stat().st_size
    if size != expected:
        raise UrfrError(f"expected {expected} bytes in {folder / name}, but it has {size}: it is damaged")
    return folder / name


def _classes(path: Path, classes: int, images: int) -> tuple[NDArray[np.int64], list[str]]:
    """Reads the lines `label TAB identity TAB images`, labels 0 to C - 1 in order."""
    try:
        text = path.read_bytes().decode("utf-8", "surrogateescape")
    except OSError as error:
        raise UrfrError(f"could not read {path}: {error.strerror or error}") from error
    # Not splitlines(): an identity may hold any of the other characters that Unicode calls line ends.
    lines = text.removesuffix("\n").split("\n")
    if len(lines) != classes:
        raise UrfrError(f"expected {classes} lines in {path}, but got {len(lines)}")
    counts, identities = np.empty(classes, np.int64), []
    for label, line in enumerate(lines):
        fields = line.split("\t")
        if len(fields) != 3 or fields[0] != str(label) or not re.fullmatch(r"[0-9]{1,15}", fields[2]):
            raise UrfrError(
                f"expected '{label} TAB identity TAB images' in line {label + 1} of {path}, but got {line!r}"
            )
        identities.append(fields[1])
        counts[label] = int(fields[2])
    if counts.sum() != images:
        raise UrfrError(f"expected {images} images in {path}, but its lines add up to {counts.sum()}")
    return counts, identities
