"""Soft variation labels beside the shards: SHARDS/soft_labels/NAME/SHARD.f32.

One file per shard, one little-endian float32 per record in the order of the records, in 0..1: they stream
beside the images, and a set of 40 million costs no memory.
"""

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from urfr_tf.data.manifest import Manifest
from urfr_tf.errors import UrfrError
from urfr_tf.files import write_bytes
from urfr_tf.system.folder_lock import lock_folder

FOLDER = "soft_labels"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")


def soft_label_paths(manifest: Manifest, name: str) -> list[Path]:
    """The file of each shard, in the order of `manifest.shard_paths`, whether or not it exists.

    Raises:
        UrfrError: the name is more than letters, digits, - and _.
    """
    if not _NAME.fullmatch(name):
        raise UrfrError(f"expected a soft label's name of letters, digits, - and _, but got {name!r}")
    folder = manifest.folder / FOLDER / name
    return [folder / f"{shard.stem}.f32" for shard in manifest.shard_paths]


def write_soft_labels(
    manifest: Manifest, name: str, values: NDArray[np.float32] | NDArray[np.float64]
) -> None:
    """Writes a probability for each record, float [N] in the order of `evaluation_dataset`.

    Raises:
        UrfrError: not N values, or one that is not a number from 0 to 1.
    """
    if values.shape != (manifest.images,):
        raise UrfrError(f"expected {manifest.images} values of {name}, but got the shape {values.shape}")
    _check(values, name, str(manifest.folder))
    by_shard = np.split(values.astype("<f4"), np.cumsum(manifest.shard_records)[:-1])
    paths = soft_label_paths(manifest, name)
    with lock_folder(manifest.folder / FOLDER / name, "another urfr mine", wait=True):
        for path, labels in zip(paths, by_shard, strict=True):
            write_bytes(path, labels.tobytes())


def check_soft_labels(manifest: Manifest, name: str) -> list[Path]:
    """The files of a soft label, once all their values have been looked at.

    Raises:
        UrfrError: a file is missing or has another length than its shard, or a value is not from 0 to 1.
    """
    paths = soft_label_paths(manifest, name)
    for path, records in zip(paths, manifest.shard_records, strict=True):
        try:
            content = path.read_bytes()
        except OSError as error:
            hint = "urfr mine writes them"
            raise UrfrError(
                f"expected the soft labels {name} in {path} ({hint}): {error.strerror}"
            ) from error
        if len(content) != 4 * records:
            raise UrfrError(f"expected {4 * records} bytes in {path}, but it has {len(content)}")
        _check(np.frombuffer(content, "<f4"), name, str(path))
    return paths


def _check(values: NDArray[np.float32] | NDArray[np.float64], name: str, where: str) -> None:
    bad = ~((values >= 0.0) & (values <= 1.0))
    if bad.any():
        record = int(np.argmax(bad))
        raise UrfrError(
            f"expected soft labels from 0 to 1, but {name} of record {record} in {where} is {values[record]}"
        )
