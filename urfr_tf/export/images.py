"""Images that an export is checked and calibrated on."""

import cv2
import numpy as np

from urfr_tf import keys
from urfr_tf.config.tree import Experiment
from urfr_tf.errors import UrfrError


def shard_images(shards: str, size: int, count: int) -> np.ndarray:
    """The first `count` images of a folder of shards, whose order is shuffled already.

    Returns:
        float32 [N, size, size, 3], RGB, 0..255, centre crops; N <= count.

    Raises:
        UrfrError: no folder of shards, or its images are smaller than `size`.
    """
    from urfr_tf.data.stream.evaluation_stream import evaluation_dataset

    batches = evaluation_dataset(shards, batch_size=32, crop_size=size)
    images = [batch[keys.IMAGE].numpy() for batch in batches.take(-(-count // 32))]
    return np.concatenate(images)[:count]


def images_for(config: Experiment, calibration: str | None, count: int) -> tuple[np.ndarray, str]:
    """Images for the parity check, and a word on where they are from.

    From `calibration` if given; else from the shards of the configuration if they are still there;
    else made up.
    """
    size = config.model.input_size
    if calibration:
        return shard_images(calibration, size, count), calibration
    for shards in (config.data.validation, config.data.train):
        if shards:
            try:
                return shard_images(shards, size, count), shards
            except UrfrError:  # moved or deleted since the training: nothing that an export needs
                continue
    return made_up_images(size, count), "made up: smooth random colours"


def made_up_images(size: int, count: int) -> np.ndarray:
    """Smooth random images, always the same, float32 [count, size, size, 3] in 0..255."""
    random = np.random.default_rng(0)
    grids = random.uniform(0, 255, [count, 7, 7, 3]).astype(np.float32)
    images = [cv2.resize(grid, (size, size), interpolation=cv2.INTER_CUBIC) for grid in grids]
    return np.clip(np.stack(images) + random.normal(0, 8, [count, size, size, 3]), 0, 255).astype(np.float32)
