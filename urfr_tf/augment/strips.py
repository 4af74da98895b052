"""Images painted from layers that are warped pictures, in strips of a few pixels of a row.

TensorFlow has no fast sampling of an image at given places: four gathers and their arithmetic cost
several times what one `crop_and_resize` costs, whose boxes may be a single row high. So a warp is given
at the ends of strips; inside a strip the column of the source runs linearly and its row is constant
(for a warp that turns by r the row is off by at most (WIDTH - 1) / 2 * sin r). Only strips in which a
layer has weight are sampled.
"""

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

WIDTH = 4
"""Pixels of a strip."""


class Layer(NamedTuple):
    """One picture to paint with.

    picture float32 [B, H, W, 3]; at float32 [B, S, N + 1, 2], where in the target's scale (pixels of an
    S x S picture; `picture` may be coarser) the ends of the N strips of each row look; weight float32
    [B, S, N, WIDTH] of each pixel.
    """

    picture: tf.Tensor
    at: tf.Tensor
    weight: tf.Tensor


def spread(ends: tf.Tensor) -> tf.Tensor:
    """Values at strips' ends [B, S, N + 1] -> at the pixels [B, S, N, WIDTH], linearly."""
    part = tf.range(WIDTH, dtype=tf.float32) / WIDTH
    left = ends[:, :, :-1, None]
    return left + part * (ends[:, :, 1:, None] - left)


def _samples(layer: Layer, size: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Flat indices [M, 1] of the strips in which the layer is seen, and their weighted pixels [M, WIDTH, 3]."""
    strips = tf.shape(layer.weight)[2]
    weight = tf.reshape(layer.weight, [-1, WIDTH])
    chosen = tf.where(tf.reduce_max(weight, 1) > 1 / 512)
    flat = chosen[:, 0]
    row_of = flat // tf.cast(strips, tf.int64)
    image_of = tf.cast(row_of // tf.cast(size, tf.int64), tf.int32)
    places = tf.reshape(layer.at, [-1, 2]) / tf.cast(size - 1, tf.float32)
    places = tf.clip_by_value(places, 0.0, 1.0)
    start = tf.gather(places, flat + row_of)  # each row has one end more than strips
    run = tf.gather(places, flat + row_of + 1) - start
    row = start[:, 1] + run[:, 1] * ((WIDTH - 1) / (2 * WIDTH))
    boxes = tf.stack([row, start[:, 0], row, start[:, 0] + run[:, 0] * ((WIDTH - 1) / WIDTH)], 1)
    pixels = tf.image.crop_and_resize(layer.picture, boxes, image_of, [1, WIDTH])[:, 0]
    return chosen, pixels * tf.gather(weight, flat)[..., None]


def paint(layers: Sequence[Layer], size: tf.Tensor) -> tf.Tensor:
    """The weighted sum of layers, float32 [B, S, S, 3]; `size` is S. Weights of a pixel should add to 1."""
    batch, strips = tf.shape(layers[0].weight)[0], tf.shape(layers[0].weight)[2]
    painted = [_samples(layer, size) for layer in layers]
    index = tf.concat([chosen for chosen, _ in painted], 0)
    pixels = tf.concat([values for _, values in painted], 0)
    shape = tf.stack([batch * size * strips, WIDTH, 3])
    canvas = tf.scatter_nd(index, pixels, tf.cast(shape, tf.int64))
    return tf.reshape(canvas, [batch, size, strips * WIDTH, 3])[:, :, :size]
