"""The TFRecord schema of a training shard: what `urfr prepare` writes and the pipeline reads.

One record is one aligned face crop. Images stay encoded (JPEG or PNG, RGB); pixels are 0..255.
A folder of shards holds `train-00000-of-00008.tfrecord` ..., `manifest.json`, `classes.tsv`
(label, identity, images) and `refused.tsv` (path, reason).
"""

import contextlib
from collections.abc import Iterator

import tensorflow as tf

from urfr_tf import keys
from urfr_tf.errors import UrfrError, short_reason_of

IDENTITY = "identity"
SOURCE = "source"
POINTS = "points"

_FEATURES = {
    keys.IMAGE: tf.io.FixedLenFeature([], tf.string),
    keys.LABEL: tf.io.FixedLenFeature([], tf.int64),
    IDENTITY: tf.io.FixedLenFeature([], tf.string, default_value=""),
    SOURCE: tf.io.FixedLenFeature([], tf.string, default_value=""),
    POINTS: tf.io.FixedLenFeature([10], tf.float32, default_value=[-1.0] * 10),
}


def _bytes(value: bytes) -> tf.train.Feature:
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))


def serialize(
    image: bytes, label: int, identity: str, source: str, points: list[float] | None = None
) -> bytes:
    """One record as bytes; the same arguments give the same bytes.

    Args:
        image: encoded JPEG or PNG of an RGB crop.
        label: class index, 0-based.
        identity: the person's name as the source gives it.
        source: path or key of the image in its source, relative to the source's root.
        points: x0, y0, ... x4, y4 in pixels of the crop (eyes, nose, mouth corners, left first as
            seen in the image), or None where they are unknown.
    """
    feature = {
        keys.IMAGE: _bytes(image),
        keys.LABEL: tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
        IDENTITY: _bytes(identity.encode("utf-8", "surrogateescape")),
        SOURCE: _bytes(source.encode("utf-8", "surrogateescape")),
    }
    if points is not None:
        feature[POINTS] = tf.train.Feature(float_list=tf.train.FloatList(value=points))
    example = tf.train.Example(features=tf.train.Features(feature=feature))
    serialized: bytes = example.SerializeToString(deterministic=True)
    return serialized


def parse(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
    """Parses serialized records, string [...] -> dict of tensors of the same leading shape.

    Keys: image (string), label (int64), identity (string), source (string), points (float32
    [..., 10], all -1 where unknown).
    """
    parse_examples = tf.io.parse_single_example if serialized.shape.rank == 0 else tf.io.parse_example
    examples: dict[str, tf.Tensor] = parse_examples(serialized, _FEATURES)
    return examples


@contextlib.contextmanager
def name_damage(folder: object) -> Iterator[None]:
    """Turns what TensorFlow raises on damaged records into a sentence.

    Args:
        folder: of the shards, for the sentence.

    Raises:
        UrfrError: the body reads a record, or an image in one, that is damaged.
    """
    try:
        yield
    except tf.errors.OpError as error:
        reason = short_reason_of(error)
        raise UrfrError(f"expected readable records in {folder}, but reading failed: {reason}") from error
    except UnicodeDecodeError as error:  # TensorFlow quotes the bytes of a record that does not parse.
        raise UrfrError(f"expected readable records in {folder}, but one does not parse") from error
