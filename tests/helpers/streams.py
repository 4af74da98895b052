"""Training streams from one flat list of settings, which is how tests vary them."""

from dataclasses import fields

from urfr_tf.data.stream.settings import Augmentation, Sampling, StreamSettings
from urfr_tf.data.stream.training_stream import training_dataset


def training_stream(shards, start_step=0, **values):
    """`training_dataset` of a folder; `values` are fields of StreamSettings, Sampling or Augmentation."""

    def take(settings):
        return {field.name: values.pop(field.name) for field in fields(settings) if field.name in values}

    sampling, augmentation = Sampling(**take(Sampling)), Augmentation(**take(Augmentation))
    settings = StreamSettings(str(shards), sampling=sampling, augmentation=augmentation, **values)
    return training_dataset(settings, start_step)
