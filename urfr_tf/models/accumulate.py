"""Gradients of a batch from micro-batches that are computed one after the other."""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf


class Examples(NamedTuple):
    """What a step reads of a batch.

    Attributes:
        images: float32 [b, S, S, 3], RGB, 0..255.
        labels: int [b].
        variations: float32 [b, T].
        originals: images before augmentation, [b, S, S, 3] of any type; None without a teacher.
    """

    images: tf.Tensor
    labels: tf.Tensor
    variations: tf.Tensor
    originals: tf.Tensor | None = None

    def map(self, function: Callable[[tf.Tensor], tf.Tensor]) -> "Examples":
        """Applies a function to each tensor."""
        return Examples(*(None if tensor is None else function(tensor) for tensor in self))


def take_micro_batch(examples: Examples, number: int, count: int) -> Examples:
    """Takes micro-batch `number` of `count` equal ones."""
    if count == 1:
        return examples
    return examples.map(lambda tensor: tf.split(tensor, count)[number])


def accumulate_gradients(
    gradients_of: Callable[[Examples, int], list[tf.Tensor]], examples: Examples, count: int
) -> list[tf.Tensor]:
    """Sums the gradients of micro-batches.

    Args:
        gradients_of: (micro-batch, its number) -> its share of the gradients.
        examples: the batch.
        count: into how many micro-batches it is cut.

    Returns:
        The sum over the micro-batches.
    """
    total = gradients_of(take_micro_batch(examples, 0, count), 0)
    for number in range(1, count):
        # Serialize the micro-batches. Otherwise TensorFlow keeps the activations of all of them in memory,
        # and does the work on the prototypes, which needs no image, for all of them at the start.
        with tf.control_dependencies(total):
            micro_batch = take_micro_batch(examples, number, count).map(tf.identity)
            gradients = gradients_of(micro_batch, number)
        total = [before + gradient for before, gradient in zip(total, gradients, strict=True)]
    return total
