import numpy as np
import pytest
import tensorflow as tf

from urfr_tf.augment import camera
from urfr_tf.faces.shape import mean_face, rotation
from urfr_tf.faces.views import views


def photographed(yaw, pitch, roll=0.0, scale=35.0, shift=(56.0, 60.0)):
    """The mean face's five points under weak perspective, float64 [5, 2]."""
    return scale * (mean_face().points @ rotation(yaw, pitch, roll).T)[:, :2] + shift


POSES = [(0, 0, 0), (20, 8, 15), (-35, 0, -30), (45, -8, 5), (-12, -8, 70)]


def test_a_known_pose_is_found_whatever_scale_roll_and_shift():
    points = np.stack(
        [photographed(*pose, scale=20 + 9 * k, shift=(7 * k, 50)) for k, pose in enumerate(POSES)]
    )
    yaw, pitch = camera.solve_pose(tf.constant(points, tf.float32))
    # The right pose leaves nothing; the priors draw the yaw towards 0 by their slope over the residual's
    # curvature: below 2 degrees even at 45.
    np.testing.assert_allclose(yaw, [p[0] for p in POSES], atol=2.5)
    assert (views().pitches[pitch.numpy()] == [p[1] for p in POSES]).all()


def test_mirrored_points_have_the_opposite_yaw():
    points = photographed(25, 0)
    mirrored = (points * [-1, 1] + [112, 0])[[1, 0, 2, 4, 3]]
    yaw, _ = camera.solve_pose(tf.constant(np.stack([points, mirrored]), tf.float32))
    assert yaw[0].numpy() == pytest.approx(-yaw[1].numpy(), abs=0.1)


def test_the_template_is_a_frontal_face():
    five = camera.known_points(tf.fill([1, 10], -1.0), 112)
    yaw, _ = camera.solve_pose(five)
    assert abs(yaw.numpy()[0]) < 3


def test_unknown_points_are_the_template_in_the_scale_of_the_image():
    points = np.stack([np.full(10, -1.0), np.arange(10.0), np.r_[-1.0, np.arange(9.0)]]).astype(np.float32)
    got = camera.known_points(tf.constant(points), 56).numpy()
    np.testing.assert_allclose(got[0], np.reshape(camera.TEMPLATE, [5, 2]) / 2, rtol=1e-6)
    np.testing.assert_array_equal(got[1:].reshape(2, 10), points[1:])  # one coordinate of -1 is a coordinate


def test_a_camera_fits_points_by_least_squares_and_goes_both_ways():
    random = np.random.default_rng(0)
    poses = np.array([[30.0, 8.0], [-10.0, 0.0]])
    points = np.stack([photographed(*p, roll=20) for p in poses]) + random.normal(0, 2, [2, 5, 2])
    yaw, pitch, points32 = (tf.constant(a, tf.float32) for a in (poses[:, 0], poses[:, 1], points))
    got = camera.Camera(yaw, pitch, points32)
    head = random.normal(0, 1, [2, 7, 3])
    pixels = got.pixels(got.project(tf.constant(head, tf.float32)))
    for k in range(2):
        turn = rotation(*poses[k])
        seen = (mean_face().points @ turn.T)[:, :2]
        # Similarity [a -b; b a] p + t as a linear system in (a, b, tx, ty), solved in float64.
        rows = np.concatenate(
            [
                np.stack([seen[:, 0], -seen[:, 1], np.ones(5), np.zeros(5)], 1),
                np.stack([seen[:, 1], seen[:, 0], np.zeros(5), np.ones(5)], 1),
            ]
        )
        a, b, tx, ty = np.linalg.lstsq(rows, points[k].T.ravel(), rcond=None)[0]
        expected = (head[k] @ turn.T)[:, :2] @ np.array([[a, b], [-b, a]]) + [tx, ty]
        np.testing.assert_allclose(pixels[k], expected, rtol=0, atol=2e-3)
        assert got.scale.numpy()[k] == pytest.approx(np.hypot(a, b), rel=1e-5)
    back = got.pixels(got.plane(tf.constant(points32)))
    np.testing.assert_allclose(back, points, atol=1e-3)
