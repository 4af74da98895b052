"""The camera behind a face: weak perspective, solved from its five points with the mean face."""

import functools

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from urfr_tf.faces.shape import mean_face, rotation
from urfr_tf.faces.views import views

TEMPLATE = (38.2946, 51.6963, 73.5318, 51.5014, 56.0252, 71.7366, 41.5493, 92.3655, 70.7299, 92.2041)
"""ArcFace's five points in a crop of TEMPLATE_SIZE pixels: x0, y0, ... x4, y4."""
TEMPLATE_SIZE = 112.0

_YAW_SD, _PITCH_SD, _POINT_SD = 30.0, 8.0, 0.05  # degrees, degrees, eye distances: priors of the pose
_YAW_STEP, _YAW_END = 3.0, 66.0


def known_points(points: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Points float32 [B, 10] as [B, 5, 2]; ArcFace's template scaled to `size` pixels where all are -1."""
    template = tf.constant(TEMPLATE, tf.float32) * (tf.cast(size, tf.float32) / TEMPLATE_SIZE)
    unknown = tf.reduce_all(points < 0, 1, keepdims=True)
    return tf.reshape(tf.where(unknown, template[None], points), [-1, 5, 2])


@functools.lru_cache(maxsize=1)
def _poses() -> tuple[NDArray[np.float32], NDArray[np.float32], int, int]:
    """Centred points of the mean face float64 [Y * P, 5, 2] and the priors' cost [Y * P]; Y; P."""
    yaws = np.arange(-_YAW_END, _YAW_END + 1e-6, _YAW_STEP)
    pitches = views().pitches
    turns = np.stack([rotation(float(yaw), float(pitch)) for yaw in yaws for pitch in pitches])
    seen = np.einsum("nij,kj->nki", turns[:, :2], mean_face().points)
    cost = (yaws[:, None] / _YAW_SD) ** 2 + (pitches[None, :] / _PITCH_SD) ** 2
    return seen - seen.mean(1, keepdims=True), cost.ravel(), len(yaws), len(pitches)


def solve_pose(points: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The pose of faces from their points, float32 [B, 5, 2] in pixels.

    Least squares under weak perspective. For each yaw and pitch of a table the best scale, roll and
    shift are known in closed form, hence also what they leave: |p|^2 - |<p, q>|^2 / |q|^2 with the
    centered points p and q as complex numbers. The least, with weak priors for what five points cannot
    tell, is refined in yaw by a parabola.

    Returns:
        yaw float32 [B] in degrees and the index int32 [B] of the pitch in `Views.pitches`.
    """
    seen, prior, yaws, pitches = _poses()
    p = points - tf.reduce_mean(points, 1, keepdims=True)
    size = tf.reduce_sum(p**2, [1, 2]) + 1e-6
    norm = np.sqrt((seen**2).sum((1, 2)))
    unit = seen / norm[:, None, None]
    along = unit.reshape(-1, 10)
    across = np.stack([-unit[..., 1], unit[..., 0]], -1).reshape(-1, 10)
    flat = tf.reshape(p, [-1, 10])
    explained = tf.matmul(flat, tf.constant(along.T, tf.float32)) ** 2
    explained += tf.matmul(flat, tf.constant(across.T, tf.float32)) ** 2
    weight = tf.constant(norm**2 / _POINT_SD**2, tf.float32)
    cost = (1.0 - explained / size[:, None]) * weight + tf.constant(prior, tf.float32)
    cost = tf.reshape(cost, [-1, yaws, pitches])
    pitch = tf.argmin(tf.reduce_min(cost, 1), 1, tf.int32)
    by_yaw = tf.gather(cost, pitch, axis=2, batch_dims=1)
    best = tf.clip_by_value(tf.argmin(by_yaw, 1, tf.int32), 1, yaws - 2)
    low, mid, high = (tf.gather(by_yaw, best + k, axis=1, batch_dims=1) for k in (-1, 0, 1))
    shift = 0.5 * (low - high) / tf.maximum(low - 2 * mid + high, 1e-6)
    yaw = (tf.cast(best, tf.float32) + tf.clip_by_value(shift, -1.0, 1.0)) * _YAW_STEP - _YAW_END
    return yaw, pitch


def _rotation(yaw: tf.Tensor, pitch: tf.Tensor) -> tf.Tensor:
    """Rotations [B, 3, 3] of yaws and pitches [B] in degrees; `shape.rotation` without roll."""
    yaw, pitch = yaw * (np.pi / 180), pitch * (np.pi / 180)
    cy, sy, cp, sp = tf.cos(yaw), tf.sin(yaw), tf.cos(pitch), tf.sin(pitch)
    rows = [cy, tf.zeros_like(cy), -sy, sp * sy, cp, sp * cy, cp * sy, -sp, cp * cy]
    return tf.reshape(tf.stack(rows, -1), [-1, 3, 3])


class Camera:
    """Weak-perspective cameras of B faces: pixel = center + scaled roll . (plane - offset).

    "Plane" is the first two coordinates of the head rotated by yaw and pitch, in eye distances: the
    coordinates of urfr_tf/faces/views.py.

    Attributes:
        scale: float32 [B], pixels per eye distance.
    """

    def __init__(self, yaw: tf.Tensor, pitch: tf.Tensor, points: tf.Tensor) -> None:
        """Yaw and pitch float32 [B] in degrees; scale, roll and shift fit points [B, 5, 2] best."""
        self._rows = _rotation(yaw, pitch)[:, :2]
        seen = tf.einsum("bij,kj->bki", self._rows, tf.constant(mean_face().points, tf.float32))
        self._offset = tf.reduce_mean(seen, 1, keepdims=True)
        self._center = tf.reduce_mean(points, 1, keepdims=True)
        q, p = seen - self._offset, points - self._center
        size = tf.reduce_sum(q**2, [1, 2])
        real = tf.reduce_sum(p * q, [1, 2]) / size
        imaginary = tf.reduce_sum(p[..., 1] * q[..., 0] - p[..., 0] * q[..., 1], 1) / size
        self._roll = tf.reshape(tf.stack([real, -imaginary, imaginary, real], -1), [-1, 2, 2])
        self.scale = tf.sqrt(real**2 + imaginary**2) + 1e-6

    def pixels(self, plane: tf.Tensor) -> tf.Tensor:
        """Plane coordinates [B, N, 2] -> pixels [B, N, 2]."""
        return tf.matmul(plane - self._offset, self._roll, transpose_b=True) + self._center

    def plane(self, pixels: tf.Tensor) -> tf.Tensor:
        """Pixels [B or 1, N, 2] -> plane coordinates [B, N, 2]."""
        turned = tf.matmul(pixels - self._center, self._roll)
        return turned / self.scale[:, None, None] ** 2 + self._offset

    def project(self, head: tf.Tensor) -> tf.Tensor:
        """Points of the head [B, N, 3] -> plane coordinates [B, N, 2]."""
        return tf.matmul(head, self._rows, transpose_b=True)
