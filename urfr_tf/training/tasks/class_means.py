"""Prototypes that start as the class means of the embeddings: for fine-tuning to other identities."""

from collections.abc import Callable
from typing import Any

import numpy as np

from urfr_tf import keys
from urfr_tf.data.manifest import load_manifest
from urfr_tf.data.stream.pipeline import evaluation_dataset

_BATCH = 64


def class_means(embed: Callable[..., Any], shards: str, crop_size: int, groups: int) -> np.ndarray:
    """The mean embedding of each class, every group of it normalised.

    Args:
        embed: float32 [B, S, S, 3] -> dict with `embedding` float [B, D].
        shards: folder of shards; every image is embedded once, cropped in the centre.
        crop_size: S.
        groups: K.

    Returns:
        float32 [C, D], each of the K groups of norm 1.
    """
    sums: np.ndarray | None = None
    for batch in evaluation_dataset(shards, batch_size=_BATCH, crop_size=crop_size):
        embedding = np.asarray(embed(batch[keys.IMAGE])[keys.EMBEDDING], np.float64)
        if sums is None:
            sums = np.zeros([load_manifest(shards).classes, embedding.shape[1]])
        np.add.at(sums, batch[keys.LABEL].numpy(), embedding)
    assert sums is not None  # a manifest holds at least one image
    grouped = sums.reshape(len(sums), groups, -1)
    norms = np.linalg.norm(grouped, axis=2, keepdims=True)
    return (grouped / np.maximum(norms, 1e-12)).reshape(sums.shape).astype(np.float32)
