"""The identification loss over some of the prototypes, or over shards of them on several replicas.

The softmax is that of `identification`. Its gradient is written out (method, section 2), so that of all
[B, rows] arrays only the exponentials live until the backward pass, and so that every replica gets the
gradient of its own shard and of its own images once: differentiating through the collectives would count
each loss once a replica.
"""

from collections.abc import Callable
from typing import Protocol

import tensorflow as tf

_SMALLEST = 1e-12  # of a squared norm, as in the layers' normalization


class Collectives(Protocol):
    """What the replicas of one step tell one another.

    Attributes:
        count: the number of replicas.
        index: which replica this is, 0 <= index < count.
    """

    count: int
    index: int

    def gather(self, value: tf.Tensor) -> tf.Tensor:
        """[n, ...] of every replica -> [count * n, ...], in the order of the replicas."""

    def sum(self, value: tf.Tensor) -> tf.Tensor:
        """The sum over the replicas, same shape."""


def partial_identification(
    embedding: tf.Tensor,
    confidence: tf.Tensor,
    kernel: tf.Tensor,
    targets: tf.Tensor,
    margin: tf.Tensor,
    collectives: Collectives,
) -> tuple[tf.Tensor, tf.Tensor]:
    """-log softmax of the right identity, over the rows of `kernel` of all replicas.

    Args:
        embedding: float [b, K, d], groups of norm 1, of this replica's images.
        confidence: float [b, K].
        kernel: float32 [S, D], this replica's prototypes before normalization; S may be 0.
        targets: int32 [B], B = count * b: the row of `kernel` of each image of the global batch, -1 where
            another replica has it.
        margin: m, a float32 scalar, subtracted from the target logit.
        collectives: between the replicas that share the prototypes.

    Returns:
        loss: float32 [b]; differentiable by embedding, confidence and kernel.
        right: bool [b], whether the logit without margin is the greatest.
    """
    groups, dim = embedding.shape[1], embedding.shape[2]
    width = groups * dim
    embedding, confidence = tf.cast(embedding, tf.float32), tf.cast(confidence, tf.float32)
    gated = tf.reshape(embedding * confidence[..., tf.newaxis] / groups, [-1, width])
    margin = tf.stop_gradient(margin)

    @tf.custom_gradient
    def loss_of(
        gated: tf.Tensor, kernel: tf.Tensor
    ) -> tuple[tuple[tf.Tensor, tf.Tensor], Callable[..., tuple[tf.Tensor, tf.Tensor]]]:
        mine = collectives.index * tf.shape(gated)[0] + tf.range(tf.shape(gated)[0])
        features = collectives.gather(gated)
        grouped = tf.reshape(kernel, [-1, groups, dim])
        inverse = tf.math.rsqrt(tf.maximum(tf.reduce_sum(tf.square(grouped), -1, keepdims=True), _SMALLEST))
        unit = tf.reshape(grouped * inverse, [-1, width])
        places = tf.where(targets >= 0)
        cells = tf.concat([places, tf.cast(tf.gather(targets, places), tf.int64)], 1)

        logits = tf.matmul(features, unit, transpose_b=True)
        plain = tf.scatter_nd(places, tf.gather_nd(logits, cells), tf.shape(targets, tf.int64))
        logits = tf.tensor_scatter_nd_sub(logits, cells, tf.fill([tf.shape(cells)[0]], margin))
        shard_most = tf.reduce_max(logits, axis=1)
        most = tf.reduce_max(collectives.gather(shard_most[tf.newaxis]), axis=0)
        powers = tf.exp(logits - most[:, tf.newaxis])
        plain, total = tf.unstack(collectives.sum(tf.stack([plain, tf.reduce_sum(powers, axis=1)])))
        loss = tf.math.log(total) + most - (plain - margin)
        # The target entered `most` lowered by the margin, so this compares it with all others.
        right = plain >= most

        def gradient(upstream: tf.Tensor, _: tf.Tensor | None = None) -> tuple[tf.Tensor, tf.Tensor]:
            weight = collectives.gather(upstream)
            # dL/da_j = p_j - [j = y], each row times its own upstream.
            slope = powers * (weight / total)[:, tf.newaxis]
            slope = tf.tensor_scatter_nd_sub(slope, cells, tf.gather_nd(weight, places))
            by_features = collectives.sum(tf.matmul(slope, unit))
            by_unit = tf.reshape(tf.matmul(slope, features, transpose_a=True), [-1, groups, dim])
            unit_groups = tf.reshape(unit, [-1, groups, dim])
            along = tf.reduce_sum(by_unit * unit_groups, -1, keepdims=True)
            by_kernel = (by_unit - unit_groups * along) * inverse
            return tf.gather(by_features, mine), tf.reshape(by_kernel, [-1, width])

        return (tf.gather(loss, mine), tf.gather(right, mine)), gradient

    loss, right = loss_of(gated, kernel)
    return loss, right
