"""Shards -> batches: the endless training stream, and the finite one of evaluation.

The training stream is a function of its arguments alone. Step g belongs to pass p = g // (N // B) over the
data; the order of pass p depends on (seed, p), what happens to the images of step g on (seed, g). A stream
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
from urfr_tf.data.stream.person_groups import by_identity
from urfr_tf.data.stream.random_crop import crop_images, crop_points, decode, known_points
from urfr_tf.data.stream.record_store import SOFT, InMemory, Stored, Streamed, Tensors
from urfr_tf.data.stream.service import served
from urfr_tf.data.stream.soft_labels import check_soft_labels
from urfr_tf.data.stream.turned_faces import turned_paths
from urfr_tf.data.stream.worker_shares import part_of, steps_of_parts
from urfr_tf.errors import UrfrError
from urfr_tf.system.allocator import keep_freed_memory

# Shards read side by side, and records taken from one before the next: both belong to the order of a pass.
_CYCLE, _BLOCK = 8, 16
_FOREVER = np.iinfo(np.int64).max
# What the stream's seed is used for.
_ORDER, _CROP, _AUGMENT = range(_USES := 3)
_LIGHT = 1
"""Folded into the seed of a step's variations, so that a stream without light stays as it was."""


def steps_per_pass(
    shards: str, batch_size: int, images_per_identity: int = 1, groups_per_identity: int = 0, parts: int = 1
) -> int:
    """Full batches in one pass over the data.

    Raises:
        UrfrError: the folder is no folder of shards, or holds fewer images than a batch.
    """
    return _steps(load_manifest(shards), batch_size, images_per_identity, groups_per_identity, parts)


@tf.autograph.experimental.do_not_convert
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
    turned: bool = False,
    images_per_identity: int = 1,
    groups_per_identity: int = 0,
    service: str = "",
    part: int = 0,
    parts: int = 1,
    sizes: dict[str, tuple[int, int]] | None = None,
    original: bool = False,
    light: float = 0.0,
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
        turned: take the faces that pose turns from those prepared beside the shards (`turn_shards`), copy
            p mod copies in pass p, in place of turning them here.
        images_per_identity: with M > 1 a batch is B / M groups of M images of one person (P x K sampling); a
            person's last n mod M images of a pass are left out. It streams: at most M - 1 encoded images a
            person wait for their group.
        groups_per_identity: with G > 0 a pass takes the first G groups of each person only (class-balanced:
            with G = 1 everybody who has M images comes once a pass, however many more there are); 0 takes all.
        service: HOST:PORT of a tf.data service whose workers make the batches (see `service`); the stream is the
            same. They find the shards at the same absolute path.
        sizes: of the variations, as `augment` takes them.
        original: the crops as they were before `augment` come too, as `original` uint8 [B, S, S, 3] among the inputs.
        light: probability that an image's brightness and contrast change (`relight`), after everything else.
        part, parts: the shards are dealt out to `parts`, each of which fills B / parts places of every batch
            from its own files; this stream is that of one of them. Of each part's images a pass leaves out
            those that the smallest part's last full batch does not reach.

    Returns:
        A dataset of ({image: float32 [B, S, S, 3] in 0..255, label: int64 [B]}, {variation: float32 [B, T]}),
        B being B / parts of a part's stream;
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
    if turned and "pose" not in probabilities:
        raise UrfrError("expected a probability of pose where turned faces are asked for, but got none")
    _check_crop(manifest, crop_size, manifest.image_size)
    steps = _steps(manifest, batch_size, images_per_identity, groups_per_identity, parts)
    manifest, batch_size = part_of(manifest, part, parts), batch_size // parts
    soft = [check_soft_labels(manifest, name) for name in soft_labels]
    faces = turned_paths(manifest) if turned else []
    stored: Stored = (InMemory if cache else Streamed)(manifest, soft, faces)

    def fold(use: int, number: tf.Tensor) -> tf.Tensor:
        return _fold(seed, use + _USES * part, number)

    def one_pass(number: tf.Tensor) -> tf.data.Dataset:
        # The order must not hang on tf.random.set_seed, which Dataset.shuffle would mix in.
        tf.compat.v1.set_random_seed(1)
        shards_seed, records_seed = tf.unstack(tf.random.split(fold(_ORDER, number)))
        order = tf.random.experimental.stateless_shuffle(tf.range(len(manifest.shard_paths)), shards_seed)
        copy = number % max(len(faces), 1)
        opened = tf.data.Dataset.from_tensor_slices(order).interleave(
            lambda shard: stored.open(shard, copy), cycle_length=_CYCLE, block_length=_BLOCK
        )
        shuffled = opened.shuffle(shuffle_buffer, records_seed[0], reshuffle_each_iteration=False)
        if images_per_identity > 1:
            most = (groups_per_identity, manifest.classes)
            shuffled = by_identity(shuffled, stored.label, images_per_identity, *most)
        return shuffled.take(steps * batch_size)

    def make(step: tf.Tensor, batch: tuple) -> tuple[Tensors, Tensors]:
        variations = fold(_AUGMENT, step)
        posed = choose(batch_size, variations, probabilities)["pose"] if turned else None
        examples = stored.read(batch, posed)
        draw = tf.random.stateless_uniform([batch_size, 3], fold(_CROP, step))
        offset = tf.cast(draw[:, :2] * (manifest.image_size - crop_size + 1.0), tf.int32)
        mirrored = (draw[:, 2] < 0.5) & flip
        images = crop_images(examples[keys.IMAGE], offset, mirrored, manifest.image_size, crop_size)
        points = None
        if "pose" in probabilities and not turned:
            points = known_points(examples[records.POINTS], manifest.image_size)
            points = crop_points(points, offset, mirrored, crop_size)
        ready = ("pose",) if turned else ()
        varied, labels = augment(images, variations, probabilities, points, ready, sizes)
        if light:
            varied = relight(varied, tf.random.fold_in(variations, _LIGHT), light)
        labels = tf.concat([labels, examples[SOFT]], axis=1)
        inputs = {keys.IMAGE: varied, keys.LABEL: examples[keys.LABEL]}
        if original:
            inputs[keys.ORIGINAL] = images
        return inputs, {keys.VARIATION: labels}

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


