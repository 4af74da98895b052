"""From the optimizer's settings to a schedule and an optimizer (method, section 7)."""

import tensorflow as tf
from official.modeling import optimization

from urfr_tf.config.tree import OptimizerConfig
from urfr_tf.errors import UrfrError
from urfr_tf.keras2 import keras
from urfr_tf.training.addons import LearningRate, sgdw


def build_schedule(config: OptimizerConfig, total_steps: int) -> LearningRate:
    """Builds the learning rate with its warm-up, by tf-models-official.

    Where `decay_steps` is left out (cosine, polynomial, exponential), it becomes `total_steps`.

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


def rate_at(schedule: LearningRate, step: int) -> float:
    """Returns the learning rate at one step."""
    return float(schedule(tf.constant(step)) if callable(schedule) else schedule)


def build_optimizer(
    config: OptimizerConfig,
    schedule: LearningRate,
    *,
    half_precision: bool,
    layer_rates: dict[str, float] | None = None,
) -> keras.optimizers.legacy.Optimizer:
    """Builds SGD with decoupled weight decay, with averaged weights and loss scaling where configured.

    Args:
        config: the optimizer's settings.
        schedule: the learning rate.
        half_precision: whether the model computes in float16, which needs loss scaling.
        layer_rates: name of a layer -> factor on its learning rate; 1 where it is not named.
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
        return keras.mixed_precision.LossScaleOptimizer(optimizer)
    return optimizer
