"""Shards -> batches: the endless training stream, and the finite one of evaluation.

The training stream is a function of its arguments alone. Step g belongs to pass p = g // (N // B) over the
data; the order of pass p depends on (seed, p), what happens to the images of step g on (seed, g). A stream
that starts at step g therefore continues an interrupted one bit for bit.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from urfr_tf import heads
from urfr_tf.augment.choose import augment, check_probabilities
from urfr_tf.data import records
from urfr_tf.data.allocator import keep_freed_memory
from urfr_tf.data.manifest import Manifest, load_manifest
from urfr_tf.data.random_crop import crop_images, crop_points, decode, decode_all
from urfr_tf.data.service import served
from urfr_tf.data.soft_labels import check_soft_labels
from urfr_tf.errors import UrfrError
from urfr_tf.faces.template import five_points

# Shards read side by side, and records taken from one before the next: both belong to the order of a pass.
_CYCLE, _BLOCK = 8, 16
_FOREVER = np.iinfo(np.int64).max
# What the stream's seed is used for.
_ORDER, _CROP, _AUGMENT = range(3)

_Tensors = dict[str, tf.Tensor]


def steps_per_pass(shards: str, batch_size: int, images_per_identity: int = 1) -> int:
    """Full batches in one pass over the data.

    Raises:
        UrfrError: the folder is no folder of shards, or holds fewer images than a batch.
    """
    return _steps(load_manifest(shards), batch_size, images_per_identity)


def training_dataset(
    shards: str,
    *,
    batch_size: int,
    crop_size: int,
    seed: int,
    start_step: int = 0,
    flip: bool = True,
    shuffle_buffer: int = 16384,
    cache: bool = False,
    probabilities: dict[str, float] | None = None,
    soft_labels: tuple[str, ...] = (),
    images_per_identity: int = 1,
    service: str = "",
) -> tf.data.Dataset:
    """The endless stream of training batches, from step `start_step` on.

    Each pass holds every image once, but for the N mod B that would not fill a batch. An image is cropped at
    random, mirrored with probability 1/2, and varied as `augment` says.

    Args:
        shards: folder of `urfr prepare`.
        batch_size: B, over all replicas.
        crop_size: S, at most the size of the stored images.
        seed: another seed is another stream.
        start_step: the stream's first step; earlier ones are skipped before anything is decoded.
        flip: whether images are mirrored.
        shuffle_buffer: records among which the next one is drawn; the shards are shuffled besides.
        cache: decode every image once and keep its pixels in memory: N x size x size x 3 bytes.
        probabilities: variation -> probability on each image.
        soft_labels: names of soft labels that lie beside the shards.
        images_per_identity: with M > 1 a batch is B / M groups of M images of one person (P x K sampling); a
            person's last n mod M images of a pass are left out. It streams: at most M - 1 encoded images a
            person wait for their group.
        service: HOST:PORT of a tf.data service whose workers make the batches (see `service`); the stream is the
            same. They find the shards at the same absolute path.

    Returns:
        A dataset of ({image: float32 [B, S, S, 3] in 0..255, label: int64 [B]}, {variation: float32 [B, T]});
        the T columns are the variations in the order of `check_probabilities`, then the soft labels.

    Raises:
        UrfrError: a damaged folder, a crop larger than the images, fewer images than a batch, a bad name, or
            no data service where one is asked for.
    """
    keep_freed_memory()
    if cache and service:
        raise UrfrError("expected a data service or a cache in memory, but both were asked for")
    manifest = load_manifest(os.path.abspath(shards) if service else shards)
    probabilities = probabilities or {}
    check_probabilities(probabilities)
    _check_crop(manifest, crop_size)
    steps = _steps(manifest, batch_size, images_per_identity)
    soft = [check_soft_labels(manifest, name) for name in soft_labels]
    open_shard, read, label_of = _in_memory(manifest, soft) if cache else _streamed(manifest, soft)

    def one_pass(number: tf.Tensor) -> tf.data.Dataset:
        # The order must not hang on tf.random.set_seed, which Dataset.shuffle would mix in.
        tf.compat.v1.set_random_seed(1)
        shards_seed, records_seed = tf.unstack(tf.random.split(_fold(seed, _ORDER, number)))
        order = tf.random.experimental.stateless_shuffle(tf.range(len(manifest.shard_paths)), shards_seed)
        opened = tf.data.Dataset.from_tensor_slices(order).interleave(
            open_shard, cycle_length=_CYCLE, block_length=_BLOCK
        )
        shuffled = opened.shuffle(shuffle_buffer, records_seed[0], reshuffle_each_iteration=False)
        if images_per_identity > 1:
            shuffled = _by_identity(shuffled, label_of, images_per_identity)
        return shuffled.take(steps * batch_size)

    def make(step: tf.Tensor, batch: tuple) -> tuple[_Tensors, _Tensors]:
        examples = read(batch)
        draw = tf.random.stateless_uniform([batch_size, 3], _fold(seed, _CROP, step))
        offset = tf.cast(draw[:, :2] * (manifest.image_size - crop_size + 1.0), tf.int32)
        mirrored = (draw[:, 2] < 0.5) & flip
        images = crop_images(examples[heads.IMAGE], offset, mirrored, manifest.image_size, crop_size)
        points = None
        if "pose" in probabilities:
            points = _known_points(examples[records.POINTS], manifest.image_size)
            points = crop_points(points, offset, mirrored, crop_size)
        images, labels = augment(images, _fold(seed, _AUGMENT, step), probabilities, points)
        labels = tf.concat([labels, examples["soft"]], axis=1)
        return {heads.IMAGE: images, heads.LABEL: examples[heads.LABEL]}, {heads.VARIATION: labels}

    def every(step: int, stride: int) -> tf.data.Dataset:
        """(step, batch of records) of the steps step, step + stride, ...; nothing is decoded here."""
        passed, step_of_pass = divmod(step, steps)
        stream = tf.data.Dataset.range(passed, _FOREVER).flat_map(one_pass).skip(step_of_pass * batch_size)
        stream = stream.batch(batch_size, drop_remainder=True)
        return tf.data.Dataset.zip((tf.data.Dataset.range(step, _FOREVER), stream)).shard(stride, 0)

    stream = every(start_step, 1).map(make, num_parallel_calls=tf.data.AUTOTUNE)
    if service:
        stream = served(service, every, make, start_step, stream.element_spec)
    return stream.prefetch(tf.data.AUTOTUNE).with_options(_options())


def evaluation_dataset(shards: str, *, batch_size: int, crop_size: int) -> tf.data.Dataset:
    """Every image once, in the order of the shards, cropped in the centre; the last batch may be smaller.

    Returns:
        A dataset of dicts: image float32 [B, S, S, 3] in 0..255, label int64 [B], identity, source string [B].

    Raises:
        UrfrError: a damaged folder, or a crop larger than the images.
    """
    manifest = load_manifest(shards)
    _check_crop(manifest, crop_size)
    before = (manifest.image_size - crop_size) // 2

    def read(serialized: tf.Tensor) -> _Tensors:
        example = records.parse(serialized)
        image = decode(example[heads.IMAGE], manifest.image_size)
        image = image[before : before + crop_size, before : before + crop_size]
        rest = {key: example[key] for key in (heads.LABEL, records.IDENTITY, records.SOURCE)}
        return {heads.IMAGE: tf.cast(image, tf.float32), **rest}

    stream = tf.data.TFRecordDataset([str(path) for path in manifest.shard_paths])
    stream = stream.map(read, num_parallel_calls=tf.data.AUTOTUNE).batch(batch_size)
    return stream.prefetch(tf.data.AUTOTUNE).with_options(_options())


def _by_identity(stream: tf.data.Dataset, label_of: Callable, group: int) -> tf.data.Dataset:
    """The records in runs of `group` of one person, in the order in which the runs become full."""
    runs = stream.group_by_window(
        lambda *record: label_of(record),
        lambda _, window: window.batch(group, drop_remainder=True),
        window_size=group,
    )
    return runs.unbatch()


def _streamed(manifest: Manifest, soft: Sequence[Sequence[Path]]) -> tuple[Callable, Callable, Callable]:
    """How to open shard i; read a batch of records (image as bytes, label, points, soft); a record's label."""
    paths = tf.constant([str(path) for path in manifest.shard_paths])
    soft_paths = [tf.constant([str(path) for path in of_label]) for of_label in soft]

    def open_shard(shard: tf.Tensor) -> tf.data.Dataset:
        values = [tf.data.FixedLengthRecordDataset(of_label[shard], 4) for of_label in soft_paths]
        return tf.data.Dataset.zip((tf.data.TFRecordDataset(paths[shard]), *values))

    def read(batch: tuple) -> _Tensors:
        examples = records.parse(batch[0])
        values = [tf.reshape(tf.io.decode_raw(value, tf.float32), [-1, 1]) for value in batch[1:]]
        soft_values = tf.concat(values, axis=1) if values else tf.zeros([tf.size(batch[0]), 0])
        return {
            **{key: examples[key] for key in (heads.IMAGE, heads.LABEL, records.POINTS)},
            "soft": soft_values,
        }

    return open_shard, read, lambda record: records.parse(record[0])[heads.LABEL]


