"""The verification protocol that training runs at the end of an epoch, on people it does not see."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from urfr_tf import heads
from urfr_tf.data.pipeline import evaluation_dataset

_BATCH = 64


def labelled_images(shards: str, crop_size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Batches of a folder of shards: images float32 [B, S, S, 3], labels int64 [B]."""
    for batch in evaluation_dataset(shards, batch_size=_BATCH, crop_size=crop_size):
        yield batch[heads.IMAGE].numpy(), batch[heads.LABEL].numpy()


def verification_measure(folder: str, crop_size: int) -> Callable[[Callable[..., Any]], dict[str, float]]:
    raise NotImplementedError
