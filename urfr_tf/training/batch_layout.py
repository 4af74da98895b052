"""How the global batch is divided into replicas and micro-batches."""

from urfr_tf.config.tree import Experiment
from urfr_tf.errors import UrfrError


def spell_batch(config: Experiment, replicas: int) -> str:
    """The global batch, and how it comes about.

    Raises:
        UrfrError: it cannot be divided so.
    """
    size, parts = config.data.batch_size, config.train.accumulate
    if size % (replicas * parts):
        raise UrfrError(
            "expected data.batch_size, the global batch, as a multiple of the replicas times train.accumulate, "
            f"but got {size}, {replicas} and {parts}"
        )
    micro = f" x {parts} micro-batches" if parts > 1 else ""
    return f"global batch {size} = {replicas} replica(s){micro} x {size // replicas // parts} images"
