"""Shards -> batches: the endless training stream.

The stream is a function of its settings alone. Step g belongs to pass p = g // (N // B) over the data. The
order of pass p depends on (seed, p), and what happens to the images of step g depends on (seed, g). A stream
that starts at step g therefore continues an interrupted one bit for bit.
"""

import os

import numpy as np
import tensorflow as tf

from urfr_tf import keys
from urfr_tf.augment.choose import augment, check_probabilities, choose
from urfr_tf.augment.light import relight
from urfr_tf.data import records
from urfr_tf.data.manifest import Manifest, load_manifest
from urfr_tf.data.stream.options import stream_options
from urfr_tf.data.stream.person_groups import by_identity
from urfr_tf.data.stream.random_crop import check_crop, crop_images, crop_points, known_points
from urfr_tf.data.stream.record_store import SOFT, InMemory, Stored, Streamed, Tensors
from urfr_tf.data.stream.service import served
from urfr_tf.data.stream.settings import Sampling, StreamSettings
from urfr_tf.data.stream.soft_labels import check_soft_labels
from urfr_tf.data.stream.turned_faces import turned_paths
from urfr_tf.data.stream.worker_shares import count_steps_of_shares, select_share
from urfr_tf.errors import UrfrError
from urfr_tf.system.allocator import keep_freed_memory
from urfr_tf.system.plain_paths import plain_path

# Shards read at the same time, and records taken from one before the next: both belong to the order of a
# pass.
_CYCLE, _BLOCK = 8, 16
_FOREVER = np.iinfo(np.int64).max
# What the stream's seed is used for.
_ORDER, _CROP, _AUGMENT = range(_USES := 3)
_LIGHT = 1
"""Folded into the seed of a step's variations, so that a stream without light stays as it was."""


def steps_per_pass(shards: str, sampling: Sampling, worker_shares: int = 1) -> int:
    """Returns the number of full batches in one pass over the data.

    Args:
        shards: folder of `urfr prepare`.
        sampling: which images form a batch.
        worker_shares: the number of shares that the shards are dealt out to.

    Raises:
        UrfrError: the folder is no folder of shards, or holds fewer images than a batch.
    """
    return _count_steps(load_manifest(shards), sampling, worker_shares)


@tf.autograph.experimental.do_not_convert
def training_dataset(settings: StreamSettings, start_step: int = 0) -> tf.data.Dataset:
    """Builds the endless stream of training batches, from step `start_step` on.

    Each pass holds every image once, but for the N mod B that would not fill a batch. With worker shares, a
    pass leaves out the images of a share that the last full batch of the smallest share does not reach.

    Args:
        settings: what the stream is a function of.
        start_step: the stream's first step. Earlier steps are skipped before anything is decoded.

    Returns:
        A dataset of ({image: float32 [b, S, S, 3] in 0..255, label: int64 [b]}, {variation: float32 [b, T]}).
        b is B / shares. The T columns are the variations in the order of `check_probabilities`, then the soft
        labels.

    Raises:
        UrfrError: a damaged folder, a crop larger than the images, fewer images than a batch, a bad name, or
            no data service at the address that was given.
    """
    keep_freed_memory()
    stream = TrainingStream(settings)
    batches = stream.records_from(start_step).map(stream.make_batch, num_parallel_calls=tf.data.AUTOTUNE)
    if settings.service:
        batches = served(
            settings.service, stream.records_from, stream.make_batch, start_step, batches.element_spec
        )
    return batches.prefetch(tf.data.AUTOTUNE).with_options(stream_options())


