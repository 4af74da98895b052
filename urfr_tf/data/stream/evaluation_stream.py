"""Shards -> batches: every image once, in the order of the shards, not augmented."""

from collections.abc import Iterator

import tensorflow as tf

from urfr_tf import keys
from urfr_tf.data import records
from urfr_tf.data.manifest import load_manifest
from urfr_tf.data.stream.options import stream_options
from urfr_tf.data.stream.random_crop import check_crop, decode
from urfr_tf.data.stream.record_store import Tensors
from urfr_tf.errors import UrfrError
from urfr_tf.system.plain_paths import plain_path


@tf.autograph.experimental.do_not_convert
def evaluation_dataset(
    shards: str, *, batch_size: int, crop_size: int, scale_to: int | None = None
) -> tf.data.Dataset:
    """Builds the stream of every image, cropped in the center. The last batch may be smaller.

    Args:
        shards: folder of shards.
        batch_size: B.
        crop_size: S, in pixels.
        scale_to: side in pixels that images are shrunk to before the crop; None: not shrunk.

    Returns:
        A dataset of dicts: image float32 [B, S, S, 3] in 0..255, label int64 [B], identity, source string
        [B].

    Raises:
        UrfrError: a damaged folder, a crop larger than the images, or `scale_to` larger than they are.
    """
    manifest = load_manifest(shards)
    if scale_to is not None and not 1 <= scale_to <= manifest.image_size:
        raise UrfrError(
            f"expected to scale the images of {manifest.folder} to 1 to {manifest.image_size} pixels, "
            f"but got {scale_to}"
        )
    side = scale_to or manifest.image_size
    check_crop(manifest, crop_size, side)
    first = (side - crop_size) // 2

    def read(serialized: tf.Tensor) -> Tensors:
        example = records.parse(serialized)
        image = decode(example[keys.IMAGE], manifest.image_size)
        if side != manifest.image_size:
            image = tf.image.resize(image, [side, side], antialias=True)
        image = image[first : first + crop_size, first : first + crop_size]
        rest = {key: example[key] for key in (keys.LABEL, records.IDENTITY, records.SOURCE)}
        return {keys.IMAGE: tf.cast(image, tf.float32), **rest}

    stream = tf.data.TFRecordDataset([plain_path(path) for path in manifest.shard_paths])
    stream = stream.map(read, num_parallel_calls=tf.data.AUTOTUNE).batch(batch_size)
    return stream.prefetch(tf.data.AUTOTUNE).with_options(stream_options())


def evaluation_batches(
    shards: str, *, batch_size: int, crop_size: int, scale_to: int | None = None
) -> Iterator[Tensors]:
    """Gives the batches of `evaluation_dataset`, whose arguments these are, one after the other.

    Raises:
        UrfrError: as there, or a record or an image of the shards is damaged.
    """
    stream = evaluation_dataset(shards, batch_size=batch_size, crop_size=crop_size, scale_to=scale_to)
    batches = iter(stream)
    while True:
        with records.name_damage(shards):
            batch: Tensors | None = next(batches, None)
        if batch is None:
            return
        yield batch
