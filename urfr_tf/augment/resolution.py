"""Low resolution: down to a few pixels and up again, each image with its own size."""

import tensorflow as tf

SMALLEST, LARGEST = 16, 64
"""Pixels of the paper."""


def draw_size(
    count: tf.Tensor | int, seed: tf.Tensor, side: int, smallest: int = SMALLEST, largest: int = LARGEST
) -> tf.Tensor:
    """Sizes from `smallest` to `largest` pixels, or to `side` where that is less, each equally likely: int32
    [count].

    `seed` is an integer pair [2]; `side` is that of the images.
    """
    last = max(smallest, min(largest, side))
    return tf.random.stateless_uniform([count], seed, smallest, last + 1, tf.int32)


def lower_resolution(images: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Shrinks every image to size x size pixels (bilinear, antialiased) and enlarges it again (bilinear).

    Args:
        images: uint8 or float32 [B, H, W, C].
        size: int32 [B], at least 1.

    Returns:
        The shape and type of `images`, and in their range; bytes are rounded once, at the end.
    """
    # A graph that was called with several sizes does not know them when it is traced.
    full = tf.shape(images)[1:3]

    def one(values: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        image, side = values
        small = tf.image.resize(image, [side, side], antialias=True)
        image = tf.image.resize(small, full)
        return image if images.dtype == tf.float32 else tf.cast(image + 0.5, images.dtype)

    result = tf.TensorSpec(images.shape[1:], images.dtype)
    return tf.map_fn(one, (images, size), fn_output_signature=result)
