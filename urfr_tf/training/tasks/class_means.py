"""Class means of the embeddings, with which prototypes can start when a network is fine-tuned."""

import numpy as np

from urfr_tf import keys
from urfr_tf.data.manifest import load_manifest
from urfr_tf.data.stream.evaluation_stream import evaluation_batches
from urfr_tf.metrics.arrays import Float32s, Float64s
from urfr_tf.training.tasks.task import Embed

_BATCH = 64


def class_means(embed: Embed, shards: str, crop_size: int, groups: int) -> Float32s:
    """Computes the mean embedding of each class and normalizes each of its groups.

    Args:
        embed: returns `embedding` float [B, D] for images.
        shards: folder of shards; every image is embedded once, cropped at its center.
        crop_size: S.
        groups: K.

    Returns:
        float32 [C, D], each of the K groups of norm 1.
    """
    sums: Float64s | None = None
    for batch in evaluation_batches(shards, batch_size=_BATCH, crop_size=crop_size):
        embedding = np.asarray(embed(batch[keys.IMAGE])[keys.EMBEDDING], np.float64)
        if sums is None:
            sums = np.zeros([load_manifest(shards).classes, embedding.shape[1]])
        np.add.at(sums, batch[keys.LABEL].numpy(), embedding)
    assert sums is not None  # a manifest holds at least one image
    by_group = sums.reshape(len(sums), groups, -1)
    norms = np.linalg.norm(by_group, axis=2, keepdims=True)
    means: Float32s = (by_group / np.maximum(norms, 1e-12)).reshape(sums.shape).astype(np.float32)
    return means
