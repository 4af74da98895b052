"""The mean head in three dimensions: a mean face with a skull and a neck, and what a camera sees of it.

The face comes from `mean_face.json` (made by experiments/derive_mean_face.py; 468 vertices, symmetric).
Frame: x to the image's right, y down, z away from the camera; the origin lies between the centres of
the eyes and their distance is 1 (about 63 mm).

The head is a radius around a vertical axis behind the face, r(azimuth, y): the mesh where there is
mesh, elsewhere an ellipsoid for the skull and a cylinder for the neck, into which the mesh runs out
smoothly. So the whole crop has a depth and not only the face.

Angles: a head-to-camera rotation is R = roll . pitch . yaw. Positive yaw turns the face to the image's
right, positive pitch lifts it, positive roll tilts it clockwise.
"""

import functools
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from urfr_tf.errors import UrfrError
from urfr_tf.files import read_json

POINT_NAMES = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")
AXIS_Z = 1.05
"""Depth of the vertical axis, just behind the ears: from there every point of a face is seen once."""

_Y_RANGE = (-2.4, 3.0)
_SKULL_Y, _SKULL_Z, _SKULL_AXES = -0.4, 1.2, (1.2, 1.75, 1.55)
_NECK_Z, _NECK_RADIUS, _NECK_FROM, _NECK_FULL = 1.4, 0.95, 0.6, 1.7
_RUN_OUT = 0.35  # distance over which the mesh runs out into skull and neck


class MeanFace(NamedTuple):
    """The mean head: vertices [468, 3], triangles [T, 3], five points [5, 3] in the order of POINT_NAMES."""

    vertices: NDArray[np.float64]
    triangles: NDArray[np.int64]
    points: NDArray[np.float64]


@functools.lru_cache(maxsize=1)
def mean_face() -> MeanFace:
    """Reads the mean face that is installed with the package.

    Raises:
        UrfrError: the file is missing or is not a face.
    """
    path = Path(__file__).with_name("mean_face.json")
    raw: Any = read_json(path)
    try:
        vertices = np.asarray(raw["vertices"], np.float64)
        triangles = np.asarray(raw["triangles"], np.int64)
        points = np.stack([vertices[raw["points"][name]].mean(0) for name in POINT_NAMES])
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise UrfrError(f"expected vertices, triangles and points in {path}, but got {error!r}") from error
    if (
        vertices.ndim != 2
        or vertices.shape[1] != 3
        or triangles.max() >= len(vertices)
        or triangles.min() < 0
    ):
        raise UrfrError(f"expected vertices [V, 3] and triangles into them in {path}, got {vertices.shape}")
    return MeanFace(vertices, triangles, points)


