"""Writes the folder that everything else reads: TFRecord shards, manifest, classes, refused."""

import importlib.metadata
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from urfr_tf.data.preparation.crops import Crop
from urfr_tf.errors import UrfrError, reason_of
from urfr_tf.files import file_sha256, replacing, write_bytes, write_json
from urfr_tf.system.plain_paths import plain_path

FORMAT = "urfr-shards/1"
MANIFEST = "manifest.json"
CLASSES = "classes.tsv"
REFUSED = "refused.tsv"
NOTES = "notes.tsv"


def shard_name(shard: int, shards: int) -> str:
    """train-00000-of-00008.tfrecord"""
    return f"train-{shard:05d}-of-{shards:05d}.tfrecord"


def write_shard(path: Path, crops: Iterable[Crop], labels: dict[str, int]) -> dict[str, Any]:
    """Writes one shard, whole or not at all.

    Args:
        path: the file.
        crops: what it holds, in order.
        labels: identity -> class index.

    Returns:
        The shard's entry in the manifest: file, records, bytes, sha256.

    Raises:
        UrfrError: the disk is full or the folder cannot be written.
    """
    # TensorFlow takes seconds to import and is not needed before the first shard is written.
    from urfr_tf.data.records import serialize

    def serialized() -> Iterator[bytes]:
        for crop in crops:
            points = None if crop.points is None else list(crop.points)
            yield serialize(crop.encoded, labels[crop.identity], crop.identity, crop.key, points)

    with replacing(path) as tmp_path:
        records = write_records(tmp_path, path, serialized())
        digest = file_sha256(tmp_path)
        size = tmp_path.stat().st_size
    return shard_entry(path.name, records, size, digest)


def write_records(tmp_path: Path, path: Path, records: Iterable[bytes]) -> int:
    """Writes records to the file that `replacing` gives for `path`, and returns their number.

    Raises:
        UrfrError: the disk is full or the folder cannot be written.
    """
    import tensorflow as tf

    count = 0
    try:
        with tf.io.TFRecordWriter(plain_path(tmp_path)) as writer:
            for record in records:
                writer.write(record)
                count += 1
    except tf.errors.ResourceExhaustedError as error:
        raise UrfrError(
            f"the disk is full: could not write {path}; what was finished is kept, the same command continues"
        ) from error
    except tf.errors.OpError as error:
        raise UrfrError(f"could not write {path}: {reason_of(error)}") from error
    return count


def shard_entry(file: str, records: int, size: int, sha256: str) -> dict[str, Any]:
    """A shard's entry in the manifest."""
    return {"file": file, "records": records, "bytes": size, "sha256": sha256}


def write_classes(folder: Path, counts: dict[str, int]) -> None:
    """classes.tsv: label, identity, images, in the order given; names keep the source's bytes."""

    lines = (f"{label}\t{name}\t{count}\n" for label, (name, count) in enumerate(counts.items()))
    write_bytes(folder / CLASSES, "".join(lines).encode("utf-8", "surrogateescape"))


def tally(texts: Iterable[str]) -> dict[str, int]:
    """How many there are of each kind; the kind is what stands before the colon."""
    return dict(sorted(Counter(text.partition(":")[0] for text in texts).items()))


def write_listing(path: Path, rows: Iterable[tuple[str, str]]) -> dict[str, int]:
    """A list for people: name, tab, sentence; streamed. Gives the number of each kind of sentence."""
    kinds: Counter[str] = Counter()
    with replacing(path) as tmp_path, open(tmp_path, "w", encoding="utf-8") as file:
        for name, text in rows:
            file.write(f"{name}\t{text}\n")
            kinds[text.partition(":")[0]] += 1
    return dict(sorted(kinds.items()))


def write_manifest(folder: Path, content: dict[str, Any]) -> None:
    """manifest.json, written last: where it is, the folder is complete."""
    packages = ("tensorflow", "opencv-python-headless", "numpy")
    versions = {name: importlib.metadata.version(name) for name in packages}
    write_json(folder / MANIFEST, {"format": FORMAT, **content, "versions": versions})
