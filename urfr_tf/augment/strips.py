"""Images painted from warped pictures, in strips of a few pixels of a row.

TensorFlow has no fast sampling of an image at given places: four gathers and their arithmetic cost
several times what one `crop_and_resize` costs, whose boxes may be a single row high. So a warp is given
at the ends of strips; inside a strip the column of the source runs linearly and its row is constant
(for a warp that turns by r the row is off by at most (WIDTH - 1) / 2 * sin r pixels). Only the strips in
which a layer has weight are sampled.
"""

from typing import NamedTuple

import tensorflow as tf

WIDTH = 4
"""Pixels of a strip."""


class Warp(NamedTuple):
    """Where the ends of the N strips of each row look, float32 [B, S, N + 1, 2] in pixels of the images,

    and `weight`, float32 [B, S, N + 1].
    """

    at: tf.Tensor
    weight: tf.Tensor


def _strips(seen: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Flat indices int32 [M] of the strips with an end that is seen (bool [B, S, N + 1]), and of their rows."""
    strip = tf.cast(tf.where(tf.reshape(seen[:, :, :-1] | seen[:, :, 1:], [-1]))[:, 0], tf.int32)
    return strip, strip // (tf.shape(seen)[2] - 1)


def _along(ends: tf.Tensor, first: tf.Tensor) -> tf.Tensor:
    """Values at ends [B, S, N + 1] along the strips that begin with ends [M] -> [M, WIDTH, 1]."""
    ends = tf.reshape(ends, [-1])
    part = tf.range(WIDTH, dtype=tf.float32) / WIDTH
    both = tf.stack([tf.gather(ends, first), tf.gather(ends, first + 1)], 1)
    return tf.matmul(both, tf.stack([1.0 - part, part]))[..., None]


def _sample(images: tf.Tensor, at: tf.Tensor, strip: tf.Tensor, row: tf.Tensor) -> tf.Tensor:
    """Pixels [M, WIDTH, 3] of strips [M] in rows [M]."""
    size = tf.shape(images)[1]
    places = tf.clip_by_value(tf.reshape(at, [-1, 2]) / tf.cast(size - 1, tf.float32), 0.0, 1.0)
    start = tf.gather(places, strip + row)  # each row has one end more than strips
    run = (tf.gather(places, strip + row + 1) - start) * ((WIDTH - 1) / WIDTH)
    height = start[:, 1] + 0.5 * run[:, 1]
    box = tf.stack([height, start[:, 0], height, start[:, 0] + run[:, 0]], 1)
    return tf.image.crop_and_resize(images, box, row // size, [1, WIDTH])[:, 0]


def paint(
    images: tf.Tensor, canvas: tf.Tensor, behind: Warp, front: Warp, mirrored: Warp, edge: float
) -> tf.Tensor:
    """Paints a face in front of a background.

    Args:
        images: float32 [B, S, S, 3] to sample from.
        canvas: float32 [B, S, N + 1, 3], values at the ends of the strips to start from.
        behind: sampled and added to the canvas times its weight, except where the front hides it.
        front: covers the canvas. Its weight is the signed distance in pixels from its outline, over
            `edge` pixels of which it fades.
        mirrored: takes the part `weight` of the front's place.
        edge: pixels.

    Returns:
        float32 [B, S, S, 3].
    """
    batch, size = tf.shape(images)[0], images.shape[1] or tf.shape(images)[1]
    count = tf.shape(canvas)[2] - 1
    wide = tf.raw_ops.ResizeBilinear(images=canvas, size=[size, count * WIDTH + 1], align_corners=True)
    wide = tf.reshape(wide[:, :, : count * WIDTH], [-1, WIDTH, 3])

    visible = front.weight < edge / 2
    strip, row = _strips(visible & (behind.weight > 0.0))
    pixels = _sample(images, behind.at, strip, row) * _along(behind.weight, strip + row)
    wide = tf.tensor_scatter_nd_add(wide, strip[:, None], pixels)

    shown = front.weight > -edge / 2
    strip, row = _strips(shown)
    first = strip + row
    cover = tf.clip_by_value(0.5 + _along(front.weight, first) / edge, 0.0, 1.0)
    own = cover * (1.0 - _along(mirrored.weight, first))
    pixels = _sample(images, front.at, strip, row) * own + tf.gather(wide, strip) * (1.0 - cover)
    wide = tf.tensor_scatter_nd_update(wide, strip[:, None], pixels)

    strip, row = _strips(shown & (mirrored.weight > 0.0))
    first = strip + row
    cover = tf.clip_by_value(0.5 + _along(front.weight, first) / edge, 0.0, 1.0)
    pixels = _sample(images, mirrored.at, strip, row) * (cover * _along(mirrored.weight, first))
    wide = tf.tensor_scatter_nd_add(wide, strip[:, None], pixels)
    painted = tf.reshape(wide, [batch, size, count * WIDTH, 3])
    return painted if isinstance(size, int) and size % WIDTH == 0 else painted[:, :, :size]