def _in_memory(manifest: Manifest, soft: Sequence[Sequence[Path]]) -> tuple[Callable, Callable, Callable]:
    """As `_streamed`, but everything is read and decoded now: a record is its number, an image its pixels."""
    open_shard, read, _ = _streamed(manifest, soft)
    everything = tf.data.Dataset.range(len(manifest.shard_paths)).flat_map(open_shard).batch(256)

    def decoded(*batch: tf.Tensor) -> _Tensors:
        examples = read(batch)
        return {**examples, heads.IMAGE: decode_all(examples[heads.IMAGE], manifest.image_size)}

    batches = list(everything.map(decoded, num_parallel_calls=tf.data.AUTOTUNE).as_numpy_iterator())
    stored = {
        key: tf.constant(np.concatenate([batch.pop(key) for batch in batches])) for key in list(batches[0])
    }
    ends = tf.constant(np.cumsum(manifest.shard_records))
    starts = ends - manifest.shard_records

    def numbers(shard: tf.Tensor) -> tf.data.Dataset:
        return tf.data.Dataset.zip((tf.data.Dataset.range(starts[shard], ends[shard]),))

    def look_up(batch: tuple) -> _Tensors:
        return {key: tf.gather(values, batch[0]) for key, values in stored.items()}

    return numbers, look_up, lambda record: stored[heads.LABEL][record[0]]


