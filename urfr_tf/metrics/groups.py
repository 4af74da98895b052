"""Two forms of an embedding: one vector of unit norm, and K sub-embeddings of unit norm each."""

import numpy as np

from urfr_tf.metrics.arrays import Float32s


def split_groups(embedding: Float32s, groups: int) -> Float32s:
    """Splits embeddings as models give them into sub-embeddings, as the scores take them.

    Args:
        embedding: float32 [N, D] of unit norm, each of the K groups 1/sqrt(K).
        groups: K, which divides D.

    Returns:
        float32 [N, K, D/K], every [n, k] of norm 1.
    """
    count, width = embedding.shape
    return embedding.reshape(count, groups, width // groups) * np.float32(np.sqrt(groups))


def join_groups(sub_embeddings: Float32s) -> Float32s:
    """Joins sub-embeddings to embeddings as models give them; the inverse of `split_groups`.

    Args:
        sub_embeddings: float32 [N, K, d], every [n, k] of norm 1.

    Returns:
        float32 [N, K * d] of unit norm.
    """
    count, groups, width = sub_embeddings.shape
    return sub_embeddings.reshape(count, groups * width) / np.float32(np.sqrt(groups))
