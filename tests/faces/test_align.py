"""The similarity transform, the template and the crop, against closed forms and float64 oracles."""

import cv2
import numpy as np
import pytest

from urfr_tf.errors import UrfrError
from urfr_tf.faces.align import align_face, crop_matrix, fit_similarity, transform_points
from urfr_tf.faces.template import five_points


def umeyama(source, target):
    """Umeyama 1991, equations 40 to 43, with the singular value decomposition; float64."""
    mean_p, mean_q = source.mean(0), target.mean(0)
    p, q = source - mean_p, target - mean_q
    u, d, vt = np.linalg.svd(q.T @ p / len(p))
    sign = np.diag([1.0, np.sign(np.linalg.det(u) * np.linalg.det(vt))])
    rotation = u @ sign @ vt
    scale = np.trace(np.diag(d) @ sign) / (p * p).sum(1).mean()
    return np.column_stack([scale * rotation, mean_q - scale * rotation @ mean_p])


def four_unknowns(source, target):
    """The same minimum as a linear system: u = a x - b y + c, v = b x + a y + d."""
    x, y = source.T
    one, zero = np.ones_like(x), np.zeros_like(x)
    system = np.concatenate([np.stack([x, -y, one, zero], 1), np.stack([y, x, zero, one], 1)])
    a, b, c, d = np.linalg.lstsq(system, target.T.ravel(), rcond=None)[0]
    return np.array([[a, -b, c], [b, a, d]])


def test_similarity_of_an_exact_turn_is_that_turn():
    # 90 degrees, (x, y) -> (-y, x), times 2, then shifted by (3, -1).
    source = np.array([[0, 0], [1, 0], [0, 2], [5, 5]])
    target = np.array([[3, -1], [3, 1], [-1, -1], [-7, 9]])
    np.testing.assert_allclose(fit_similarity(source, target), [[0, -2, 3], [2, 0, -1]], atol=1e-12)


def test_similarity_of_two_points_passes_through_both():
    source, target = np.array([[1.0, 2.0], [4.0, 6.0]]), np.array([[10.0, 0.0], [10.0, 10.0]])
    matrix = fit_similarity(source, target)
    np.testing.assert_allclose(transform_points(source, matrix), target, atol=1e-12)
    # From a distance of 5 to one of 10.
    assert np.hypot(matrix[0, 0], matrix[1, 0]) == pytest.approx(2.0)


def test_similarity_shrinks_when_points_disagree():
    # p = +-1 and +-i; q is p with the last two turned by 180 degrees: sum conj(p) q = 1 + 1 - 1 - 1 = 0.
    source = np.array([[1, 0], [-1, 0], [0, 1], [0, -1]])
    target = np.array([[1, 0], [-1, 0], [0, -1], [0, 1]])
    np.testing.assert_allclose(fit_similarity(source, target), np.zeros((2, 3)), atol=1e-15)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("far_away", [0.0, 3e4])
def test_similarity_equals_svd_and_linear_oracles(seed, far_away):
    random = np.random.default_rng(seed)
    source = random.normal(size=(5, 2)) * 50 + far_away
    target = random.normal(size=(5, 2)) * 30 + (random.normal(size=(5, 2)) if seed % 2 else source)
    matrix = fit_similarity(source.astype(np.float32), target.astype(np.float32))
    source, target = (a.astype(np.float32).astype(np.float64) for a in (source, target))
    tolerance = 1e-9 * (1 + far_away)  # t is a difference of numbers of this size
    np.testing.assert_allclose(matrix, umeyama(source, target), atol=tolerance)
    np.testing.assert_allclose(matrix, four_unknowns(source, target), atol=tolerance)


def test_similarity_never_mirrors():
    source = five_points(112)
    mirrored = source * [-1, 1]
    matrix = fit_similarity(source, mirrored)
    assert np.linalg.det(matrix[:, :2]) >= 0


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (np.zeros((5, 2)), "one spot"),
        (np.full((5, 2), np.nan), "finite"),
        (np.zeros((1, 2)), "two equal lists"),
        (np.zeros((5, 3)), "two equal lists"),
    ],
)
def test_similarity_refuses(source, words):
    with pytest.raises(UrfrError, match=words):
        fit_similarity(source, np.ones_like(source))


def test_template_of_112_is_arcface_and_others_are_that_crop_resized():
    np.testing.assert_allclose(five_points(112)[2], [56.0252, 71.7366])
    # Pixel centres at whole numbers: x + 1/2 scales. 110: 56.5252 * 110 / 112 - 0.5 = 55.01582.
    np.testing.assert_allclose(five_points(110)[2], [55.0158214, 70.4466607], atol=1e-6)
    # A mark at pixel (40, 72) of a 112 crop, 2 x 2 of them after doubling: 80..81, centre 80.5 = 40.5 * 2 -
    # 0.5.
    small = np.zeros((112, 112), np.uint8)
    small[72, 40] = 255
    rows, columns = np.nonzero(cv2.resize(small, (224, 224), interpolation=cv2.INTER_NEAREST))
    doubled = (five_points(224) + 0.5) / (five_points(112) + 0.5)
    np.testing.assert_allclose(doubled, 2.0)
    assert (columns.mean(), rows.mean()) == (40.5 * 2 - 0.5, 72.5 * 2 - 0.5)


