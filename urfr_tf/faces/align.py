"""From a photograph and five points to a square crop: one similarity transform by least squares."""

import cv2
import numpy as np
from numpy.typing import NDArray

from urfr_tf.errors import UrfrError
from urfr_tf.faces.template import five_points

Image = NDArray[np.uint8]
"""[H, W, 3], RGB, 0..255."""
Points = NDArray[np.float32] | NDArray[np.float64]
"""[N, 2], x and y in pixels."""
Matrix = NDArray[np.float64]

_OVERSAMPLING = 8
_WIDEST_SOURCE = 32766  # OpenCV's warp counts source pixels in 16 bits.


def fit_similarity(source: Points, target: Points) -> Matrix:
    """The rotation, scale and shift that bring `source` nearest to `target`.

    Minimises sum_i |s R source_i + t - target_i|^2 over s >= 0, rotations R (no reflection) and shifts t:
    Umeyama, "Least-squares estimation of transformation parameters between two point patterns" (PAMI
    1991), whose singular value decomposition has a closed form in the plane. With points as complex
    numbers relative to their means, s R is the number c = sum conj(p) q / sum |p|^2.

    Args:
        source: [N, 2], at least two different points.
        target: [N, 2].

    Returns:
        float64 [2, 3], the matrix M with target ~ M [x, y, 1].

    Raises:
        UrfrError: the shapes differ, a number is not finite, or the source points coincide.
    """
    p = np.asarray(source, np.float64)
    q = np.asarray(target, np.float64)
    if p.ndim != 2 or p.shape[1] != 2 or p.shape[0] < 2 or p.shape != q.shape:
        raise UrfrError(f"expected two equal lists of at least two points, but got {p.shape} and {q.shape}")
    if not (np.isfinite(p).all() and np.isfinite(q).all()):
        raise UrfrError("expected points with finite coordinates, but got NaN or infinity")
    centre_p, centre_q = p.mean(axis=0), q.mean(axis=0)
    p, q = p - centre_p, q - centre_q
    spread = float(np.sum(p * p))
    if spread < 1e-6 * len(p):
        raise UrfrError("expected points of a face, but all of them lie on one spot")
    real = float(np.sum(p * q)) / spread
    imaginary = float(np.sum(p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0])) / spread
    linear = np.array([[real, -imaginary], [imaginary, real]])
    return np.column_stack([linear, centre_q - linear @ centre_p])


def crop_matrix(points: Points, size: int = 112) -> Matrix:
    """The matrix from pixels of the photograph to pixels of its aligned crop.

    Args:
        points: [5, 2] in pixels of the photograph, in the order of `template.POINT_NAMES`.
        size: width and height of the crop.

    Returns:
        float64 [2, 3].

    Raises:
        UrfrError: not five finite points, or points that shrink to one spot.
    """
    points = np.asarray(points, np.float64)
    if points.shape != (5, 2):
        raise UrfrError(f"expected five points [5, 2], but got an array of shape {list(points.shape)}")
    matrix = fit_similarity(points, five_points(size))
    if np.hypot(matrix[0, 0], matrix[1, 0]) < 1e-4:
        raise UrfrError("expected the five points of a face, but their arrangement fits no face at all")
    return matrix


def transform_points(points: Points, matrix: Matrix) -> Matrix:
    """Points [N, 2] of the photograph in pixels of the crop, float64 [N, 2]; see `crop_matrix`."""
    moved: NDArray[np.float64] = np.asarray(points, np.float64) @ matrix[:, :2].T + matrix[:, 2]
    return moved


def align_face(image: Image, points: Points, size: int = 112) -> Image:
    """The aligned crop of one face.

    Interpolation is bilinear. A face at least twice as large as in the crop is first warped at a whole
    multiple of the crop's size (up to 8) and then averaged over blocks, so that fine detail does not alias.
    Whatever of the crop lies outside of the photograph is black (0), as in the crops that public models were
    trained on; between the last pixel and the black it is interpolated.

    Args:
        image: uint8 [H, W, 3], RGB, 0..255.
        points: [5, 2] in pixels, in the order of `template.POINT_NAMES`.
        size: width and height of the crop.

    Returns:
        uint8 [size, size, 3], RGB, 0..255.

    Raises:
        UrfrError: not such an image, not such points, or a face too large to be cut out of its image.
    """
    check_image(image)
    matrix = crop_matrix(points, size)
    times = int(np.clip(1.0 / np.hypot(matrix[0, 0], matrix[1, 0]) + 1e-6, 1, _OVERSAMPLING))
    matrix = matrix * times + np.array([[0, 0, (times - 1) / 2]])
    image, matrix = _part_of_interest(image, matrix, size * times)
    crop = cv2.warpAffine(image, matrix, (size * times, size * times), borderValue=(0, 0, 0))
    if times > 1:
        crop = cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA)
    return np.asarray(crop, np.uint8)


def check_image(image: Image) -> None:
    """Raises UrfrError unless `image` is uint8 [H, W, 3] with at least one pixel."""
    kind, shape = getattr(image, "dtype", type(image)), list(getattr(image, "shape", []))
    if kind != np.uint8 or len(shape) != 3 or shape[2] != 3 or 0 in shape:
        raise UrfrError(f"expected an RGB image, uint8 [H, W, 3], but got {kind} {shape}")


def _part_of_interest(image: Image, matrix: Matrix, side: int) -> tuple[Image, Matrix]:
    """The area of the photograph that the crop touches, and the matrix that counts pixels from there."""
    corners = np.array([[-1, -1], [side, -1], [-1, side], [side, side]], np.float64)
    back = transform_points(corners, np.asarray(cv2.invertAffineTransform(matrix), np.float64))
    limits = np.array([image.shape[1], image.shape[0]])
    low = np.clip(np.floor(back.min(axis=0)) - 1, 0, limits - 1).astype(int)
    high = np.clip(np.ceil(back.max(axis=0)) + 2, low + 1, limits).astype(int)
    if (high - low).max() > _WIDEST_SOURCE:
        raise UrfrError(f"expected a face under {_WIDEST_SOURCE} pixels, but got one of {(high - low).max()}")
    shifted = matrix.copy()
    shifted[:, 2] += matrix[:, :2] @ low
    return np.ascontiguousarray(image[low[1] : high[1], low[0] : high[0]]), shifted
