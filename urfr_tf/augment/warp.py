"""Reading pictures at given places, written for XLA: everything here is fused into loops over pixels.

TensorFlow's own kernels walk memory once for each product and sum; compiled, four gathers and their
arithmetic cost about as much as one of those walks.
"""

from typing import Any

import tensorflow as tf

STEP = 4
"""Pixels between the nodes of a coarse grid."""


def node_count(size: int) -> int:
    """Nodes 0, STEP, 2 STEP ... that it takes to have every one of `size` pixels before the last node."""
    return (size - 1) // STEP + 2


def nodes(size: int) -> tf.Tensor:
    """The nodes' pixels (x, y), float32 [1, node_count^2, 2], row by row."""
    line = tf.range(node_count(size), dtype=tf.float32) * STEP
    return tf.reshape(tf.stack(tf.meshgrid(line, line), -1), [1, -1, 2])


def spread(field: tf.Tensor, size: int) -> tf.Tensor:
    """Values at the nodes, [B, node_count^2] -> at the pixels [B, n, STEP, n, STEP], bilinear.

    Row i of the image is [i // STEP, i % STEP], and so are columns: left like this, because a reshape in
    the middle of compiled loops costs a division a pixel. See `whole`.
    """
    count = node_count(size)
    field = tf.reshape(field, [-1, count, 1, count])
    fraction = tf.range(STEP, dtype=tf.float32) / STEP
    field = field[:, :-1] + fraction[:, None] * (field[:, 1:] - field[:, :-1])
    field = field[..., None]
    return field[:, :, :, :-1] + fraction * (field[:, :, :, 1:] - field[:, :, :, :-1])


def whole(channels: list[tf.Tensor], size: int) -> tf.Tensor:
    """Channels at the pixels as `spread` gives them -> image [B, size, size, C]."""
    length = (node_count(size) - 1) * STEP
    return tf.reshape(tf.stack(channels, -1), [-1, length, length, len(channels)])[:, :size, :size]


def bilinear(
    table: tf.Tensor, column: tf.Tensor, row: tf.Tensor, start: tf.Tensor, width: int, height: int
) -> Any:
    """Bilinear reading of pictures that stand one after the other in a table.

    Args:
        table: float32 [P * height * width, ...], row by row.
        column, row: float32 [B, N], places; clipped to the picture.
        start: int32 [B, 1], the table's index of each picture's first value.
        width, height: of every picture.

    Returns:
        float32 [B, N, ...].
    """
    column = tf.clip_by_value(column, 0.0, width - 1.001)
    row = tf.clip_by_value(row, 0.0, height - 1.001)
    left, top = tf.cast(column, tf.int32), tf.cast(row, tf.int32)
    s, t = column - tf.cast(left, tf.float32), row - tf.cast(top, tf.float32)
    if table.shape.rank > 1:
        s, t = s[..., None], t[..., None]
    index = start + top * width + left
    a, b, c, d = (tf.gather(table, index + k) for k in (0, 1, width, width + 1))
    upper, lower = a + s * (b - a), c + s * (d - c)
    return upper + t * (lower - upper)


def packed(images: tf.Tensor) -> tf.Tensor:
    """RGB images float32 [B, S, S, 3] in 0..255 as one int32 a pixel [B * S * S], 10 bits a channel.

    Rounds to quarters: what was an integer stays exact. One gather then reads a whole pixel.
    """
    quarters = tf.cast(tf.clip_by_value(images, 0.0, 255.0) * 4.0 + 0.5, tf.int32)
    return tf.reshape(quarters[..., 0] + quarters[..., 1] * 2**10 + quarters[..., 2] * 2**20, [-1])


def sample(pixels: tf.Tensor, x: tf.Tensor, y: tf.Tensor, size: int) -> list[tf.Tensor]:
    """Bilinear samples of `packed` images at pixels x, y [B, ...], clipped to the image: R, G, B [B, ...]."""
    x, y = tf.clip_by_value(x, 0.0, size - 1.001), tf.clip_by_value(y, 0.0, size - 1.001)
    left, top = tf.cast(x, tf.int32), tf.cast(y, tf.int32)
    s, t = x - tf.cast(left, tf.float32), y - tf.cast(top, tf.float32)
    image = tf.reshape(tf.range(tf.shape(x)[0]), [-1] + [1] * (x.shape.rank - 1))
    index = (image * size + top) * size + left
    corners = [tf.gather(pixels, index + k) for k in (0, 1, size, size + 1)]
    weights = [(1 - s) * (1 - t), s * (1 - t), (1 - s) * t, s * t]
    channels = []
    for shift in (0, 10, 20):
        values = [tf.bitwise.bitwise_and(tf.bitwise.right_shift(corner, shift), 1023) for corner in corners]
        total = tf.add_n([w * tf.cast(v, tf.float32) for w, v in zip(weights, values, strict=True)])
        channels.append(total * 0.25)
    return channels