def _known_points(points: tf.Tensor, image_size: int) -> tf.Tensor:
    """Points [B, 10], the template's in the place of unknown ones: they have to move with the crop."""
    template = tf.constant(five_points(image_size).ravel(), tf.float32)
    return tf.where(tf.reduce_all(points < 0.0, axis=1, keepdims=True), template[None], points)


def _fold(seed: int, use: int, number: tf.Tensor) -> tf.Tensor:
    """The seed of a pass or step, int64 [2]."""
    folded = tf.random.fold_in(tf.constant([seed, use], tf.int64), tf.cast(number, tf.int64))
    return tf.cast(folded, tf.int64)


def _steps(manifest: Manifest, batch_size: int, images_per_identity: int) -> int:
    if batch_size < 1 or images_per_identity < 1 or batch_size % images_per_identity:
        raise UrfrError(
            "expected a batch of at least 1 image that images_per_identity divides, "
            f"but got {batch_size} and {images_per_identity}"
        )
    usable = int((manifest.counts // images_per_identity).sum()) * images_per_identity
    if usable < batch_size:
        what = (
            "images"
            if images_per_identity == 1
            else f"images in groups of {images_per_identity} of one person"
        )
        raise UrfrError(
            f"expected at least a batch of {batch_size} {what}, but {manifest.folder} holds {usable}"
        )
    return usable // batch_size


def _check_crop(manifest: Manifest, crop_size: int) -> None:
    if not 1 <= crop_size <= manifest.image_size:
        raise UrfrError(
            f"expected a crop of 1 to {manifest.image_size} pixels from the images of {manifest.folder}, "
            f"but got {crop_size}"
        )


def _options() -> tf.data.Options:
    options = tf.data.Options()
    options.deterministic = True
    # With several workers each takes its part of every batch; sharding by files would change the stream.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return options
