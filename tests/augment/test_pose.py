import numpy as np
import pytest
import tensorflow as tf

from urfr_tf.augment import pose
from urfr_tf.augment.camera import solve_pose
from urfr_tf.errors import UrfrError
from urfr_tf.faces.shape import mean_face, rotation

SIZE, BATCH = 80, 4  # every test turns a batch like this: one compilation
SCALE, CENTRE = 24.0, (40.0, 36.0)


def photographed(yaw, of=None):
    """Points of the head (the five, unless given) in the pixels of a camera at a yaw, float64 [N, 2]."""
    head = mean_face().points if of is None else of
    return SCALE * (head @ rotation(yaw).T)[:, :2] + CENTRE


def expected_places(yaw, wanted, of):
    """Where points of a head photographed at `yaw` are when it is turned to `wanted`, float64 [N, 2].

    The turned face is placed by the similarity that fits its five points best to those of the photograph.
    """
    five = photographed(yaw)
    turned = (mean_face().points @ rotation(wanted).T)[:, :2]
    q = turned - turned.mean(0)
    p = five - five.mean(0)
    ratio = ((p[:, 0] + 1j * p[:, 1]) * (q[:, 0] - 1j * q[:, 1])).sum() / (q**2).sum()
    place = (of @ rotation(wanted).T)[:, :2] - turned.mean(0)
    place = ratio * (place[:, 0] + 1j * place[:, 1])
    return np.stack([place.real, place.imag], 1) + five.mean(0)


def blob(at, size=SIZE, width=2.0):
    y, x = np.mgrid[:size, :size]
    return 200 * np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / (2 * width**2))


def centre_of(image, near, reach=7):
    """Centre of mass of one channel within `reach` pixels of a place."""
    y, x = np.mgrid[: len(image), : len(image)]
    mass = image * (np.hypot(x - near[0], y - near[1]) < reach)
    return np.array([(mass * x).sum(), (mass * y).sum()]) / mass.sum()


def smooth(seed, count=BATCH, size=SIZE):
    random = np.random.default_rng(seed)
    coarse = random.uniform(0, 255, [count, 8, 8, 3]).astype(np.float32)
    return tf.clip_by_value(tf.image.resize(coarse, [size, size], "bicubic"), 0, 255).numpy()


def batch_of(points):
    return np.tile(np.ravel(points), [BATCH, 1]).astype(np.float32)


def test_points_of_the_face_go_where_the_turned_head_has_them():
    # One channel each: the nose's tip, a cheek and the eye of the side that turns towards the camera.
    head = np.array([mean_face().points[2], mean_face().vertices[205], mean_face().points[0]])
    image = np.stack([blob(at) for at in photographed(0, head)], -1)
    images = np.tile(image, [BATCH, 1, 1, 1]).astype(np.float32)
    yaws = np.array([20.0, 40.0, 55.0, 0.0])
    turned = pose.turn(images, batch_of(photographed(0)), yaws).numpy()
    got_at = {}
    for result, yaw in zip(turned, yaws, strict=True):
        expected = expected_places(0, yaw, head)
        got = [centre_of(result[..., k], place) for k, place in enumerate(expected)]
        # A blob on a curved surface is stretched: its centre of mass is not exactly its centre. The tip of
        # the nose is rounded off by the grids of the tables: 0.13 eye distances short at 40 degrees, as
        # measured.
        got_at[yaw] = got
        off = np.abs(np.array(got) - expected)
        assert off[0].max() < 0.15 * SCALE and off[1:].max() < 1.5, off
    # Positive yaw looks to the image's right: the nose moves there, against the eye.
    assert got_at[40.0][0][0] - got_at[40.0][2][0] > got_at[0.0][0][0] - got_at[0.0][2][0]
    nose, _, eye = np.swapaxes([expected_places(0, yaw, head) for yaw in (0, 40)], 0, 1)
    assert nose[1, 0] - eye[1, 0] > nose[0, 0] - eye[0, 0]


def test_what_is_hidden_is_mirrored():
    # Photographed looking left, the image-left cheek (a vertex and its mirror image) is out of sight.
    right = mean_face().vertices[425]
    assert right[0] > 0.5
    left = right * [-1, 1, 1]
    images = np.tile(blob(photographed(-45, right[None])[0])[..., None], [BATCH, 1, 1, 3]).astype(np.float32)
    turned = pose.turn(images, batch_of(photographed(-45)), np.full(BATCH, 40.0)).numpy()
    place = expected_places(-45, 40, left[None])[0]
    assert turned[0][round(place[1]), round(place[0]), 0] > 100
    np.testing.assert_allclose(centre_of(turned[0, ..., 0], place), place, atol=2)


def test_turning_to_the_yaw_it_has_changes_nothing():
    images = smooth(0)
    points = batch_of(photographed(0))
    yaw, _ = solve_pose(tf.reshape(tf.constant(points), [-1, 5, 2]))
    turned = pose.turn(images, points, yaw).numpy()
    difference = np.abs(turned - images)
    # Rounded to quarters (1/8), read at places that are off by rounding only (1e-4 pixel)...
    assert np.median(difference) < 0.15
    # ...but along the head's outline, where a cell of the coarse grid has nodes on and beside the head.
    assert np.percentile(difference, 90) < 1.0
    assert difference.mean() < 0.5


