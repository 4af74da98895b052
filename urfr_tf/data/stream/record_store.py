"""How the records of a folder of shards are reached: streamed from disk, or decoded once and kept."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from urfr_tf import keys
from urfr_tf.data import records
from urfr_tf.data.manifest import Manifest
from urfr_tf.data.stream.random_crop import decode_all
from urfr_tf.system.plain_paths import plain_path

SOFT = "soft"
Tensors = dict[str, tf.Tensor]


class Stored(Protocol):
    """Records, which are whatever `open` makes of them until `read` turns a batch of them into tensors."""

    def open(self, shard: tf.Tensor, copy: tf.Tensor) -> tf.data.Dataset:
        """The records of shard i in order, with the turned faces of a copy if there are any."""

    def read(self, batch: tuple[tf.Tensor, ...], turned: tf.Tensor | None) -> Tensors:
        """Image (encoded or pixels), label, points and soft labels of a batch of records.

        Where `turned` (bool [B]; None without turned faces) says so, the image is the turned face.
        """

    def label(self, record: tuple[tf.Tensor, ...]) -> tf.Tensor:
        """A record's label, int64."""


class Streamed:
    """Records as they are in the files; see `Stored`.

    Args:
        manifest: of the shards.
        soft: files [labels][shards] of soft labels.
        turned: files [copies][shards] of turned faces; none: not used.
        name_file: a path -> what TensorFlow opens.
    """

    def __init__(
        self,
        manifest: Manifest,
        soft: Sequence[Sequence[Path]],
        turned: Sequence[Sequence[Path]] = (),
        name_file: Callable[[Path], str | bytes] = plain_path,
    ) -> None:
        self._shards = tf.constant([name_file(path) for path in manifest.shard_paths])
        self._soft = [tf.constant([name_file(path) for path in of_label]) for of_label in soft]
        self._turned = (
            tf.constant([[name_file(path) for path in of_copy] for of_copy in turned]) if turned else None
        )

    def open(self, shard: tf.Tensor, copy: tf.Tensor) -> tf.data.Dataset:
        """See `Stored.open`."""
        columns = [tf.data.TFRecordDataset(self._shards[shard])]
        columns += [tf.data.FixedLengthRecordDataset(of_label[shard], 4) for of_label in self._soft]
        if self._turned is not None:
            columns.append(tf.data.TFRecordDataset(self._turned[copy][shard]))
        return tf.data.Dataset.zip(tuple(columns))

    def read(self, batch: tuple[tf.Tensor, ...], turned: tf.Tensor | None) -> Tensors:
        """See `Stored.read`."""
        examples = records.parse(batch[0])
        values = batch[1 : 1 + len(self._soft)]
        soft = [tf.reshape(tf.io.decode_raw(value, tf.float32), [-1, 1]) for value in values]
        images = examples[keys.IMAGE]
        if turned is not None:
            images = tf.where(turned, batch[-1], images)
        return {
            keys.IMAGE: images,
            **{key: examples[key] for key in (keys.LABEL, records.POINTS)},
            SOFT: tf.concat(soft, axis=1) if soft else tf.zeros([tf.size(batch[0]), 0]),
        }

    def label(self, record: tuple[tf.Tensor, ...]) -> tf.Tensor:
        """See `Stored.label`."""
        return records.parse(record[0])[keys.LABEL]


class InMemory:
    """Everything is read and decoded at once; a record is its number and its copy's, an image its pixels.

    Args: as `Streamed`. Memory: N x size x size x 3 bytes, once more for each copy of turned faces.
    """

    def __init__(
        self, manifest: Manifest, soft: Sequence[Sequence[Path]], turned: Sequence[Sequence[Path]] = ()
    ) -> None:
        size = manifest.image_size
        streamed = Streamed(manifest, soft)

        def decoded(*batch: tf.Tensor) -> Tensors:
            examples = streamed.read(batch, None)
            return {**examples, keys.IMAGE: decode_all(examples[keys.IMAGE], size)}

        everything = tf.data.Dataset.range(len(manifest.shard_paths))
        everything = everything.flat_map(lambda shard: streamed.open(shard, 0)).batch(256)
        stored = _gathered(everything.map(decoded, num_parallel_calls=tf.data.AUTOTUNE))
        for of_copy in turned:
            faces = tf.data.TFRecordDataset([plain_path(path) for path in of_copy]).batch(256)
            faces = faces.map(
                lambda batch: {keys.IMAGE: decode_all(batch, size)}, num_parallel_calls=tf.data.AUTOTUNE
            )
            stored[keys.IMAGE] = np.concatenate([stored[keys.IMAGE], _gathered(faces)[keys.IMAGE]])
        self._images = manifest.images
        self._stored = {key: tf.constant(values) for key, values in stored.items()}
        self._ends = tf.constant(np.cumsum(manifest.shard_records))
        self._starts = self._ends - manifest.shard_records

    def open(self, shard: tf.Tensor, copy: tf.Tensor) -> tf.data.Dataset:
        """See `Stored.open`."""
        numbers = tf.data.Dataset.range(self._starts[shard], self._ends[shard])
        return numbers.map(lambda number: (number, tf.cast(copy, tf.int64)))

    def read(self, batch: tuple[tf.Tensor, ...], turned: tf.Tensor | None) -> Tensors:
        """See `Stored.read`."""
        number, copy = batch
        image = number
        if turned is not None:
            image = tf.where(turned, number + (copy + 1) * self._images, number)
        index = dict.fromkeys(self._stored, number) | {keys.IMAGE: image}
        return {key: tf.gather(values, index[key]) for key, values in self._stored.items()}

    def label(self, record: tuple[tf.Tensor, ...]) -> tf.Tensor:
        """See `Stored.label`."""
        return self._stored[keys.LABEL][record[0]]


def _gathered(batches: tf.data.Dataset) -> dict[str, NDArray[np.generic]]:
    chunks = list(batches.as_numpy_iterator())
    return {key: np.concatenate([chunk.pop(key) for chunk in chunks]) for key in list(chunks[0])}
