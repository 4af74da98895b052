"""Images -> media -> templates: the embedding and variance of several images of one person."""

import numpy as np

from urfr_tf.evaluation.request import EvaluationRequest
from urfr_tf.evaluation.scoring import COSINE, NORM, WEIGHTED, Faces, fill_gaps, weigh_by_norm
from urfr_tf.metrics import average, fuse
from urfr_tf.metrics.groups import join_groups
from urfr_tf.protocols.protocol import Templates

_IMAGES_AT_ONCE = 1 << 15


def pool_templates(protocol: Templates, faces: Faces, request: EvaluationRequest) -> Faces:
    """Makes templates of embedded images: media first, then the template over its media.

    For the score `cosine` both are means (of unit embeddings; only the direction of the result counts). For
    `likelihood` both are fused by inverse variance. For `weighted` the weight is the inverse variance or the
    norm to the power of the sharpness. Images without an embedding are left out. A template that has no other
    is not found.

    Args:
        protocol: which image belongs to which medium and template.
        faces: its images, embedded.
        request: its score, fusion, sharpness and weight are used.

    Raises:
        UrfrError: the norm is requested as the weight and an image has none.
    """
    weighted = request.score == WEIGHTED
    if weighted and request.weight == NORM:
        faces = weigh_by_norm(faces)
    sharpness = request.sharpness if weighted else 1.0
    groups, width = faces.embedding.shape[1:]
    count = len(protocol.subject)
    embedding = np.zeros([count, groups, width], np.float32)
    variance = np.ones([count, groups], np.float32)
    rows = np.flatnonzero(faces.found[protocol.image])
    rows = rows[np.argsort(protocol.template[rows], kind="stable")]
    present, starts = np.unique(protocol.template[rows], return_index=True)
    ends = np.append(starts[1:], len(rows))
    first = 0
    while first < len(present):
        last = max(first + 1, int(np.searchsorted(ends, starts[first] + _IMAGES_AT_ONCE, side="right")))
        block = rows[starts[first] : ends[last - 1]]
        images = faces.take(protocol.image[block])
        # Keys of (template, medium) in rising order, so that the second stage finds its templates in order.
        keys = np.stack([protocol.template[block], protocol.medium[block]], axis=1)
        media, medium = np.unique(keys, axis=0, return_inverse=True)
        medium, place = medium.reshape(-1), present[first:last]
        if request.score == COSINE:
            flat = join_groups(images.embedding)
            embedding[place] = average(average(flat, medium), media[:, 0]).reshape(-1, groups, width)
        else:
            per_medium = fuse(images.embedding, images.variance, medium, request.fusion, sharpness)
            embedding[place], variance[place] = fuse(*per_medium, media[:, 0], request.fusion, sharpness)
        first = last
    # Norms are of images; the quality of a template is that of `template_qualities`.
    norm = np.full(count, np.nan, np.float32)
    return fill_gaps(Faces(embedding, variance, np.isin(np.arange(count), present), norm))
