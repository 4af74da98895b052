"""Gradients over replicas: summed first, then clipped, so that their number changes nothing."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf


def make_slots(optimizer: Any, variables: Sequence[tf.Variable]) -> None:
    """Makes what the optimizer keeps for each variable, in the strategy's scope.

    A train step that has to make it is traced twice, since variables are made in the first trace only.
    """
    optimizer._create_all_weights(variables)


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
    prototypes: Any = None,
) -> tf.Tensor:
    """Sums gradients over the replicas, clips their global norm, scales some, and applies them.

    Gradients that are not finite are taken as 0, so that the weights stay finite and whoever sees the norm can
    ask them which layer it was. Loss scaling skips the step instead.

    Args:
        optimizer: a legacy Keras optimizer, with or without loss scaling.
        gradients: of `scaled(optimizer, share of the global mean loss)`.
        variables: as many; one fewer with `prototypes`.
        clip_norm: bound on the global norm; 0 for none.
        rates: variable.ref() -> factor on its learning rate.
        prototypes: a `PrototypeStep` that takes the last gradient instead of a variable; it counts in
            the norm, is clipped with the others, and is left out where loss scaling skips the step.

    Returns:
        The global norm before clipping, a float32 scalar.
    """
    if isinstance(optimizer, tf.keras.mixed_precision.LossScaleOptimizer):
        gradients = optimizer.get_unscaled_gradients(gradients)
    context = tf.distribute.get_replica_context()
    gradients = list(gradients)
    alone = [gradients.pop()] if prototypes is not None and prototypes.sharded else []
    gradients = context.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
    norm = tf.linalg.global_norm(gradients)
    if alone:  # Every replica has the gradient of another shard: their squares add up to the norm.
        square = context.all_reduce(tf.distribute.ReduceOp.SUM, tf.reduce_sum(tf.square(alone[0])))
        norm = tf.sqrt(tf.square(norm) + square)
        gradients = [*gradients, *alone]
    if clip_norm:
        gradients, _ = tf.clip_by_global_norm(gradients, clip_norm, use_norm=norm)
    if not isinstance(optimizer, tf.keras.mixed_precision.LossScaleOptimizer):
        finite = tf.math.is_finite(norm)
        gradients = [tf.where(finite, gradient, tf.zeros_like(gradient)) for gradient in gradients]
    if prototypes is not None:
        *gradients, of_rows = gradients
        if isinstance(optimizer, tf.keras.mixed_precision.LossScaleOptimizer):
            # The loss scale looks at the other gradients; one that overflowed here must show there.
            gradients = [gradient * (1.0 + 0.0 * norm) for gradient in gradients]
            tf.cond(tf.math.is_finite(norm), lambda: prototypes.update(of_rows), lambda: False)
        else:
            prototypes.update(of_rows)
    pairs = []
    for gradient, variable in zip(gradients, variables, strict=True):
        rate = (rates or {}).get(variable.ref())
        pairs.append((gradient if rate is None else gradient * tf.cast(rate, gradient.dtype), variable))
    optimizer.apply_gradients(pairs, experimental_aggregate_gradients=False)
    return norm
