"""A template is the fusion of its images: in any order, one by one or together, and after removals."""

import numpy as np
import pytest
from gallery_people import GROUPS, WIDTH, crowd, embedder

from urfr_tf.gallery import Gallery
from urfr_tf.metrics.fusion import SHARPNESS


def expected_template(images, sharpness):
    """The method, section 6, in float64: per group the weighted mean, of norm 1; the least variance."""
    embedding = np.stack([i.embedding for i in images]).astype(np.float64).reshape(-1, GROUPS, WIDTH)
    precision = np.stack([i.confidence for i in images]).astype(np.float64)
    total = (embedding * precision[:, :, np.newaxis] ** sharpness).sum(axis=0)
    return total / np.linalg.norm(total, axis=1, keepdims=True), 1 / precision.max(axis=0)


@pytest.mark.parametrize(("score", "sharpness"), [("likelihood", 1), ("weighted", SHARPNESS)])
def test_the_template_is_the_fusion(gallery, score, sharpness):
    ((name, images),) = crowd(1, 5)
    gallery.add([(name, images)])
    template = gallery.template(name, score)
    embedding, variance = expected_template(images, sharpness)
    np.testing.assert_allclose(template.embedding[0], embedding, atol=1e-6)
    np.testing.assert_allclose(template.variance[0], variance, rtol=1e-6)


def test_for_the_cosine_it_is_the_mean(gallery):
    ((name, images),) = crowd(1, 5)
    gallery.add([(name, images)])
    mean = np.mean([i.embedding.astype(np.float64) for i in images], axis=0)
    found = gallery.template(name, "cosine").embedding.reshape(-1) / np.sqrt(GROUPS)
    np.testing.assert_allclose(found, mean / np.linalg.norm(mean), atol=1e-6)


def bits(gallery, name):
    return [
        part.tobytes()
        for score in ("likelihood", "cosine", "weighted")
        for part in gallery.template(name, score)
    ]


def test_order_and_portions_do_not_matter(gallery, tmp_path):
    """A hundred images one by one, backwards, and at once; and others that came and went."""
    ((name, images),) = crowd(1, 100)
    gallery.add([(name, images)])
    ((_, others),) = crowd(1, 3, first=50)
    with Gallery.create(tmp_path / "one by one", embedder()) as other:
        for one in images[::-1]:
            other.add([(name, [one])])
        assert bits(other, name) == bits(gallery, name)
        other.add([(name, others)])
        assert bits(other, name) != bits(gallery, name)
        other.remove([name], [one.sha256 for one in others])
        assert bits(other, name) == bits(gallery, name)
        assert other.size()[:2] == gallery.size()[:2] == (1, 100)


def test_an_image_counts_once(gallery):
    ((name, images),) = crowd(1, 3)
    assert gallery.add([(name, [*images, images[0]])]) == 3
    assert gallery.add([(name, images)]) == 0
    assert gallery.size() == (1, 3, 2)