@tf.autograph.experimental.do_not_convert
def evaluation_dataset(
    shards: str, *, batch_size: int, crop_size: int, scale_to: int | None = None
) -> tf.data.Dataset:
    """Every image once, in the order of the shards, cropped in the centre; the last batch may be smaller.

    Args:
        shards: folder of shards. batch_size: B. crop_size: S, in pixels.
        scale_to: side in pixels that images are shrunk to before the crop; None: as they are.

    Returns:
        A dataset of dicts: image float32 [B, S, S, 3] in 0..255, label int64 [B], identity, source string [B].

    Raises:
        UrfrError: a damaged folder, a crop larger than the images, or images smaller than they shall become.
    """
    manifest = load_manifest(shards)
    if scale_to is not None and not 1 <= scale_to <= manifest.image_size:
        raise UrfrError(
            f"expected to scale the images of {manifest.folder} to 1 to {manifest.image_size} pixels, "
            f"but got {scale_to}"
        )
    side = scale_to or manifest.image_size
    _check_crop(manifest, crop_size, side)
    before = (side - crop_size) // 2

    def read(serialized: tf.Tensor) -> Tensors:
        example = records.parse(serialized)
        image = decode(example[keys.IMAGE], manifest.image_size)
        if side != manifest.image_size:
            image = tf.image.resize(image, [side, side], antialias=True)
        image = image[before : before + crop_size, before : before + crop_size]
        rest = {key: example[key] for key in (keys.LABEL, records.IDENTITY, records.SOURCE)}
        return {keys.IMAGE: tf.cast(image, tf.float32), **rest}

    stream = tf.data.TFRecordDataset([str(path) for path in manifest.shard_paths])
    stream = stream.map(read, num_parallel_calls=tf.data.AUTOTUNE).batch(batch_size)
    return stream.prefetch(tf.data.AUTOTUNE).with_options(_options())


def _fold(seed: int, use: int, number: tf.Tensor) -> tf.Tensor:
    """The seed of a pass or step, int64 [2]."""
    folded = tf.random.fold_in(tf.constant([seed, use], tf.int64), tf.cast(number, tf.int64))
    return tf.cast(folded, tf.int64)


def _steps(
    manifest: Manifest, batch_size: int, images_per_identity: int, groups_per_identity: int, parts: int
) -> int:
    if batch_size < 1 or images_per_identity < 1 or batch_size % images_per_identity:
        raise UrfrError(
            "expected a batch of at least 1 image that images_per_identity divides, "
            f"but got {batch_size} and {images_per_identity}"
        )
    if parts > 1:
        if images_per_identity > 1:
            raise UrfrError("expected data.worker_shares: 1 where images are grouped by person, but got more")
        return steps_of_parts(manifest, batch_size, parts)
    groups = manifest.counts // images_per_identity
    if groups_per_identity:
        groups = np.minimum(groups, groups_per_identity)
    usable = int(groups.sum()) * images_per_identity
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


def _check_crop(manifest: Manifest, crop_size: int, side: int) -> None:
    if not 1 <= crop_size <= side:
        raise UrfrError(
            f"expected a crop of 1 to {side} pixels from the images of {manifest.folder}, but got {crop_size}"
        )


def _options() -> tf.data.Options:
    options = tf.data.Options()
    options.deterministic = True
    # With several workers each takes its part of every batch; sharding by files would change the stream.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return options