def rotation(yaw: float, pitch: float = 0.0, roll: float = 0.0) -> NDArray[np.float64]:
    """Head-to-camera rotation float64 [3, 3] from degrees; see the module's text for the signs."""
    (cy, sy), (cp, sp), (cr, sr) = (
        (np.cos(angle), np.sin(angle)) for angle in np.radians([yaw, pitch, roll])
    )
    about_y = np.array([[cy, 0, -sy], [0, 1, 0], [sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    turned: NDArray[np.float64] = about_z @ about_x @ about_y
    return turned


def _mesh_radius(azimuth: NDArray[np.float64], height: NDArray[np.float64]) -> NDArray[np.float64]:
    """Radius of the mesh at [A] azimuths x [H] heights -> [H, A]; NaN where there is no mesh."""
    face = mean_face()
    x, y, depth = face.vertices[:, 0], face.vertices[:, 1], AXIS_Z - face.vertices[:, 2]
    corner = np.stack([np.arctan2(x, depth), y, np.hypot(x, depth)], 1)[face.triangles]
    radius = np.full((len(height), len(azimuth)), np.nan)
    for a, b, c in corner:
        low, high = np.minimum(np.minimum(a, b), c), np.maximum(np.maximum(a, b), c)
        columns = np.where((azimuth >= low[0]) & (azimuth <= high[0]))[0]
        rows = np.where((height >= low[1]) & (height <= high[1]))[0]
        edges = np.array([b[:2] - a[:2], c[:2] - a[:2]]).T
        if not len(columns) or not len(rows) or abs(np.linalg.det(edges)) < 1e-12:
            continue
        at = np.stack(np.meshgrid(azimuth[columns], height[rows]), -1) - a[:2]
        s, t = np.moveaxis(at @ np.linalg.inv(edges).T, -1, 0)
        inside = (s >= -1e-9) & (t >= -1e-9) & (s + t <= 1 + 1e-9)
        value = a[2] + s * (b[2] - a[2]) + t * (c[2] - a[2])
        block = radius[np.ix_(rows, columns)]
        radius[np.ix_(rows, columns)] = np.where(inside, value, block)
    return radius


def _ellipse_radius(
    azimuth: NDArray[np.float64], half_x: NDArray[np.float64], half_z: NDArray[np.float64], z: float
) -> NDArray[np.float64]:
    """Distance from the axis to an ellipse around depth z, along each azimuth; 0 where it is missed."""
    sin, cos, shift = np.sin(azimuth), np.cos(azimuth), AXIS_Z - z
    half_x, half_z = np.maximum(half_x, 1e-6), np.maximum(half_z, 1e-6)
    a = (sin / half_x) ** 2 + (cos / half_z) ** 2
    b = -2 * cos * shift / half_z**2
    c = (shift / half_z) ** 2 - 1
    root = b**2 - 4 * a * c
    return np.where(root > 0, np.maximum((-b + np.sqrt(np.maximum(root, 0))) / (2 * a), 0), 0.0)


@functools.lru_cache(maxsize=1)
def head_radius(
    rows: int = 136, columns: int = 180
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """The head's surface: azimuths [A] in radians, heights [H], radius float64 [H, A] around AXIS_Z.

    Azimuth 0 is the nose's direction, positive towards the image's right; the last column repeats the first.
    """
    azimuth = np.linspace(-np.pi, np.pi, columns + 1)
    height = np.linspace(*_Y_RANGE, rows)
    h = height[:, None]
    slice_size = np.sqrt(np.maximum(1 - ((h - _SKULL_Y) / _SKULL_AXES[1]) ** 2, 0))
    skull = _ellipse_radius(azimuth, _SKULL_AXES[0] * slice_size, _SKULL_AXES[2] * slice_size, _SKULL_Z)
    thick = np.full_like(h, _NECK_RADIUS)
    neck = _ellipse_radius(azimuth, thick, thick, _NECK_Z)
    grown = np.clip((h - _NECK_FROM) / (_NECK_FULL - _NECK_FROM), 0, 1)
    body = np.maximum(skull, neck * grown)
    mesh = _mesh_radius(azimuth, height)
    known = ~np.isnan(mesh)
    # The rest of the mesh above the body decays away from the mesh: laplace(e) = e / run_out^2.
    rest = np.where(known, mesh - body, 0.0)
    step_h, step_a = height[1] - height[0], azimuth[1] - azimuth[0]
    weight_h, weight_a = 1 / step_h**2, 1 / step_a**2
    for _ in range(400):
        padded = np.concatenate([rest[:, -2:-1], rest, rest[:, 1:2]], 1)
        above, below = np.concatenate([rest[:1], rest[:-1]]), np.concatenate([rest[1:], rest[-1:]])
        around = weight_h * (above + below) + weight_a * (padded[:, :-2] + padded[:, 2:])
        relaxed = around / (2 * weight_h + 2 * weight_a + 1 / _RUN_OUT**2)
        rest = np.where(known, rest, relaxed)
    return azimuth, height, np.maximum(body + rest, 0.0)


def below_surface(at: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far points float [..., 3] lie inside the head, measured from the axis; negative outside."""
    azimuth, height, radius = head_radius()
    depth = AXIS_Z - at[..., 2]
    column = (np.arctan2(at[..., 0], depth) - azimuth[0]) / (azimuth[1] - azimuth[0])
    column = np.clip(column, 0, len(azimuth) - 1.000001)
    row = np.clip((at[..., 1] - height[0]) / (height[1] - height[0]), 0, len(height) - 1.000001)
    i, j = row.astype(np.int32), column.astype(np.int32)
    s, t = row - i, column - j
    flat, index = radius.ravel(), i * len(azimuth) + j
    upper, lower = flat[index], flat[index + len(azimuth)]
    upper = upper + t * (flat[index + 1] - upper)
    lower = lower + t * (flat[index + len(azimuth) + 1] - lower)
    inside: NDArray[np.float64] = upper + s * (lower - upper) - np.hypot(at[..., 0], depth)
    return inside
