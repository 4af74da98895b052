"""Faces turned ahead of training, beside the shards: SHARDS/turned/COPY/SHARD.

The pose variation costs several times what everything else in the pipeline does. Turned once, a face costs
training nothing but the reading: it is decoded in the place of the other. Each file holds one JPEG per
record of its shard, in their order; `turned.json` is written last and binds them to the shards.
"""

import functools
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from urfr_tf import keys
from urfr_tf.augment.choose import YAW_DEGREES
from urfr_tf.augment.pose import random_turn
from urfr_tf.data import records
from urfr_tf.data.manifest import Manifest
from urfr_tf.data.ordered_map import map_in_order
from urfr_tf.data.preparation.shard_writer import write_records
from urfr_tf.data.stream.random_crop import decode_all, known_points
from urfr_tf.errors import UrfrError, reason_of
from urfr_tf.files import read_json, replacing, write_json
from urfr_tf.system.allocator import keep_freed_memory
from urfr_tf.system.cores import count_cores
from urfr_tf.system.plain_paths import plain_path

FORMAT = "urfr-turned/1"
FOLDER = "turned"
MAX_COPIES = 64
_SETTINGS, _RESULT = "settings.json", "turned.json"
_BATCH = 64
_THREADS = count_cores()
_QUALITY = 95


def turn_shards(
    manifest: Manifest, copies: int, seed: int, on_progress: Callable[[int], Any] = lambda images: None
) -> int:
    """Writes every face of the shards turned to yaws of its own, `copies` times.

    Interrupted, the same call continues behind the last whole file; complete, it does nothing; with other
    settings, or after the shards have changed, it begins anew. The same arguments give the same bytes on
    the same kind of processor.

    Args:
        manifest: of the shards.
        copies: how many yaws each face is turned to; pass p over the data meets copy p mod copies.
        seed: another seed draws other yaws.
        on_progress: called with the number of images of each file that is done or was there already.

    Returns:
        Bytes of all files.

    Raises:
        UrfrError: not 1 to 64 copies, a record that is no image, or a disk that is full.
    """
    if not 1 <= copies <= MAX_COPIES:
        raise UrfrError(f"expected 1 to {MAX_COPIES} copies of each face, but got {copies}")
    keep_freed_memory()
    folder = manifest.folder / FOLDER
    settings = {
        "format": FORMAT,
        "copies": copies,
        "seed": seed,
        "yaw_degrees": list(YAW_DEGREES),
        "shards": _digests(manifest),
    }
    if not (folder / _SETTINGS).is_file() or read_json(folder / _SETTINGS) != settings:
        shutil.rmtree(folder, ignore_errors=True)
        write_json(folder / _SETTINGS, settings)
    sizes = {}
    with ThreadPoolExecutor(_THREADS) as pool:
        for copy, of_copy in enumerate(_paths(manifest, copies)):
            for shard, path in enumerate(of_copy):
                if not path.is_file():
                    with replacing(path) as tmp_path:
                        write_records(tmp_path, path, _turned(manifest, shard, (seed, copy), pool))
                sizes[_key(path)] = path.stat().st_size
                on_progress(int(manifest.shard_records[shard]))
    write_json(folder / _RESULT, {**settings, "bytes": sizes})
    return sum(sizes.values())


def result_path(manifest: Manifest) -> Path:
    """The file that says which turned faces lie next to the shards."""
    return manifest.folder / FOLDER / _RESULT


