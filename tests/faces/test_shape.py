import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from paths import ROOT

from urfr_tf.errors import UrfrError
from urfr_tf.faces import shape, views

FLIP = np.array([-1.0, 1.0, 1.0])


def test_the_mean_face_is_a_symmetric_face_of_eye_distance_one():
    face = shape.mean_face()
    raw = json.loads(Path(shape.__file__).with_name("mean_face.json").read_text())
    partner = np.array(raw["partner"])
    assert face.vertices.shape == (468, 3)
    # Coordinates are rounded to four places and symmetric before: nothing of 1e-4 is left.
    np.testing.assert_allclose(face.vertices[partner] * FLIP, face.vertices, atol=1.001e-4)
    left, right, nose, left_mouth, right_mouth = face.points
    # Means of four (eyes) rounded vertices each: 0.5e-4 in either.
    np.testing.assert_allclose(right - left, [1, 0, 0], atol=1.1e-4)
    np.testing.assert_allclose((left + right) / 2, 0, atol=1e-4)
    # A nose stands out, between and below the eyes, above the mouth; y is down and z away from the camera.
    assert nose[2] < -0.4 and abs(nose[0]) < 1e-4 and 0.3 < nose[1] < left_mouth[1] == right_mouth[1]


def test_the_triangles_are_a_symmetric_surface_without_holes():
    face = shape.mean_face()
    raw = json.loads(Path(shape.__file__).with_name("mean_face.json").read_text())
    partner = np.array(raw["partner"])
    triangles = {frozenset(t) for t in face.triangles.tolist()}
    assert {frozenset(partner[list(t)].tolist()) for t in triangles} == triangles
    assert set(face.triangles.ravel()) == set(range(468))
    edges = Counter(frozenset(e) for t in face.triangles.tolist() for e in zip(t, t[1:] + t[:1], strict=True))
    assert max(edges.values()) == 2
    # A disc: vertices - edges + faces = 1 (Euler), so there is one border and no hole.
    assert 468 - len(edges) + len(triangles) == 1


def test_the_provenance_says_where_the_face_comes_from():
    raw = json.loads(Path(shape.__file__).with_name("mean_face.json").read_text())
    provenance = raw["provenance"]
    assert (ROOT / provenance["script"]).exists()
    assert provenance["used"] <= provenance["frontal"] <= provenance["found"] <= provenance["looked_at"]
    assert provenance["versions"]["mediapipe"] == "0.10.21"


@pytest.mark.parametrize(
    "angles, of, expected",
    [
        # The nose's direction is (0, 0, -1): towards the camera.
        ((30, 0, 0), (0, 0, -1), (0.5, 0, -np.sqrt(3) / 2)),  # to the image's right
        ((0, 30, 0), (0, 0, -1), (0, -0.5, -np.sqrt(3) / 2)),  # up, y is down
        ((0, 0, 30), (1, 0, 0), (np.sqrt(3) / 2, 0.5, 0)),  # clockwise as seen
        # Yaw turns first, about the head's own axis; pitch then lifts what was turned:
        # (1/2, 0, -c) -> (1/2, -c/2, -c^2) with c = cos 30.
        ((30, 30, 0), (0, 0, -1), (0.5, -np.sqrt(3) / 4, -0.75)),
    ],
)
def test_rotation_turns_the_way_it_says(angles, of, expected):
    turn = shape.rotation(*angles)
    np.testing.assert_allclose(turn @ of, expected, atol=1e-12)
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(turn) == pytest.approx(1)


def test_the_head_passes_through_the_face_and_closes_around_it():
    azimuth, height, radius = shape.head_radius()
    np.testing.assert_allclose(radius[:, -1], radius[:, 0], atol=1e-9)
    np.testing.assert_allclose(radius, radius[:, ::-1], atol=5e-3)
    # The grid is 2 degrees x 0.04: on a slope of 45 degrees a linear piece is off by a few hundredths.
    distance = np.abs(shape.below_surface(shape.mean_face().vertices))
    assert np.median(distance) < 0.01 and np.quantile(distance, 0.95) < 0.06
    # Between crown and collar there is a head of 0.5 eye distances (3 cm) at least in every direction to
    # the side and to the back.
    inner = radius[(height > -1.2) & (height < 2.5)][:, np.abs(azimuth) > np.pi / 2]
    assert inner.min() > 0.5


def test_below_surface_is_measured_from_the_axis():
    azimuth, height, radius = shape.head_radius()
    row, column = 60, 95
    for off in (-0.2, 0.0, 0.3):
        r = radius[row, column] - off
        point = [r * np.sin(azimuth[column]), height[row], shape.AXIS_Z - r * np.cos(azimuth[column])]
        assert shape.below_surface(np.array(point)) == pytest.approx(off, abs=1e-9)


def as_points(surface):
    azimuth, y, radius = np.moveaxis(surface[..., :3], -1, 0)
    return np.stack([radius * np.sin(azimuth), y, shape.AXIS_Z - radius * np.cos(azimuth)], -1)


def test_a_view_shows_points_of_the_surface_that_nothing_hides():
    turn = shape.rotation(40, 8)
    surface, _ = views.view(40, 8, grid=24)
    seen = as_points(surface)
    camera = seen @ turn.T
    line = np.linspace(-views.VIEW_HALF, views.VIEW_HALF, 24)
    # Every node's point lies on the node's ray, met or missed.
    np.testing.assert_allclose(
        camera[..., 0], np.broadcast_to(line + views.VIEW_CENTRE[0], (24, 24)), atol=1e-9
    )
    np.testing.assert_allclose(
        camera[..., 1], np.broadcast_to(line + views.VIEW_CENTRE[1], (24, 24)).T, atol=1e-9
    )
    met = surface[..., 3] > 0.05
    assert 0.3 < met.mean() < 0.9
    # Within a depth step of 0.08 the surface is taken for straight.
    assert np.quantile(np.abs(shape.below_surface(seen[met])), 0.9) < 0.02
    for before in (0.2, 0.4, 1.0):  # towards the camera there is only air
        ahead = (camera - [0, 0, before]) @ turn
        assert (shape.below_surface(ahead[met]) < 0.02).mean() > 0.98
    assert (shape.below_surface(seen[~met & (surface[..., 3] < 0)]) < 1e-9).all()


def test_views_of_opposite_yaw_are_mirror_images_and_the_outline_bounds_the_head():
    right, outline = views.view(30, 0, grid=25)
    left, mirrored = views.view(-30, 0, grid=25)
    np.testing.assert_allclose(left[..., 3], right[:, ::-1, 3], atol=5e-3)
    np.testing.assert_allclose(-mirrored[:, ::-1], outline, atol=0.02)
    line = np.linspace(-views.VIEW_HALF, views.VIEW_HALF, 25)
    for row, (low, high) in zip(right, outline, strict=True):
        inside = row[:, 3] > 0
        assert (inside == ((line > low - 1e-9) & (line < high + 1e-9) & inside.any())).all()


def test_a_mangled_file_is_named(monkeypatch):
    monkeypatch.setattr(shape, "read_json", lambda path: {"vertices": [[0, 0, 0]], "triangles": [[0, 1, 2]]})
    shape.mean_face.cache_clear()
    with pytest.raises(UrfrError, match="mean_face.json"):
        shape.mean_face()
    monkeypatch.undo()
    shape.mean_face.cache_clear()
