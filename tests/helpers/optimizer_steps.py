"""A hundred steps of the optimizer on three weights, with gradients that follow a formula."""

import numpy as np
import tensorflow as tf

from urfr_tf.keras2 import keras
from urfr_tf.training.addons import sgdw

CASES = {
    "plain": {"momentum": 0.9, "nesterov": False},
    "nesterov": {"momentum": 0.9, "nesterov": True},
    "without_momentum": {"momentum": 0.0, "nesterov": False},
    "average": {"momentum": 0.9, "nesterov": False, "ema_decay": 0.95},
    "layer_rates": {"momentum": 0.9, "nesterov": True, "ema_decay": 0.9, "layer_rates": {"head": 0.25}},
}


def hundred_steps(case, folder):
    """Name in the checkpoint -> value after a hundred steps: the weights and what is kept of each."""
    # A rate that falls with every step: the decay has to follow it.
    rate = keras.optimizers.schedules.PolynomialDecay(0.2, 120, end_learning_rate=0.01)
    optimizer = sgdw(rate, weight_decay=0.01, **CASES[case])
    start = np.linspace(-1.0, 2.0, 12, dtype=np.float32).reshape(3, 4)
    names = ("stem/kernel", "norm/gamma", "head/kernel")
    weights = [tf.Variable(start + i, name=name) for i, name in enumerate(names)]

    @tf.function
    def step(count):
        waves = [tf.sin(0.7 * count + i + tf.reshape(tf.range(12.0), [3, 4])) for i in range(3)]
        optimizer.apply_gradients(
            (wave + 0.1 * weight, weight) for wave, weight in zip(waves, weights, strict=True)
        )

    for count in range(100):
        step(tf.constant(count, tf.float32))
    path = tf.train.Checkpoint(weights=weights, optimizer=optimizer).write(str(folder / case))
    reader = tf.train.load_checkpoint(path)
    return {
        name: reader.get_tensor(name)
        for name in reader.get_variable_to_shape_map()
        if name != "_CHECKPOINTABLE_OBJECT_GRAPH"
    }