def turned_paths(manifest: Manifest) -> list[list[Path]]:
    """The files [copies][shards] of turned faces, once they are known to be whole and of these shards.

    Args:
        manifest: of the shards, or of one worker share of them (`select_share`).

    Raises:
        UrfrError: there are none, they belong to other shards, or one is missing or of another size.
    """
    result = result_path(manifest)
    command = f"urfr turn {manifest.folder}"
    if not result.is_file():
        raise UrfrError(f"expected turned faces in {result.parent}, but there is no {_RESULT}: run {command}")
    raw = read_json(result)
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        raise UrfrError(f"expected the format {FORMAT!r} in {result}: run {command}")
    copies, sizes = raw.get("copies"), raw.get("bytes")
    if type(copies) is not int or not 1 <= copies <= MAX_COPIES or not isinstance(sizes, dict):
        raise UrfrError(f"expected 1 to {MAX_COPIES} copies and their sizes in {result}: run {command}")
    if raw.get("shards") != _digests(manifest):
        raise UrfrError(
            f"expected the faces in {result.parent} to be of these shards, "
            f"but they are of others: run {command}"
        )
    paths = _paths(manifest, copies)
    for path in (path for of_copy in paths for path in of_copy):
        size, actual = sizes.get(_key(path)), path.stat().st_size if path.is_file() else "no file"
        if actual != size:
            raise UrfrError(
                f"expected {size} bytes in {path}, but found {actual}: "
                f"delete {result.parent} and run {command}"
            )
    return paths


def _paths(manifest: Manifest, copies: int) -> list[list[Path]]:
    folder = manifest.folder / FOLDER
    return [[folder / str(copy) / shard.name for shard in manifest.shard_paths] for copy in range(copies)]


def _key(path: Path) -> str:
    """COPY/SHARD, what a file is called in `turned.json`."""
    return f"{path.parent.name}/{path.name}"


def _digests(manifest: Manifest) -> list[str]:
    return [str(shard.get("sha256")) for shard in manifest.raw["shards"]]


def _turned(
    manifest: Manifest, shard: int, use: tuple[int, int], pool: ThreadPoolExecutor
) -> Iterator[bytes]:
    """The turned faces of one shard as JPEGs, in the order of its records."""
    turn_batch = _turning(manifest.image_size)
    folded = tf.random.fold_in(tf.constant(use, tf.int64), shard)

    def turned(batch: tuple[tf.Tensor, tf.Tensor]) -> NDArray[np.bytes_]:
        number, serialized = batch
        faces: NDArray[np.bytes_] = turn_batch(serialized, tf.random.fold_in(folded, number)).numpy()
        return faces

    stream = tf.data.TFRecordDataset(plain_path(manifest.shard_paths[shard])).batch(_BATCH).enumerate()
    try:
        for faces in map_in_order(pool, turned, stream, 2 * _THREADS):
            yield from faces
    except tf.errors.OpError as error:
        raise UrfrError(
            f"could not turn the faces of {manifest.shard_paths[shard]}: {reason_of(error)}"
        ) from error


@functools.lru_cache(maxsize=1)
def _turning(size: int) -> Callable[..., tf.Tensor]:
    """Records [B <= _BATCH] and a seed -> JPEGs [B]; crops of `size` pixels.

    One function for all shards: in a `map` of tf.data, every shard would compile the turn anew (seconds).
    """

    def turn_batch(serialized: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        count = tf.size(serialized)
        # Always a full batch: the turn is compiled for each size that it meets.
        batch = records.parse(tf.gather(serialized, tf.minimum(tf.range(_BATCH), count - 1)))
        images = tf.cast(decode_all(tf.ensure_shape(batch[keys.IMAGE], [_BATCH]), size), tf.float32)
        points = known_points(batch[records.POINTS], size)
        faces = random_turn(images, points, seed, *YAW_DEGREES)
        return tf.map_fn(
            lambda face: tf.io.encode_jpeg(face, quality=_QUALITY, chroma_downsampling=False),
            tf.saturate_cast(faces[:count] + 0.5, tf.uint8),
            fn_output_signature=tf.string,
        )

    signature = [tf.TensorSpec([None], tf.string), tf.TensorSpec([2], tf.int64)]
    compiled: Callable[..., tf.Tensor] = tf.function(turn_batch, input_signature=signature, autograph=False)
    return compiled
