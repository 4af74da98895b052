"""The Keras 2 that belongs to the installed TensorFlow. Every module takes `keras` from here.

Up to TensorFlow 2.15 it is `tf.keras`. From 2.16 on that is Keras 3, and Keras 2 is the package tf_keras.
`tf.keras` of the process stays what it is, so that a program's own Keras 3 works beside it.
"""

import contextlib
import importlib.util
import os
from collections.abc import Iterator

import tensorflow as tf

KERAS_2_IS_TF_KERAS = tuple(map(int, tf.__version__.split(".")[:2])) >= (2, 16)
"""Whether Keras 2 is a package of its own, which it is where tensorflow-addons no longer imports."""

if KERAS_2_IS_TF_KERAS:
    import tf_keras as keras
else:
    if importlib.util.find_spec("tf_keras") is None:
        # It asks TensorFlow 2.15 for a package that is not there, in place of the same Keras.
        os.environ.pop("TF_USE_LEGACY_KERAS", None)
    keras = tf.keras


@contextlib.contextmanager
def keep_tf_keras() -> Iterator[None]:
    """Imports in it change neither `tf.keras` of the process nor the variable that decides it.

    For tensorflow-model-optimization, which sets the variable. TensorFlow reads it when `tf.keras` is used
    for the first time, so that the program's own models would become models of Keras 2.
    """
    before = os.environ.get("TF_USE_LEGACY_KERAS")
    _ = tf.keras.Model  # the first use
    try:
        yield
    finally:
        if before is None:
            os.environ.pop("TF_USE_LEGACY_KERAS", None)
        else:
            os.environ["TF_USE_LEGACY_KERAS"] = before


__all__ = ["KERAS_2_IS_TF_KERAS", "keep_tf_keras", "keras"]
