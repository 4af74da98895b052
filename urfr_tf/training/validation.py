"""The verification protocol that training runs at the end of an epoch, on people outside training."""

from collections.abc import Iterator

import numpy as np

from urfr_tf import keys
from urfr_tf.data.stream.evaluation_stream import evaluation_batches
from urfr_tf.evaluation.request import EvaluationRequest
from urfr_tf.evaluation.scoring import make_faces
from urfr_tf.evaluation.verification import PairsMeasurement
from urfr_tf.metrics.arrays import Float32s, Ints, Names
from urfr_tf.protocols.pairs import open_pairs
from urfr_tf.training.tasks.task import Embed, Measure

_BATCH = 64
# Above so many cross-person pairs, the listed ones are enough for the metrics of an epoch.
_MOST_CROSS = 2_000_000


def read_image_batches(shards: str, crop_size: int) -> Iterator[tuple[Float32s, Ints]]:
    """Yields every image of a folder of shards once: images float32 [B, S, S, 3], labels int64 [B]."""
    for batch in evaluation_batches(shards, batch_size=_BATCH, crop_size=crop_size):
        yield batch[keys.IMAGE].numpy(), batch[keys.LABEL].numpy()


def verification_measure(shards: str, crop_size: int) -> Measure:
    """Returns a measure: the metrics of `urfr evaluate --protocol pairs` on a folder of shards, by cosine.

    It gives `accuracy`, `rank1`, and `tar@far=...` as far as there are enough impostor pairs.

    Args:
        shards: folder of shards.
        crop_size: S.

    Raises:
        UrfrError: damaged shards, one person only, or no person with two images.
    """
    protocol = open_pairs(shards)
    impostors = "all" if _has_few_pairs(protocol.identity) else "listed"
    measurement = PairsMeasurement(protocol, EvaluationRequest(impostors=impostors))

    def measure(embed: Embed) -> dict[str, float]:
        outputs = [embed(images) for images, _ in read_image_batches(shards, crop_size)]
        embedding = np.concatenate([output[keys.EMBEDDING] for output in outputs])
        metrics = measurement.measure(make_faces(embedding, None), metrics_only=True).metrics
        return {
            name: float(value)
            for name, value in metrics.items()
            if name in ("accuracy", "rank1") or name.startswith("tar@")
        }

    return measure


def _has_few_pairs(identity: Names | None) -> bool:
    return identity is not None and len(identity) ** 2 // 2 <= _MOST_CROSS
