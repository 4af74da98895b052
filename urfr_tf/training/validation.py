"""The verification protocol that training runs at the end of an epoch, on people it does not see."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from urfr_tf import keys
from urfr_tf.data.stream.evaluation_stream import evaluation_dataset
from urfr_tf.evaluation.request import EvaluationRequest
from urfr_tf.evaluation.scoring import faces_of
from urfr_tf.evaluation.verification import impostor_count, measure_pairs
from urfr_tf.protocols.pairs import open_pairs

_BATCH = 64
# Above so many cross-person pairs, the drawn ones are enough for an epoch's figures.
_MOST_CROSS = 2_000_000


def labelled_images(shards: str, crop_size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Batches of a folder of shards: images float32 [B, S, S, 3], labels int64 [B]."""
    for batch in evaluation_dataset(shards, batch_size=_BATCH, crop_size=crop_size):
        yield batch[keys.IMAGE].numpy(), batch[keys.LABEL].numpy()


def verification_measure(shards: str, crop_size: int) -> Callable[[Callable[..., Any]], dict[str, float]]:
    """The figures of `urfr evaluate --protocol pairs` on a folder of shards, by cosine.

    Returns:
        A function of `embed` (images -> {embedding: [B, D], variance: [B, K]}) that gives `accuracy`,
        `tar@far=...` as far as there are impostor pairs for them, and `rank1`.

    Raises:
        UrfrError: damaged shards, one person only, or no person with two images.
    """
    protocol = open_pairs(shards)
    cross = _few_people(protocol.identity)
    request = EvaluationRequest(
        "cosine", impostors="all" if cross else "listed", replicates=0, thresholds=False
    )
    impostor_count(protocol, request.impostors)

    def measure(embed: Callable[..., Any]) -> dict[str, float]:
        outputs = [embed(images) for images, _ in labelled_images(shards, crop_size)]
        embedding = np.concatenate([output[keys.EMBEDDING] for output in outputs])
        metrics = measure_pairs(protocol, faces_of(embedding, None), request).metrics
        return {
            name: float(value)
            for name, value in metrics.items()
            if name in ("accuracy", "rank1") or name.startswith("tar@")
        }

    return measure


def _few_people(identity: np.ndarray | None) -> bool:
    return identity is not None and len(identity) ** 2 // 2 <= _MOST_CROSS
