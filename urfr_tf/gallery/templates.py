"""Stored images -> templates, one for each person (method, section 6).

A template is computed from the stored values of its images alone, in the order of their SHA-256. So it does
not matter in which order images were added, one by one or together, or whether others were removed since: the
same images give the same template, bit for bit.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from urfr_tf.evaluation.scoring import COSINE, LIKELIHOOD, SCORES, WEIGHTED, check_score
from urfr_tf.gallery.records import StoredImage
from urfr_tf.metrics import average, cosine_score, fuse, likelihood_score
from urfr_tf.metrics.arrays import Float32s, Ints
from urfr_tf.metrics.cosine import normalize_rows
from urfr_tf.metrics.fusion import SHARPNESS
from urfr_tf.metrics.groups import split_groups


class Faces(NamedTuple):
    """Templates or searched faces: embedding float32 [N, K, d], variance float32 [N, K]."""

    embedding: Float32s
    variance: Float32s

    def take(self, rows: "slice | Ints") -> "Faces":
        """Those of the given rows."""
        return Faces(self.embedding[rows], self.variance[rows])


def join_images(people: Sequence[Sequence[StoredImage]], groups: int) -> tuple[Faces, Ints]:
    """Joins the images of several people, each person's in the order of their SHA-256.

    Args:
        people: the images of each, at least one.
        groups: K.

    Returns:
        The images, and int64 [N], the place of each one's person.
    """
    ordered = [image for images in people for image in sorted(images, key=lambda image: image.sha256)]
    embedding = np.stack([image.embedding for image in ordered]).astype(np.float32)
    variance = np.float32(1) / np.stack([image.confidence for image in ordered])
    person = np.repeat(np.arange(len(people)), [len(images) for images in people])
    return Faces(split_groups(embedding, groups), variance), person


def make_templates(images: Faces, person: Ints, score: str) -> Faces:
    """Makes the templates that a score compares, as `urfr evaluate` does.

    For `likelihood` the images are fused by inverse variance. For `cosine` the template is their mean, and
    for `weighted` the fusion with the sharpness of that score. The groups of a template have norm 1; those of
    a mean have norm 1 on average.

    Args:
        images: the images, in the order in which they are to be summed.
        person: int64 [N], rising.
        score: `likelihood`, `cosine` or `weighted`.

    Returns:
        Templates in rising order of `person`.

    Raises:
        UrfrError: another score, or images of a person that cancel out.
    """
    check_score(score)
    if score == LIKELIHOOD:
        return Faces(*fuse(*images, person))
    embedding, variance = fuse(*images, person, sharpness=SHARPNESS if score == WEIGHTED else 1.0)
    if score == COSINE:
        groups, width = embedding.shape[1:]
        mean = normalize_rows(average(images.embedding.reshape(-1, groups * width), person), "template")
        embedding = split_groups(mean, groups)
    return Faces(embedding, variance)


def check_templates(images: Faces, person: Ints) -> None:
    """Makes the templates of every score once, before the images are stored.

    Raises:
        UrfrError: images of a person cancel out, so that there is no template.
    """
    for score in SCORES:
        make_templates(images, person, score)


def score_listed(faces: Faces, templates: Faces, score: str) -> Float32s:
    """Scores of face n against template n, float32 [N].

    They are computed from differences with sums in float64, so they do not depend on the processor, on
    blocks or on the kind of store.
    """
    if score == LIKELIHOOD:
        return likelihood_score(*faces, *templates)
    return cosine_score(faces.embedding, templates.embedding)