class TrainingStream:
    """The stream step by step: `order` the records of a pass, `read` those of a step, `vary` its images.

    Each method is a function of its arguments and the settings.

    Args:
        settings: what the stream is a function of.

    Raises:
        UrfrError: as `training_dataset`.
    """

    def __init__(self, settings: StreamSettings) -> None:
        if settings.cache and settings.service:
            raise UrfrError("expected a data service or a cache in memory, but both were asked for")
        manifest = load_manifest(os.path.abspath(settings.shards) if settings.service else settings.shards)
        sampling, augmentation, share = settings.sampling, settings.augmentation, settings.worker_share
        check_probabilities(augmentation.probabilities)
        if augmentation.turned and "pose" not in augmentation.probabilities:
            raise UrfrError("expected a probability of pose where turned faces are asked for, but got none")
        check_crop(manifest, settings.crop_size, manifest.image_size)
        self._settings = settings
        self._steps = _count_steps(manifest, sampling, share.count)
        self._batch = sampling.batch_size // share.count
        self._manifest = select_share(manifest, share)
        soft = [check_soft_labels(self._manifest, name) for name in settings.soft_labels]
        turned = turned_paths(self._manifest) if augmentation.turned else []
        self._copies = max(len(turned), 1)
        # The workers of a service open the files under the names that they have everywhere.
        name_file = os.fsencode if settings.service else plain_path
        self._stored: Stored = (
            InMemory(self._manifest, soft, turned)
            if settings.cache
            else Streamed(self._manifest, soft, turned, name_file)
        )

    def order(self, number: tf.Tensor) -> tf.data.Dataset:
        """The records of pass `number`, int64, as many as fill its batches."""
        # The order must not depend on tf.random.set_seed, which Dataset.shuffle would mix in.
        tf.compat.v1.set_random_seed(1)
        sampling = self._settings.sampling
        shards_seed, records_seed = tf.unstack(tf.random.split(self._seed_of(_ORDER, number)))
        order = tf.random.experimental.stateless_shuffle(
            tf.range(len(self._manifest.shard_paths)), shards_seed
        )
        copy = number % self._copies
        opened = tf.data.Dataset.from_tensor_slices(order).interleave(
            lambda shard: self._stored.open(shard, copy), cycle_length=_CYCLE, block_length=_BLOCK
        )
        shuffled = opened.shuffle(sampling.shuffle_buffer, records_seed[0], reshuffle_each_iteration=False)
        if sampling.images_per_identity > 1:
            shuffled = by_identity(
                shuffled,
                self._stored.label,
                sampling.images_per_identity,
                sampling.groups_per_identity,
                self._manifest.classes,
            )
        return shuffled.take(self._steps * self._batch)

    def records_from(self, step: int, stride: int = 1) -> tf.data.Dataset:
        """(step, batch of records) of the steps step, step + stride, ...; nothing is decoded here."""
        first_pass, step_of_pass = divmod(step, self._steps)
        stream = tf.data.Dataset.range(first_pass, _FOREVER).flat_map(self.order)
        stream = stream.skip(step_of_pass * self._batch).batch(self._batch, drop_remainder=True)
        return tf.data.Dataset.zip((tf.data.Dataset.range(step, _FOREVER), stream)).shard(stride, 0)

    def make_batch(self, step: tf.Tensor, batch: tuple[tf.Tensor, ...]) -> tuple[Tensors, Tensors]:
        """One batch of `training_dataset` from an element of `records_from`."""
        return self.vary(step, self.read(step, batch))

    def read(self, step: tf.Tensor, batch: tuple[tf.Tensor, ...]) -> Tensors:
        """Decodes and crops the images of a step.

        Args:
            step: int64.
            batch: records as `records_from` gives them.

        Returns:
            image uint8 [b, S, S, 3], label int64 [b], soft float32 [b, soft labels], and points float32 [b,
            10] in pixels of the crop where they are needed.
        """
        size, augmentation = self._manifest.image_size, self._settings.augmentation
        crop_size = self._settings.crop_size
        posed = None
        if augmentation.turned:
            posed = choose(self._batch, self._seed_of(_AUGMENT, step), augmentation.probabilities)["pose"]
        stored = self._stored.read(batch, posed)
        draw = tf.random.stateless_uniform([self._batch, 3], self._seed_of(_CROP, step))
        offset = tf.cast(draw[:, :2] * (size - crop_size + 1.0), tf.int32)
        mirrored = (draw[:, 2] < 0.5) & augmentation.flip
        examples = {key: stored[key] for key in (keys.LABEL, SOFT)}
        examples[keys.IMAGE] = crop_images(stored[keys.IMAGE], offset, mirrored, size, crop_size)
        if "pose" in augmentation.probabilities and not augmentation.turned:
            points = known_points(stored[records.POINTS], size)
            examples[records.POINTS] = crop_points(points, offset, mirrored, crop_size)
        return examples

    def vary(self, step: tf.Tensor, examples: Tensors) -> tuple[Tensors, Tensors]:
        """Augments the images that `read` gives, and says which variations each of them bears.

        Returns:
            The batch as `training_dataset` describes it.
        """
        augmentation = self._settings.augmentation
        seed = self._seed_of(_AUGMENT, step)
        images, labels = augment(
            examples[keys.IMAGE],
            seed,
            augmentation.probabilities,
            examples.get(records.POINTS),
            ("pose",) if augmentation.turned else (),
            augmentation.sizes,
        )
        if augmentation.light:
            images = relight(images, tf.random.fold_in(seed, _LIGHT), augmentation.light)
        inputs = {keys.IMAGE: images, keys.LABEL: examples[keys.LABEL]}
        if self._settings.keep_original:
            inputs[keys.ORIGINAL] = examples[keys.IMAGE]
        return inputs, {keys.VARIATION: tf.concat([labels, examples[SOFT]], axis=1)}

    def _seed_of(self, use: int, number: tf.Tensor) -> tf.Tensor:
        """The seed of a pass or step for one use, int64 [2]."""
        use += _USES * self._settings.worker_share.index
        stream_seed = tf.constant([self._settings.seed, use], tf.int64)
        return tf.cast(tf.random.fold_in(stream_seed, tf.cast(number, tf.int64)), tf.int64)


def _count_steps(manifest: Manifest, sampling: Sampling, worker_shares: int) -> int:
    batch_size, group = sampling.batch_size, sampling.images_per_identity
    if batch_size < 1 or group < 1 or batch_size % group:
        raise UrfrError(
            "expected a batch of at least 1 image that images_per_identity divides, "
            f"but got {batch_size} and {group}"
        )
    if worker_shares > 1:
        if group > 1:
            raise UrfrError("expected data.worker_shares: 1 where images are grouped by person, but got more")
        return count_steps_of_shares(manifest, batch_size, worker_shares)
    groups = manifest.counts // group
    if sampling.groups_per_identity:
        groups = np.minimum(groups, sampling.groups_per_identity)
    usable = int(groups.sum()) * group
    if usable < batch_size:
        what = "images" if group == 1 else f"images in groups of {group} of one person"
        raise UrfrError(
            f"expected at least a batch of {batch_size} {what}, but {manifest.folder} holds {usable}"
        )
    return usable // batch_size
