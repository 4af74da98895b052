"""What the layers compute on."""

import tensorflow as tf


def on_cpu() -> bool:
    """Whether there is neither a GPU nor a TPU."""
    return not any(tf.config.list_logical_devices(kind) for kind in ("GPU", "TPU"))
