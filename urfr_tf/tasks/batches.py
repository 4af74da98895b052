"""The stream of training batches that a configuration describes."""

import tensorflow as tf

from urfr_tf.config import Experiment
from urfr_tf.data.pipeline import training_dataset


def configured_batches(config: Experiment, start_step: int, images_per_identity: int = 1) -> tf.data.Dataset:
    """Global batches from a step on: ({image, label}, {variation}); see `training_dataset`."""
    return training_dataset(
        config.data.train,
        batch_size=config.data.batch_size,
        crop_size=config.model.input_size,
        seed=config.seed,
        start_step=start_step,
        flip=config.data.flip,
        shuffle_buffer=config.data.shuffle_buffer,
        cache=config.data.cache,
        probabilities=config.augmentations,
        soft_labels=tuple(config.data.soft_labels),
        turned=config.data.turned,
        images_per_identity=images_per_identity,
        service=config.runtime.data_service,
    )
