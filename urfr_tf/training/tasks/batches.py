"""The stream of training batches that a configuration describes."""

import tensorflow as tf

from urfr_tf.config.tree import Experiment
from urfr_tf.data.stream.settings import Augmentation, Sampling, StreamSettings, WorkerShare
from urfr_tf.data.stream.training_stream import training_dataset
from urfr_tf.errors import UrfrError


def configured_batches(
    config: Experiment, start_step: int, worker: int = 0, workers: int = 1, **grouping: int
) -> tf.data.Dataset:
    """Returns the stream of batches from a step on: ({image, label}, {variation}); see `training_dataset`.

    Args:
        config: the experiment. Its `data.worker_shares` lie one behind the other in the global batch.
        start_step: the first step.
        worker: which of the `workers`. It gets its places of each global batch, from the files of its shares.
        workers: processes of the training. A single worker fills all places of the batch.
        grouping: `images_per_identity` and `groups_per_identity` of `Sampling`.

    Raises:
        UrfrError: the shares cannot be dealt out to the workers.
    """
    shares = config.data.worker_shares
    if shares % workers:
        raise UrfrError(
            f"expected data.worker_shares as a multiple of the {workers} workers, but got {shares}; "
            "the stream of batches depends on this number, so it is not chosen for you"
        )
    shares_per_worker = shares // workers
    streams = [
        training_dataset(stream_settings(config, WorkerShare(share, shares), **grouping), start_step)
        for share in range(worker * shares_per_worker, (worker + 1) * shares_per_worker)
    ]
    if shares_per_worker == 1:
        return streams[0]
    joined = tf.data.Dataset.zip(tuple(streams))
    return joined.map(lambda *batches: tf.nest.map_structure(lambda *t: tf.concat(t, 0), *batches))


def stream_settings(config: Experiment, share: WorkerShare, **grouping: int) -> StreamSettings:
    """Returns the settings of one worker share's stream; `grouping` as in `configured_batches`."""
    return StreamSettings(
        shards=config.data.train,
        crop_size=config.model.input_size,
        seed=config.seed,
        sampling=Sampling(config.data.batch_size, config.data.shuffle_buffer, **grouping),
        augmentation=Augmentation(
            flip=config.data.flip,
            probabilities=config.augmentations,
            sizes=config.augmentation_sizes,
            turned=config.data.turned,
            light=config.augment.light,
        ),
        worker_share=share,
        soft_labels=tuple(config.data.soft_labels),
        keep_original=config.loss.teacher > 0,
        cache=config.data.cache,
        service=config.runtime.data_service,
    )
