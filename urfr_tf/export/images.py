"""Images that an export is checked and calibrated on."""

import itertools
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from urfr_tf import keys
from urfr_tf.config.tree import Experiment
from urfr_tf.errors import UrfrError

Images: TypeAlias = NDArray[np.float32]
"""Aligned crops [N, S, S, 3], RGB, 0..255."""


def read_shard_images(shards: str, size: int, count: int) -> Images:
    """Reads the first `count` images of a folder of shards, whose order is shuffled already.

    Returns:
        float32 [N, size, size, 3], RGB, 0..255, center crops; N <= count.

    Raises:
        UrfrError: no folder of shards, or its images are smaller than `size`.
    """
    from urfr_tf.data.stream.evaluation_stream import evaluation_batches

    batches = evaluation_batches(shards, batch_size=32, crop_size=size)
    images: list[Images] = [batch[keys.IMAGE].numpy() for batch in itertools.islice(batches, -(-count // 32))]
    return np.concatenate(images)[:count]


def choose_parity_images(config: Experiment, calibration: str | None, count: int) -> tuple[Images, str]:
    """Chooses the images of the parity check, and says where they are from.

    They are from `calibration` if it is given, else from the shards of the configuration if these still
    exist. Else they are generated.
    """
    size = config.model.input_size
    if calibration:
        return read_shard_images(calibration, size, count), calibration
    for shards in (config.data.validation, config.data.train):
        if shards:
            try:
                return read_shard_images(shards, size, count), shards
            except UrfrError:  # moved or deleted since the training; an export does not need them
                continue
    return make_smooth_images(size, count), "made up: smooth random colors"


def make_smooth_images(size: int, count: int) -> Images:
    """Makes smooth random images, always the same, float32 [count, size, size, 3] in 0..255."""
    random = np.random.default_rng(0)
    grids = random.uniform(0, 255, [count, 7, 7, 3]).astype(np.float32)
    images = np.stack([cv2.resize(grid, (size, size), interpolation=cv2.INTER_CUBIC) for grid in grids])
    noise = random.normal(0, 8, [count, size, size, 3])
    return np.asarray(np.clip(images + noise, 0, 255), np.float32)
