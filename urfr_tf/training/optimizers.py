"""From the optimizer's settings to a schedule and an optimizer (method, section 7)."""

from typing import Any

import tensorflow as tf
from official.modeling import optimization

from urfr_tf.config.tree import OptimizerConfig
from urfr_tf.errors import UrfrError
from urfr_tf.training.addons import sgdw


def build_schedule(config: OptimizerConfig, total_steps: int) -> Any:
    """The learning rate as tf-models-official builds it, warm-up included.

    `decay_steps` that is left out (cosine, polynomial, exponential) becomes `total_steps`.

    Raises:
        UrfrError: the schedule lacks a value that it needs.
    """
    tree = {
        "optimizer": {"type": "sgd"},
        "learning_rate": config.learning_rate.as_dict(),
        "warmup": config.warmup.as_dict(),
    }
    chosen = tree["learning_rate"].get(config.learning_rate.type) or {}
    if chosen.get("decay_steps", 0) is None:
        chosen["decay_steps"] = total_steps
    missing = [key for key, value in chosen.items() if value is None]
    if missing:
        name = f"optimizer.learning_rate.{config.learning_rate.type}"
        raise UrfrError(f"expected a value for {', '.join(f'{name}.{key}' for key in missing)}, but got none")
    factory = optimization.OptimizerFactory(optimization.OptimizationConfig(tree))
    return factory.build_learning_rate()


def rate_at(schedule: Any, step: int) -> float:
    """The learning rate at one step."""
    return float(schedule(tf.constant(step)) if callable(schedule) else schedule)


def build_optimizer(
    config: OptimizerConfig,
    schedule: Any,
    *,
    half_precision: bool,
    layer_rates: dict[str, float] | None = None,
) -> Any:
    """SGD with decoupled weight decay, averaged weights if asked for, loss scaling in float16.

    `layer_rates` is the factor on the learning rate of each layer by its name; 1 where it is not named.
    """
    optimizer = sgdw(
        schedule,
        momentum=config.momentum,
        nesterov=config.nesterov,
        weight_decay=config.weight_decay,
        ema_decay=config.ema_decay,
        layer_rates=layer_rates,
    )
    if half_precision:
        return tf.keras.mixed_precision.LossScaleOptimizer(optimizer)
    return optimizer