def test_there_are_no_holes():
    images = np.broadcast_to(np.array([30, 120.25, 250], np.float32), [BATCH, SIZE, SIZE, 3])
    points = batch_of(photographed(10))
    for yaws in ([-60, -40, -20, 0], [75, 60, 45, 30]):
        turned = pose.turn(images, points, np.float32(yaws)).numpy()
        # The weights of every pixel add to 1: a picture of one colour stays one.
        np.testing.assert_allclose(turned, images, atol=0.01)


def test_each_image_is_turned_on_its_own():
    images, random = smooth(1), np.random.default_rng(0)
    points = (batch_of(photographed(0)) + random.normal(0, 1, [BATCH, 10])).astype(np.float32)
    yaws = np.float32([50, -45, 10, -60])
    turned = pose.turn(images, points, yaws).numpy()
    order = [2, 0, 3, 1]
    np.testing.assert_array_equal(pose.turn(images[order], points[order], yaws[order]), turned[order])
    assert np.abs(turned - images).mean((1, 2, 3)).min() > 5


def test_a_mirrored_photograph_turns_the_other_way():
    images, points = smooth(2), photographed(-8)
    mirrored = (points * [-1, 1] + [SIZE - 1, 0])[[1, 0, 2, 4, 3]]
    turned = pose.turn(images, batch_of(points), np.full(BATCH, 50.0)).numpy()
    other = pose.turn(images[:, :, ::-1], batch_of(mirrored), np.full(BATCH, -50.0)).numpy()
    # Nodes lie at 0, 4, 8 ... from the left in either, so the coarse grids differ: alike, not equal.
    assert np.abs(turned - other[:, :, ::-1]).mean() < 3
    assert np.abs(turned - images).mean() > 10


def test_unknown_points_are_the_template():
    from urfr_tf.augment.camera import TEMPLATE

    images = smooth(3)
    template = np.tile(np.float32(TEMPLATE) * np.float32(SIZE / 112), [BATCH, 1])
    unknown = np.full([BATCH, 10], -1, np.float32)
    yaws = np.full(BATCH, 45.0)
    np.testing.assert_allclose(pose.turn(images, unknown, yaws), pose.turn(images, template, yaws), atol=0.1)


def test_whatever_comes_pixels_stay_pixels():
    images = np.random.default_rng(4).integers(0, 256, [BATCH, SIZE, SIZE, 3]).astype(np.float32)
    points = np.float32([np.full(10, 7), np.linspace(-500, 900, 10), np.zeros(10), photographed(0).ravel()])
    turned = pose.turn(images, points, np.float32([40, -50, 60, 400])).numpy()
    assert np.isfinite(turned).all() and turned.min() >= -0.01 and turned.max() <= 255.01
    clipped = pose.turn(images, points, np.float32([40, -50, 60, pose.MAX_YAW])).numpy()
    np.testing.assert_array_equal(turned, clipped)


@pytest.mark.slow
@pytest.mark.parametrize("size", [50, 57])
def test_any_size_has_no_holes(size):
    images = np.full([2, size, size, 3], 77, np.float32)
    turned = pose.turn(images, np.full([2, 10], -1, np.float32), np.float32([-50, 30]))
    np.testing.assert_allclose(turned, images, atol=0.01)


def test_random_yaws_go_either_way_within_their_range_and_follow_the_seed(monkeypatch):
    drawn = []
    monkeypatch.setattr(pose, "turn", lambda images, points, yaws: drawn.append(yaws.numpy()))
    images, points = np.zeros([400, 8, 8, 3], np.float32), np.zeros([400, 10], np.float32)
    for seed in ([1, 2], [1, 2], [1, 3]):
        pose.random_turn(images, points, tf.constant(seed), 40.0, 60.0)
    first, again, other = drawn
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert (np.abs(first) >= 40).all() and (np.abs(first) <= 60).all()
    # 400 fair coins: 200 +- 10, five standard deviations; the mean of 400 uniform 40..60 is 50 +- 0.29.
    assert 150 < (first > 0).sum() < 250
    assert abs(np.abs(first).mean() - 50) < 1.5


def test_inside_a_dataset_it_is_the_same():
    images, points = smooth(5), batch_of(photographed(5))
    data = tf.data.Dataset.from_tensors((images, points))
    (inside,) = data.map(lambda i, p: pose.random_turn(i, p, tf.constant([3, 4])))
    np.testing.assert_array_equal(inside, pose.random_turn(images, points, tf.constant([3, 4])))


def test_wrong_arguments_are_refused_in_a_sentence():
    points, yaws = np.zeros([1, 10], np.float32), np.zeros(1, np.float32)
    with pytest.raises(UrfrError, match=r"square images .* got shape \(1, 8, 9, 3\)"):
        pose.turn(np.zeros([1, 8, 9, 3], np.float32), points, yaws)
    with pytest.raises(UrfrError, match="square images"):
        pose.turn(np.zeros([8, 8, 3], np.float32), points, yaws)
    for low, high in ((50, 40), (-1, 40), (40, 80)):
        with pytest.raises(UrfrError, match="low <= high"):
            pose.random_turn(np.zeros([1, 8, 8, 3], np.float32), points, tf.constant([0, 0]), low, high)
