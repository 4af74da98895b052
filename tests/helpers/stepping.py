"""A train step as `fit` would trace it."""

import tensorflow as tf


def step_of(model):
    """One trace in place of two: slots are there before, as in `urfr train`."""
    model.make_slots()
    return tf.function(model.train_step)
