"""Low resolution: down to a few pixels and up again, each image with its own size."""

import tensorflow as tf

SMALLEST, LARGEST = 16, 64
"""Pixels of the paper."""


def draw_size(
    count: tf.Tensor | int, seed: tf.Tensor, side: int, smallest: int = SMALLEST, largest: int = LARGEST
) -> tf.Tensor:
    """Sizes from `smallest` to `largest` pixels, or to `side` where that is less, each equally likely: int32 [count].

    `seed` is an integer pair [2]; `side` is that of the images.
    """
    last = max(smallest, min(largest, side))
    return tf.random.stateless_uniform([count], seed, smallest, last + 1, tf.int32)


def lower_resolution(images: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Shrinks every image to size x size pixels (bilinear, antialiased) and enlarges it again (bilinear).

    Args:
        images: uint8 or float32 [B, H, W, C]; H, W and C known.
        size: int32 [B], at least 1.

    Returns:
        The shape and type of `images`, and in their range; bytes are rounded once, at the end.
    """
    _, height, width, channels = images.shape

    def one(values: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        image, side = values
        small = tf.image.resize(image, [side, side], antialias=True)
        image = tf.image.resize(small, [height, width])
        return image if images.dtype == tf.float32 else tf.cast(image + 0.5, images.dtype)

    result = tf.TensorSpec([height, width, channels], images.dtype)
    return tf.map_fn(one, (images, size), fn_output_signature=result)
