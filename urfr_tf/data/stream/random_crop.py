"""Encoded images -> random crops, mirrored or not, with the five points moved along."""

from collections.abc import Callable

import tensorflow as tf

from urfr_tf.data.manifest import Manifest
from urfr_tf.errors import UrfrError
from urfr_tf.faces.template import five_points

_TURN = 16


def check_crop(manifest: Manifest, crop_size: int, side: int) -> None:
    """Refuses a crop that is larger than images of `side` pixels.

    Raises:
        UrfrError: it is.
    """
    if not 1 <= crop_size <= side:
        raise UrfrError(
            f"expected a crop of 1 to {side} pixels from the images of {manifest.folder}, but got {crop_size}"
        )


def decode(encoded: tf.Tensor, size: int) -> tf.Tensor:
    """JPEG or PNG -> uint8 [size, size, 3], RGB; despite its name the operation takes both."""
    return tf.ensure_shape(tf.io.decode_jpeg(encoded, channels=3), [size, size, 3])


def decode_all(encoded: tf.Tensor, size: int) -> tf.Tensor:
    """A batch of `decode`: string [B] -> uint8 [B, size, size, 3]."""
    return _each(lambda one: decode(one, size), (encoded,), tf.TensorSpec([size, size, 3], tf.uint8))


def crop_images(
    images: tf.Tensor, offset: tf.Tensor, mirrored: tf.Tensor, image_size: int, crop_size: int
) -> tf.Tensor:
    """Cuts a square out of each image and mirrors it where asked.

    Args:
        images: encoded, string [B], or pixels, uint8 [B, image_size, image_size, 3].
        offset: int32 [B, 2], first row and column of each square, at most image_size - crop_size.
        mirrored: bool [B].
        image_size: side of the images.
        crop_size: side of the squares.

    Returns:
        uint8 [B, crop_size, crop_size, 3].
    """

    def one(image: tf.Tensor, first: tf.Tensor, mirror: tf.Tensor) -> tf.Tensor:
        if image.dtype == tf.string:
            image = decode(image, image_size)
        image = tf.slice(image, first, [crop_size, crop_size, 3])
        # With the axes as a tensor an image that stays as it is costs no branch of the graph.
        return tf.raw_ops.Reverse(tensor=image, dims=mirror)

    first = tf.pad(offset, [[0, 0], [0, 1]])
    axes = tf.pad(mirrored[:, None], [[0, 0], [1, 1]])
    return _each(one, (images, first, axes), tf.TensorSpec([crop_size, crop_size, 3], tf.uint8))


def _each(work: Callable[..., tf.Tensor], values: tuple[tf.Tensor, ...], result: tf.TensorSpec) -> tf.Tensor:
    """`work` on each example of a batch, a few of them in every turn of a loop.

    A dataset of single images, or a turn of the loop for each, costs a fifth more than decoding itself.
    """
    batch = values[0].shape[0]
    turn = next(n for n in range(_TURN, 0, -1) if n == 1 or (batch and batch % n == 0))

    def few(columns: tuple[tf.Tensor, ...]) -> tf.Tensor:
        return tf.stack([work(*one) for one in zip(*map(tf.unstack, columns), strict=True)])

    split = tuple(tf.reshape(value, [-1, turn, *value.shape[1:]]) for value in values)
    of_turn = tf.TensorSpec([turn, *result.shape], result.dtype)
    return tf.reshape(tf.map_fn(few, split, fn_output_signature=of_turn), [-1, *result.shape])


def crop_points(points: tf.Tensor, offset: tf.Tensor, mirrored: tf.Tensor, crop_size: int) -> tf.Tensor:
    """Moves the five points as `crop_images` moves the pixels.

    Args:
        points: float32 [B, 10], x0, y0, ... x4, y4 in pixels: eyes, nose, corners of the mouth, the left one
            first as seen in the image.
        offset: int32 [B, 2], first row and column of the crop.
        mirrored: bool [B].
        crop_size: side of the crop.

    Returns:
        float32 [B, 10] in pixels of the crop, the left one first again.
    """
    moved = tf.reshape(points, [-1, 5, 2]) - tf.cast(offset[:, None, ::-1], tf.float32)
    flipped = tf.stack([crop_size - 1.0 - moved[..., 0], moved[..., 1]], axis=-1)
    flipped = tf.gather(flipped, [1, 0, 2, 4, 3], axis=1)
    return tf.reshape(tf.where(mirrored[:, None, None], flipped, moved), [-1, 10])


def known_points(points: tf.Tensor, image_size: int) -> tf.Tensor:
    """Points [B, 10], the template's in the place of unknown ones: they have to move with the crop."""
    template = tf.constant(five_points(image_size).ravel(), tf.float32)
    return tf.where(tf.reduce_all(points < 0.0, axis=1, keepdims=True), template[None], points)