@pytest.mark.parametrize("size", [0, -112, 15, 10**9])
def test_template_refuses_absurd_sizes(size):
    with pytest.raises(UrfrError, match="crop size"):
        five_points(size)


def photograph(height=300, width=260, seed=0):
    """Smooth colours, so that interpolation differs little from the true value."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    phases = np.random.default_rng(seed).uniform(0, 6, 3)
    waves = [127 + 90 * np.sin(x / 25 + p) * np.cos(y / 31 - p) for p in phases]
    return np.stack(waves, -1).round().astype(np.uint8)


def placed(scale, angle, shift, size=112):
    """Template points seen in a photograph: turned, scaled, shifted."""
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return (five_points(size) - 56) @ turn.T + shift


def bilinear(image, x, y):
    """Float64 oracle; black outside."""
    padded = np.zeros((image.shape[0] + 2, image.shape[1] + 2, 3))
    padded[1:-1, 1:-1] = image
    x, y = (np.clip(v + 1, 0, n + 1 - 1e-9) for v, n in ((x, image.shape[1]), (y, image.shape[0])))
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    fx, fy = (x - left)[..., None], (y - top)[..., None]
    upper = padded[top, left] * (1 - fx) + padded[top, left + 1] * fx
    lower = padded[top + 1, left] * (1 - fx) + padded[top + 1, left + 1] * fx
    return upper * (1 - fy) + lower * fy


@pytest.mark.parametrize("shift", [(130, 150), (40, 290), (250, 20)])
@pytest.mark.parametrize("size", [112, 110])
def test_align_equals_bilinear_oracle_also_across_the_border(shift, size):
    image, points = photograph(), placed(1.3, 0.35, shift)
    matrix = crop_matrix(points, size)
    inverse = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))
    y, x = np.mgrid[0:size, 0:size]
    source = np.stack([x, y, np.ones_like(x)], -1) @ inverse.T
    expected = bilinear(image, source[..., 0], source[..., 1])
    crop = align_face(image, points, size)
    assert crop.shape == (size, size, 3) and crop.dtype == np.uint8
    clear = (np.abs(np.abs(source[..., :2] - [129.5, 149.5]) - [130, 150]) > 0.6).all(-1)
    # OpenCV rounds source positions to 1/32 pixel: at most 90/25 a pixel, so 0.2, and 0.5 for rounding.
    assert np.abs(crop - expected)[clear].max() <= 1.5
    # Within a pixel of the border the step to black is up to 217, so 1/32 pixel is up to 7.
    assert np.abs(crop - expected).max() <= 8


def test_align_of_the_template_itself_is_the_same_picture():
    image = photograph(112, 112)
    np.testing.assert_array_equal(align_face(image, five_points(112)), image)


def test_align_averages_when_the_face_is_large():
    # A fine chessboard of 0 and 254 on a face four times the crop's size: its average is 127 everywhere,
    # while sampling every fourth pixel would see one colour of it.
    image = ((np.indices((600, 600)).sum(0) % 2) * 254).astype(np.uint8)[..., None].repeat(3, -1)
    crop = align_face(image, placed(4.0, 0.0, (300, 300)))
    assert np.abs(crop.astype(int) - 127).max() <= 1


def test_align_of_a_large_face_is_where_the_matrix_says():
    image, points = photograph(1200, 1200), placed(5.3, -0.4, (600, 610))
    matrix = crop_matrix(points)
    inverse = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))
    y, x = np.mgrid[0:112, 0:112]
    source = np.stack([x, y, np.ones_like(x)], -1) @ inverse.T
    expected = bilinear(image, source[..., 0], source[..., 1])
    # Averaging 5 x 5 pixels of waves of length 2 pi 25: sinc lowers the amplitude 90 by under 1.
    assert np.abs(align_face(image, points) - expected).max() <= 3


def test_points_of_a_perfect_face_land_on_the_template():
    points = placed(2.0, 0.7, (500, 300))
    np.testing.assert_allclose(transform_points(points, crop_matrix(points)), five_points(112), atol=1e-9)


def test_align_beyond_the_image_is_black_and_far_images_work():
    assert align_face(photograph(), placed(1.0, 0.0, (9000, 9000))).max() == 0
    # OpenCV alone refuses sources wider than 32767 pixels.
    wide = np.full((120, 40000, 3), 200, np.uint8)
    assert align_face(wide, placed(1.0, 0.0, (39000, 60)))[56, 56].tolist() == [200, 200, 200]


@pytest.mark.parametrize(
    ("image", "points"),
    [
        (np.zeros((9, 9, 3), np.float32), five_points()),
        (np.zeros((9, 9), np.uint8), five_points()),
        (np.zeros((9, 9, 4), np.uint8), five_points()),
        (np.zeros((0, 9, 3), np.uint8), five_points()),
        (np.zeros((9, 9, 3), np.uint8), five_points()[:4]),
        (np.zeros((9, 9, 3), np.uint8), np.full((5, 2), np.inf)),
        (np.zeros((9, 9, 3), np.uint8), np.ones((5, 2))),
        (np.zeros((9, 40000, 3), np.uint8), five_points() * [1000.0, 1000.0]),
        (None, five_points()),
    ],
)
def test_align_refuses(image, points):
    with pytest.raises(UrfrError, match="expected"):
        align_face(image, points)
