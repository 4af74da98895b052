"""Scores of embedded faces or templates; one without an embedding scores -inf against everybody."""

from typing import NamedTuple

import numpy as np

from urfr_tf.errors import UrfrError
from urfr_tf.metrics import cosine_of_pairs, cosine_score, likelihood_of_pairs, likelihood_score

SCORES = COSINE, LIKELIHOOD, WEIGHTED = ("cosine", "likelihood", "weighted")
TEMPLATE_WEIGHTS = CONFIDENCE, NORM = ("confidence", "norm")
"""What says how much an image counts in a template of the score `weighted`."""


class Faces(NamedTuple):
    """Images or templates as a model sees them.

    embedding: float32 [N, K, d], groups of norm 1 (of any norm for `cosine`); anything where not found.
    variance: float32 [N, K].
    found: bool [N], False where there is no embedding: no face, an unreadable file.
    norm: float32 [N], the embedding's length before it was normalised; NaN where the model does not give it.
    """

    embedding: np.ndarray
    variance: np.ndarray
    found: np.ndarray
    norm: np.ndarray

    def some(self, rows: np.ndarray) -> "Faces":
        """Those of the rows given."""
        return Faces(*(part[rows] for part in self))


def faces_of(
    embedding: np.ndarray,
    variance: np.ndarray | None,
    found: np.ndarray | None = None,
    norm: np.ndarray | None = None,
) -> Faces:
    """Faces of a model's output: embedding [N, D] of unit norm as a whole, variance [N, K] or None (K = 1).

    Raises:
        UrfrError: sizes that do not match, NaN in the embedding of a face that was found.
    """
    embedding = np.asarray(embedding, np.float32)
    found = np.ones(len(embedding), bool) if found is None else np.asarray(found, bool)
    variance = (
        np.ones([len(embedding), 1], np.float32) if variance is None else np.asarray(variance, np.float32)
    )
    if embedding.ndim != 2 or variance.ndim != 2 or not len(embedding) == len(variance) == len(found):
        raise UrfrError(
            f"expected embeddings [N, D] and variances [N, K], but got {list(embedding.shape)} "
            f"and {list(variance.shape)}"
        )
    groups = variance.shape[1]
    if embedding.shape[1] % groups:
        raise UrfrError(
            f"expected D to be a multiple of K, but got D = {embedding.shape[1]} and K = {groups}"
        )
    bad = found & ~(np.isfinite(embedding).all(axis=1) & np.isfinite(variance).all(axis=1))
    if bad.any():
        raise UrfrError(
            f"the model gives NaN or infinity for image {int(np.argmax(bad))} ({bad.sum()} in all)"
        )
    grouped = embedding.reshape(len(embedding), groups, -1) * np.float32(np.sqrt(groups))
    norm = np.full(len(found), np.nan, np.float32) if norm is None else np.asarray(norm, np.float32)
    return without_gaps(Faces(grouped, variance, found, norm))


def without_gaps(faces: Faces) -> Faces:
    """Puts a valid stand-in where nothing was found, so that scores can be computed and then masked."""
    if faces.found.all():
        return faces
    embedding, variance = faces.embedding.copy(), faces.variance.copy()
    embedding[~faces.found], variance[~faces.found] = 0, 1
    embedding[~faces.found, :, 0] = 1
    return Faces(embedding, variance, faces.found, faces.norm)


def by_norm(faces: Faces) -> Faces:
    """The faces with their norm in the place of every confidence.

    Raises:
        UrfrError: a face that was found has no norm, or one of 0.
    """
    norm = np.where(faces.found, faces.norm, 1.0)
    bad = ~(np.isfinite(norm) & (norm > 0))
    if bad.any():
        raise UrfrError(
            f"expected the norm of every embedding, but image {int(np.argmax(bad))} has {norm[bad][0]:g} ({bad.sum()} in all): "
            "only a run folder knows norms"
        )
    variance = np.repeat((1.0 / norm)[:, np.newaxis], faces.variance.shape[1], axis=1)
    return faces._replace(variance=variance.astype(np.float32))


def check_score(score: str) -> None:
    """Raises UrfrError unless the score is one of `SCORES`."""
    if score not in SCORES:
        raise UrfrError(f"expected the score {', '.join(SCORES[:-1])} or {SCORES[-1]}, but got {score}")


def check_of_images(score: str) -> None:
    """Raises UrfrError for a score that differs from another one in templates only."""
    if score == WEIGHTED:
        raise UrfrError(
            f"expected the score {COSINE} or {LIKELIHOOD} where single images are compared, but got {WEIGHTED}, which is "
            f"{COSINE} for them: it is for templates of several images"
        )


def pair_scores(
    faces: Faces, first: np.ndarray, second: np.ndarray, score: str, probes: Faces | None = None
) -> np.ndarray:
    """Scores of listed pairs, float32 [P]; `second` are rows of `probes`, where those differ from `faces`."""
    check_score(score)
    if probes is not None:
        count = len(faces.found)
        faces = Faces(*(np.concatenate(parts) for parts in zip(faces, probes, strict=True)))
        second = np.asarray(second) + count
    if score == LIKELIHOOD:
        scores = likelihood_of_pairs(faces.embedding, faces.variance, first, second)
    else:
        scores = cosine_of_pairs(faces.embedding, first, second)
    scores[~(faces.found[first] & faces.found[second])] = -np.inf
    return scores


def cross_scores(probes: Faces, gallery: Faces, score: str) -> np.ndarray:
    """Every probe against every entry of the gallery, float32 [P, G]."""
    check_score(score)
    if score == LIKELIHOOD:
        scores = likelihood_score(
            probes.embedding, probes.variance, gallery.embedding, gallery.variance, all_pairs=True
        )
    else:
        scores = cosine_score(probes.embedding, gallery.embedding, all_pairs=True)
    scores[~probes.found] = -np.inf
    scores[:, ~gallery.found] = -np.inf
    return scores
