"""Gradients over replicas: summed first, then clipped, so that their number changes nothing."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf


def scaled(optimizer: Any, loss: tf.Tensor) -> tf.Tensor:
    """The loss times the loss scale where the optimizer has one (mixed_float16)."""
    if isinstance(optimizer, tf.keras.mixed_precision.LossScaleOptimizer):
        return optimizer.get_scaled_loss(loss)
    return loss


def apply_summed(
    optimizer: Any,
    gradients: Sequence[tf.Tensor],
    variables: Sequence[tf.Variable],
    *,
    clip_norm: float = 0.0,
    rates: dict[Any, tf.Tensor] | None = None,
) -> tf.Tensor:
    """Sums gradients over the replicas, clips their global norm, scales some, and applies them.

    Args:
        optimizer: a legacy Keras optimizer, with or without loss scaling.
        gradients: of `scaled(optimizer, share of the global mean loss)`.
        variables: as many.
        clip_norm: bound on the global norm; 0 for none.
        rates: variable.ref() -> factor on its learning rate.

    Returns:
        The global norm before clipping, a float32 scalar.
    """
    if isinstance(optimizer, tf.keras.mixed_precision.LossScaleOptimizer):
        gradients = optimizer.get_unscaled_gradients(gradients)
    gradients = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, list(gradients))
    norm = tf.linalg.global_norm(gradients)
    if clip_norm:
        gradients, _ = tf.clip_by_global_norm(gradients, clip_norm, use_norm=norm)
    pairs = []
    for gradient, variable in zip(gradients, variables, strict=True):
        rate = (rates or {}).get(variable.ref())
        pairs.append((gradient if rate is None else gradient * tf.cast(rate, gradient.dtype), variable))
    optimizer.apply_gradients(pairs, experimental_aggregate_gradients=False)
    return norm
