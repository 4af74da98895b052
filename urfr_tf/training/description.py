"""A training in words: how the global batch is divided, and what is about to be trained."""

from urfr_tf.config.tree import Experiment
from urfr_tf.data.manifest import Manifest
from urfr_tf.errors import UrfrError


def describe_batch(config: Experiment, replicas: int) -> str:
    """Returns the size of the global batch and how replicas and micro-batches divide it.

    Raises:
        UrfrError: they do not divide it.
    """
    size, micro_batches = config.data.batch_size, config.train.accumulate
    if size % (replicas * micro_batches):
        raise UrfrError(
            "expected data.batch_size, the global batch, as a multiple of the replicas times "
            f"train.accumulate, but got {size}, {replicas} and {micro_batches}"
        )
    micro = f" x {micro_batches} micro-batches" if micro_batches > 1 else ""
    return f"global batch {size} = {replicas} replica(s){micro} x {size // replicas // micro_batches} images"


def describe_training(config: Experiment, manifest: Manifest, steps_per_epoch: int, replicas: int) -> str:
    """Returns one line that says what is about to be trained.

    Raises:
        UrfrError: the replicas and micro-batches do not divide the global batch.
    """
    model = config.model
    network = f"{model.backbone} at {model.input_size} px, D {model.embedding_dim}, K {model.groups}"
    if config.task == "attributes":
        network = f"theta_A at {model.input_size} px for {', '.join(config.attribute_targets)}"
    return (
        f"training {config.name}: {manifest.images} images of {manifest.classes} identities, {network}, "
        f"{config.runtime.precision}, {describe_batch(config, replicas)}, "
        f"{config.train.epochs} epochs of {steps_per_epoch} steps"
    )
