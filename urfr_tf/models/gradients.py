"""Gradients over replicas: summed first, then clipped, so that the number of replicas changes nothing."""

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeAlias

import tensorflow as tf

from urfr_tf.keras2 import keras

Optimizer: TypeAlias = keras.optimizers.legacy.Optimizer
"""A legacy Keras optimizer, or a `LossScaleOptimizer` around one, which has the same methods."""


def make_slots(optimizer: Optimizer, variables: Sequence[tf.Variable]) -> None:
    """Makes what the optimizer keeps for each variable, in the strategy's scope.

    A train step that has to make it is traced twice, since variables are made in the first trace only.
    """
    optimizer._create_all_weights(variables)


def scales_loss(optimizer: Optimizer) -> bool:
    """Returns whether the optimizer scales the loss and skips steps that overflow (mixed_float16)."""
    return isinstance(optimizer, keras.mixed_precision.LossScaleOptimizer)


def scaled(optimizer: Optimizer, loss: tf.Tensor) -> tf.Tensor:
    """Returns the loss times the loss scale where the optimizer has one."""
    return optimizer.get_scaled_loss(loss) if scales_loss(optimizer) else loss


def reduce_and_clip(
    optimizer: Optimizer,
    gradients: Sequence[tf.Tensor],
    *,
    clip_norm: float = 0.0,
    sharded: Sequence[tf.Tensor] = (),
) -> tuple[list[tf.Tensor], tf.Tensor]:
    """Sums gradients over the replicas and clips their global norm.

    Gradients that are not finite become 0, so that the weights stay finite and whoever sees the norm can look
    for the layer where it began. With loss scaling they stay as they are: the optimizer skips the step.

    Args:
        optimizer: a legacy Keras optimizer, with or without loss scaling.
        gradients: of `scaled(optimizer, share of the global mean loss)`; each replica has its share.
        clip_norm: bound on the global norm; 0 for none.
        sharded: gradients of what only this replica holds. Nobody adds to them, but they count in the norm.

    Returns:
        gradients: those of `gradients` and then those of `sharded`, summed and clipped.
        norm: the global norm before clipping, a float32 scalar.
    """
    shared, alone = list(gradients), list(sharded)
    if scales_loss(optimizer):
        unscaled = optimizer.get_unscaled_gradients([*shared, *alone])
        shared, alone = unscaled[: len(shared)], unscaled[len(shared) :]
    context = tf.distribute.get_replica_context()
    shared = context.all_reduce(tf.distribute.ReduceOp.SUM, shared)
    norm = tf.linalg.global_norm(shared)
    # Every replica has the gradient of another shard: their squares add up to the norm.
    for gradient in alone:
        square = context.all_reduce(tf.distribute.ReduceOp.SUM, tf.reduce_sum(tf.square(gradient)))
        norm = tf.sqrt(tf.square(norm) + square)
    reduced = [*shared, *alone]
    if clip_norm:
        reduced, _ = tf.clip_by_global_norm(reduced, clip_norm, use_norm=norm)
    if not scales_loss(optimizer):
        finite = tf.math.is_finite(norm)
        reduced = [tf.where(finite, gradient, tf.zeros_like(gradient)) for gradient in reduced]
    return reduced, norm


def spread_overflow(gradients: Sequence[tf.Tensor], norm: tf.Tensor) -> list[tf.Tensor]:
    """Makes every gradient NaN where the global norm is not finite.

    Loss scaling looks at the gradients that it is given. So it skips the step also where the overflow was in
    a gradient that goes elsewhere.
    """
    finite = tf.math.is_finite(norm)
    return [tf.where(finite, gradient, tf.fill(tf.shape(gradient), float("nan"))) for gradient in gradients]


def apply_gradients(
    optimizer: Optimizer,
    gradients: Sequence[tf.Tensor],
    variables: Sequence[tf.Variable],
    rates: Mapping[Hashable, tf.Tensor] | None = None,
) -> None:
    """Moves variables by gradients that are already summed over the replicas.

    Args:
        optimizer: of the variables.
        gradients: as `reduce_and_clip` gives them.
        variables: as many.
        rates: variable.ref() -> factor on its learning rate.
    """
    pairs = []
    for gradient, variable in zip(gradients, variables, strict=True):
        rate = (rates or {}).get(variable.ref())
        pairs.append((gradient if rate is None else gradient * tf.cast(rate, gradient.dtype), variable))
    optimizer.apply_gradients(pairs, experimental_aggregate_gradients=False)


def reduce_and_apply(
    optimizer: Optimizer,
    gradients: Sequence[tf.Tensor],
    variables: Sequence[tf.Variable],
    *,
    clip_norm: float = 0.0,
) -> tf.Tensor:
    """Does `reduce_and_clip` and then `apply_gradients`; returns the global norm before clipping."""
    gradients, norm = reduce_and_clip(optimizer, gradients, clip_norm=clip_norm)
    apply_gradients(optimizer, gradients, variables)
    return norm
