"""The stream of training batches that a configuration describes."""

import tensorflow as tf

from urfr_tf.config.tree import Experiment
from urfr_tf.data.stream.pipeline import training_dataset
from urfr_tf.errors import UrfrError


def configured_batches(
    config: Experiment, start_step: int, worker: int = 0, workers: int = 1, **grouping: int
) -> tf.data.Dataset:
    """Batches from a step on: ({image, label}, {variation}); see `training_dataset`.

    Args:
        config: the experiment; its `data.worker_shares` lie one behind the other in the global batch.
        start_step: the first step.
        worker: which of the `workers`; it gets its places of each global batch, from its own parts' files.
        workers: processes of the training; all places of the batch are one worker's.
        grouping: `images_per_identity` and `groups_per_identity` of `training_dataset`.

    Raises:
        UrfrError: the parts cannot be dealt out to the workers.
    """
    parts = config.data.worker_shares
    if parts % workers:
        raise UrfrError(
            f"expected data.worker_shares as a multiple of the {workers} workers, but got {parts}; "
            "it is a part of what the stream of batches is, so it is not chosen for you"
        )
    share = parts // workers
    streams = [
        training_dataset(
            config.data.train,
            batch_size=config.data.batch_size,
            crop_size=config.model.input_size,
            seed=config.seed,
            start_step=start_step,
            flip=config.data.flip,
            shuffle_buffer=config.data.shuffle_buffer,
            cache=config.data.cache,
            probabilities=config.augmentations,
            sizes=config.augmentation_sizes,
            light=config.augment.light,
            original=config.loss.teacher > 0,
            soft_labels=tuple(config.data.soft_labels),
            turned=config.data.turned,
            service=config.runtime.data_service,
            part=part,
            parts=parts,
            **grouping,
        )
        for part in range(worker * share, (worker + 1) * share)
    ]
    if share == 1:
        return streams[0]
    together = tf.data.Dataset.zip(tuple(streams))
    return together.map(lambda *batches: tf.nest.map_structure(lambda *t: tf.concat(t, 0), *batches))
