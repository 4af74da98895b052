import numpy as np
import pytest

from urfr_tf.errors import UrfrError
from urfr_tf.visualize.embedding_map import draw_embedding_map, project_embeddings


def clusters():
    # Three people far apart (orthogonal directions of norm 1), ten images each within 0.05.
    rng = np.random.default_rng(0)
    label = np.repeat(np.arange(3), 10)
    embedding = np.eye(16)[label] + 0.05 * rng.normal(size=(30, 16))
    return embedding.astype(np.float32), label


def test_people_who_are_apart_stay_apart():
    embedding, label = clusters()
    points = project_embeddings(embedding, seed=1)
    assert points.shape == (30, 2) and points.dtype == np.float32
    distance = np.linalg.norm(points[:, None] - points[None], axis=-1)
    np.fill_diagonal(distance, np.inf)
    # The nearest neighbour of every image is of the same person.
    np.testing.assert_array_equal(label[distance.argmin(axis=1)], label)
    np.testing.assert_array_equal(points, project_embeddings(embedding, seed=1))


def test_colour_is_identity_and_shape_is_origin():
    points = np.arange(12.0).reshape(6, 2)
    identities = np.array(["a", "b", "a", "b", "a", "b"])
    augmented = np.array([False, False, False, False, True, True])
    figure = draw_embedding_map({"baseline": points, "proposed": -points}, identities, augmented)
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title("left") for axes in panels] == ["baseline", "proposed"]
    original, turned = panels[0].collections
    np.testing.assert_array_equal(original.get_offsets(), points[:4])
    np.testing.assert_array_equal(turned.get_offsets(), points[4:])
    colors = original.get_facecolors()
    np.testing.assert_array_equal(colors[0], colors[2])
    assert not np.array_equal(colors[0], colors[1])
    np.testing.assert_array_equal(turned.get_facecolors(), colors[:2])
    # A circle's path has curves, a triangle has three corners (and the closing vertex).
    assert len(turned.get_paths()[0].vertices) == 4 < len(original.get_paths()[0].vertices)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["original (4)", "augmented (2)"]


def test_many_identities_still_have_different_colours():
    number = 60
    figure = draw_embedding_map({"one": np.zeros((number, 2))}, np.arange(number), np.zeros(number, bool))
    colors = figure.axes[0].collections[0].get_facecolors()
    assert len(np.unique(colors.round(3), axis=0)) >= number * 0.9


@pytest.mark.parametrize("embedding", [np.ones((3, 8)), np.ones(8), np.full((9, 8), np.nan)])
def test_what_cannot_be_projected_is_refused(embedding):
    with pytest.raises(UrfrError, match="expected"):
        project_embeddings(embedding)


def test_lengths_that_differ_are_refused():
    with pytest.raises(UrfrError, match="map of one"):
        draw_embedding_map({"one": np.zeros((5, 2))}, np.arange(4), np.zeros(4, bool))
    with pytest.raises(UrfrError, match="at least one system"):
        draw_embedding_map({}, np.arange(4), np.zeros(4, bool))
