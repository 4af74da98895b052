"""Scores of embedded faces or templates; one without an embedding scores -inf against everybody."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from urfr_tf.errors import UrfrError
from urfr_tf.metrics import cosine_of_pairs, cosine_score, likelihood_of_pairs, likelihood_score
from urfr_tf.metrics.arrays import Bools, Float32s, Ints
from urfr_tf.metrics.groups import split_groups

SCORES = COSINE, LIKELIHOOD, WEIGHTED = ("cosine", "likelihood", "weighted")
TEMPLATE_WEIGHTS = CONFIDENCE, NORM = ("confidence", "norm")
"""What says how much an image counts in a template of the score `weighted`."""


class Faces(NamedTuple):
    """Images or templates as a model sees them.

    embedding: float32 [N, K, d], groups of norm 1 (of any norm for `cosine`); anything where not found.
    variance: float32 [N, K].
    found: bool [N], False where there is no embedding: no face, an unreadable file.
    norm: float32 [N], the embedding's length before it was normalized; NaN where the model does not give it.
    """

    embedding: Float32s
    variance: Float32s
    found: Bools
    norm: Float32s

    def take(self, rows: Ints) -> "Faces":
        """Those of the given rows."""
        return Faces(self.embedding[rows], self.variance[rows], self.found[rows], self.norm[rows])

    def join(self, others: "Faces") -> "Faces":
        """These and then the others."""
        return Faces(
            np.concatenate([self.embedding, others.embedding]),
            np.concatenate([self.variance, others.variance]),
            np.concatenate([self.found, others.found]),
            np.concatenate([self.norm, others.norm]),
        )


def make_faces(
    embedding: ArrayLike,
    variance: ArrayLike | None,
    found: ArrayLike | None = None,
    norm: ArrayLike | None = None,
) -> Faces:
    """Faces of a model's output: embedding [N, D] of unit norm as a whole, variance [N, K] or None (K = 1).

    Raises:
        UrfrError: sizes that do not match, NaN in the embedding of a face that was found.
    """
    flat = np.asarray(embedding, np.float32)
    count = len(flat)
    mask = np.ones(count, bool) if found is None else np.asarray(found, bool)
    variances = np.ones([count, 1], np.float32) if variance is None else np.asarray(variance, np.float32)
    if flat.ndim != 2 or variances.ndim != 2 or not count == len(variances) == len(mask):
        raise UrfrError(
            f"expected embeddings [N, D] and variances [N, K], but got {list(flat.shape)} "
            f"and {list(variances.shape)}"
        )
    groups = variances.shape[1]
    if flat.shape[1] % groups:
        raise UrfrError(f"expected D to be a multiple of K, but got D = {flat.shape[1]} and K = {groups}")
    bad = mask & ~(np.isfinite(flat).all(axis=1) & np.isfinite(variances).all(axis=1))
    if bad.any():
        raise UrfrError(
            f"the model gives NaN or infinity for image {int(np.argmax(bad))} ({bad.sum()} in all)"
        )
    sub_embeddings = split_groups(flat, groups)
    norms = np.full(count, np.nan, np.float32) if norm is None else np.asarray(norm, np.float32)
    return fill_gaps(Faces(sub_embeddings, variances, mask, norms))


def fill_gaps(faces: Faces) -> Faces:
    """Puts a valid stand-in where nothing was found, so that scores can be computed and then masked."""
    if faces.found.all():
        return faces
    embedding, variance = faces.embedding.copy(), faces.variance.copy()
    embedding[~faces.found], variance[~faces.found] = 0, 1
    embedding[~faces.found, :, 0] = 1
    return Faces(embedding, variance, faces.found, faces.norm)


def weigh_by_norm(faces: Faces) -> Faces:
    """Puts the norm of each face in the place of its confidences.

    Raises:
        UrfrError: a face that was found has no norm, or one of 0.
    """
    norm = np.where(faces.found, faces.norm, 1.0)
    bad = ~(np.isfinite(norm) & (norm > 0))
    if bad.any():
        raise UrfrError(
            f"expected the norm of every embedding, but image {int(np.argmax(bad))} has {norm[bad][0]:g} "
            f"({bad.sum()} in all): only a run folder knows norms"
        )
    variance = np.repeat((1.0 / norm)[:, np.newaxis], faces.variance.shape[1], axis=1)
    return faces._replace(variance=variance.astype(np.float32))


def check_score(score: str) -> None:
    """Raises UrfrError unless the score is one of `SCORES`."""
    if score not in SCORES:
        raise UrfrError(f"expected the score {', '.join(SCORES[:-1])} or {SCORES[-1]}, but got {score}")


def check_image_score(score: str) -> None:
    """Raises UrfrError for a score that differs from another one in templates only."""
    if score == WEIGHTED:
        raise UrfrError(
            f"expected the score {COSINE} or {LIKELIHOOD} where single images are compared, but got "
            f"{WEIGHTED}, which is {COSINE} for them: it is for templates of several images"
        )


def score_pairs(faces: Faces, first: Ints, second: Ints, score: str, probes: Faces | None = None) -> Float32s:
    """Scores of listed pairs, float32 [P]; `second` are rows of `probes`, where those differ from `faces`."""
    check_score(score)
    if probes is not None:
        count = len(faces.found)
        faces = faces.join(probes)
        second = second + count
    if score == LIKELIHOOD:
        scores = likelihood_of_pairs(faces.embedding, faces.variance, first, second)
    else:
        scores = cosine_of_pairs(faces.embedding, first, second)
    scores[~(faces.found[first] & faces.found[second])] = -np.inf
    return scores


def score_matrix(probes: Faces, gallery: Faces, score: str) -> Float32s:
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
