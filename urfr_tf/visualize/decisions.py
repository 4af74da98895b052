"""Pairs of faces, the second degraded, as several models decide about them."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from urfr_tf import keys
from urfr_tf.evaluation.degradations import Degradation
from urfr_tf.metrics import tar_at_far
from urfr_tf.metrics.arrays import Array
from urfr_tf.runs.embedder import Embedder
from urfr_tf.visualize.decisions_figure import Comparisons

_BATCH = 50


def decide_pairs(
    models: Mapping[str, Embedder],
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    degradations: Sequence[Degradation | None],
    far: float,
    pairs: Sequence[tuple[int, int]],
) -> list[Comparisons]:
    """Compares pairs of images by cosine, at the threshold of a FAR for each degradation.

    Args:
        models: by name.
        images: aligned crops, uint8 [N, S, S, 3], RGB.
        labels: whose each is, [N].
        degradations: of the second image of a pair; None leaves it.
        far: of all pairs of two people, the second degraded, for each model and each degradation.
        pairs: rows of `images`, the second of each is degraded.

    Raises:
        UrfrError: too few pairs of two people for the FAR.
    """
    versions = [images if each is None else _degrade(images, each) for each in degradations]
    cosines = {}
    for name, model in models.items():
        first = _embed(model, images)
        second = [first if version is images else _embed(model, version) for version in versions]
        cosines[name] = [first @ embedding.T for embedding in second]
    same = labels[:, None] == labels
    counted = ~np.eye(len(images), dtype=bool)
    thresholds = np.array(
        [
            [tar_at_far(each[counted], same[counted], far).threshold for each in matrices]
            for matrices in cosines.values()
        ]
    )
    rows = []
    for a, b in pairs:
        scores = np.array([[matrix[a, b] for matrix in matrices] for matrices in cosines.values()])
        accepted = scores >= thresholds
        others = np.stack([version[b] for version in versions])
        rows.append(Comparisons(images[a], others, bool(same[a, b]), scores, accepted))
    return rows


def _degrade(images: NDArray[np.uint8], degradation: Degradation) -> NDArray[np.uint8]:
    unknown_points = np.full([len(images), 10], -1, np.float32)
    degraded = degradation.apply(images, unknown_points, np.arange(len(images)))
    return np.clip(np.rint(degraded), 0, 255).astype(np.uint8)


def _embed(model: Embedder, images: NDArray[np.uint8]) -> Array:
    starts = range(0, len(images), _BATCH)
    return np.concatenate([model(images[start : start + _BATCH])[keys.EMBEDDING] for start in starts])
