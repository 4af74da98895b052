"""Five points: real arrangements pass, and each wrong reading is refused under its own kind."""

import numpy as np
import pytest

from urfr_tf.faces import landmark_checks as checks
from urfr_tf.faces.template import five_points

HEIGHT, WIDTH = 150, 180
FACE = five_points(112) + (30, 20)
# A face turned by about 60 degrees: the eyes and corners of the mouth draw together, the nose sticks out.
PROFILE = np.array([[62, 70], [80, 71], [90, 90], [66, 110], [80, 111]], np.float64)


def turned(points, degrees):
    """About their center, in the image plane."""
    angle = np.radians(degrees)
    rotation = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return (points - points.mean(axis=0)) @ rotation + points.mean(axis=0)


def kind_of(points, height=HEIGHT, width=WIDTH):
    return checks.find_fault(points, height, width).partition(":")[0]


@pytest.mark.parametrize(
    "points",
    [
        FACE,
        PROFILE,
        np.float32(FACE),
        *(turned(face, degrees) for face in (FACE, PROFILE) for degrees in (-170, -90, -40, 40, 90, 180)),
        FACE + np.random.default_rng(0).normal(0, 4, [5, 2]),
        FACE - (75, 0),  # cut by the left border: both left points are outside
        np.full([5, 2], 7.0),  # "no points" as some files say it; the fit refuses them
    ],
)
def test_points_that_may_be_a_face(points):
    assert kind_of(points) == ""


@pytest.mark.parametrize(
    ("points", "kind"),
    [
        (FACE / [WIDTH, HEIGHT], checks.FRACTIONS),
        (FACE / [WIDTH / 2, HEIGHT / 2] - 1, checks.FRACTIONS),
        (FACE[[1, 0, 2, 4, 3]], checks.MIRRORED),
        (turned(FACE, 30)[[1, 0, 2, 4, 3]], checks.MIRRORED),
        (FACE[:, ::-1], checks.AXES),
        (turned(FACE, -20)[:, ::-1], checks.AXES),
        (FACE.T.reshape(5, 2), checks.COLUMNS),
        (FACE.T[::-1].reshape(5, 2), checks.COLUMNS),
        (FACE[[0, 1, 3, 4, 2]], checks.ORDER),
        (FACE[[2, 0, 1, 3, 4]], checks.ORDER),
        (FACE[[3, 4, 2, 0, 1]], checks.ORDER),
        (FACE[[0, 1, 2, 4, 3]], checks.ORDER),
        (FACE[[1, 0, 2, 3, 4]], checks.ORDER),
        (FACE * 3, checks.OUTSIDE),
        (FACE - (300, 0), checks.OUTSIDE),
        (PROFILE * [0.02, 1], checks.NO_FACE),
        (np.c_[np.arange(5.0) * 20, np.full(5, 40.0)], checks.NO_FACE),  # on one line
        (np.where(np.arange(10).reshape(5, 2) == 3, np.nan, FACE), checks.NO_FACE),
        (FACE / 200 + 50, checks.NO_FACE),
    ],
)
def test_points_that_are_none(points, kind):
    assert kind_of(points) == kind


def test_the_order_that_was_found_is_named():
    """In the file stands nose, left eye, right eye, corners: the sentence says just that."""
    fault = checks.find_fault(FACE[[2, 0, 1, 3, 4]], HEIGHT, WIDTH)
    assert fault.endswith("nose, left eye, right eye, left mouth corner, right mouth corner")


def test_misfit_is_the_squared_procrustes_distance():
    """Scale, rotation and shift change nothing; the template reflected: 1 - |sum q^2|^2 / (sum |q|^2)^2."""
    for points in (FACE, turned(FACE, 77) * 9, FACE / 50 - 3):
        assert checks.measure_misfit(points)[0] == pytest.approx(0, abs=1e-12)
    assert abs(checks.measure_misfit(turned(FACE, 77))[1]) == pytest.approx(77)
    centered = five_points() - five_points().mean(axis=0)
    q = centered[:, 0] + 1j * centered[:, 1]
    expected = 1 - abs((q**2).sum()) ** 2 / (abs(q) ** 2).sum() ** 2
    assert checks.measure_misfit(FACE * [-1, 1])[0] == pytest.approx(expected)


def test_a_face_on_its_side_is_listed_and_passes():
    assert checks.describe_turn(turned(FACE, 50)) == ""
    assert checks.describe_turn(turned(FACE, 90)).startswith("face turned: by 90 degrees")


def test_the_cause_is_named_where_most_fail_alike():
    """More than half: 6 of 10 are, 5 of 10 and a mixture are not."""
    words = checks.explain_refusals({checks.FRACTIONS: 6, "unreadable": 4}, 10)
    assert words.startswith("6 of 10 images have five points that cannot be right") and "fractions" in words
    assert checks.explain_refusals({checks.FRACTIONS: 5}, 10) == ""
    assert checks.explain_refusals({checks.FRACTIONS: 4, checks.MIRRORED: 4}, 10) == ""
    assert checks.explain_refusals({"unreadable": 10}, 10) == ""
    assert checks.explain_refusals({}, 0) == ""
