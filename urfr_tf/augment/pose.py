"""Pose: faces turned to another yaw in their own texture, with a mean head in place of PRNet.

For each image the camera is solved from its five points under weak perspective. Then every pixel of the
turned image asks which point of the head it sees (a table of views, see urfr_tf/faces/shape.py), and
where that point, or if it is hidden there its mirror image on the other half of the face, lies in the
photograph. Pixels beside the head look at the background, which is shifted along with the head's
outline; the shift runs out with distance. The turned face is placed as an alignment by its five points
would place it, because that is how a face seen from the side reaches the network.
"""

import functools

import numpy as np
import tensorflow as tf

from urfr_tf.errors import UrfrError
from urfr_tf.faces import shape

TEMPLATE = (38.2946, 51.6963, 73.5318, 51.5014, 56.0252, 71.7366, 41.5493, 92.3655, 70.7299, 92.2041)
"""ArcFace's five points in a crop of TEMPLATE_SIZE pixels: x0, y0, ... x4, y4."""
TEMPLATE_SIZE = 112.0
MAX_YAW = 75.0

_YAW_SD, _PITCH_SD, _POINT_SD = 30.0, 8.0, 0.05  # degrees, degrees, eye distances: priors of the camera
_YAW_STEP, _YAW_END = 3.0, 66.0
_HIDDEN = 0.12  # eye distances behind what the camera sees at which a point counts as hidden
_RIM = 70.0  # degrees off the camera's direction beyond which texture is stretched
_REACH = 1.1  # eye distances over which the background's shift runs out
_MARGIN = 0.1  # eye distances by which the background's source keeps away from the head when it is shifted


@functools.lru_cache(maxsize=1)
def _poses() -> tuple[np.ndarray, np.ndarray, int, int]:
    """Centred points of the mean face float64 [Y * P, 5, 2] and the priors' cost [Y * P]; Y; P."""
    yaws = np.arange(-_YAW_END, _YAW_END + 1e-6, _YAW_STEP)
    pitches = shape.views().pitches
    seen = np.stack([_project(float(yaw), float(pitch)) for yaw in yaws for pitch in pitches])
    cost = (yaws[:, None] / _YAW_SD) ** 2 + (pitches[None, :] / _PITCH_SD) ** 2
    return seen - seen.mean(1, keepdims=True), cost.ravel(), len(yaws), len(pitches)


def _project(yaw: float, pitch: float) -> np.ndarray:
    return (shape.mean_face().points @ shape.rotation(yaw, pitch).T)[:, :2]


def _solve_pose(points: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Yaw in degrees float32 [B] and index into `Views.pitches` int32 [B] behind points [B, 5, 2].

    Least squares under weak perspective. For each yaw and pitch of a table the best scale, roll and
    shift are known in closed form, hence also what they leave: |p|^2 - |<p, q>|^2 / |q|^2 with p and q as
    complex numbers. The least, with weak priors for what five points cannot tell, is refined in yaw by a
    parabola.
    """
    seen, prior, yaws, pitches = _poses()
    p = points - tf.reduce_mean(points, 1, keepdims=True)
    size = tf.reduce_sum(p**2, [1, 2]) + 1e-6
    norm = np.sqrt((seen**2).sum((1, 2)))
    along = (seen / norm[:, None, None]).reshape(len(seen), 10)
    across = (np.stack([-seen[..., 1], seen[..., 0]], -1) / norm[:, None, None]).reshape(len(seen), 10)
    flat = tf.reshape(p, [-1, 10])
    explained = tf.matmul(flat, tf.constant(along.T, tf.float32)) ** 2
    explained += tf.matmul(flat, tf.constant(across.T, tf.float32)) ** 2
    left = 1.0 - explained / size[:, None]
    weight = tf.constant(norm**2 / _POINT_SD**2, tf.float32)
    cost = tf.reshape(left * weight + tf.constant(prior, tf.float32), [-1, yaws, pitches])
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
    zero = tf.zeros_like(cy)
    rows = [cy, zero, -sy, sp * sy, cp, sp * cy, cp * sy, -sp, cp * cy]
    return tf.reshape(tf.stack(rows, -1), [-1, 3, 3])


class _Camera:
    """Weak-perspective cameras: pixel = centre + scaled roll . (camera xy - offset)."""

    def __init__(self, yaw: tf.Tensor, pitch: tf.Tensor, points: tf.Tensor) -> None:
        """Yaw and pitch [B] in degrees; scale, roll and shift are the best for points [B, 5, 2]."""
        self.yaw = yaw
        self.rotation = _rotation(yaw, pitch)
        face = tf.constant(shape.mean_face().points, tf.float32)
        seen = tf.einsum("bij,kj->bki", self.rotation[:, :2], face)
        self.offset = tf.reduce_mean(seen, 1)
        self.centre = tf.reduce_mean(points, 1)
        q, p = seen - self.offset[:, None], points - self.centre[:, None]
        size = tf.reduce_sum(q**2, [1, 2])
        real = tf.reduce_sum(p * q, [1, 2]) / size
        imaginary = tf.reduce_sum(p[..., 1] * q[..., 0] - p[..., 0] * q[..., 1], 1) / size
        self.roll = tf.reshape(tf.stack([real, -imaginary, imaginary, real], -1), [-1, 2, 2])
        self.scale = tf.sqrt(real**2 + imaginary**2) + 1e-6

    def pixels(self, at: tf.Tensor) -> tf.Tensor:
        """Camera coordinates [B, N, 2] -> pixels [B, N, 2]."""
        return tf.matmul(at - self.offset[:, None], self.roll, transpose_b=True) + self.centre[:, None]

    def plane(self, pixels: tf.Tensor) -> tf.Tensor:
        """Pixels [B, N, 2] -> camera coordinates [B, N, 2]."""
        turned = tf.matmul(pixels - self.centre[:, None], self.roll)
        return turned / self.scale[:, None, None] ** 2 + self.offset[:, None]

    def project(self, at: tf.Tensor) -> tf.Tensor:
        """Points of the head [B, N, 3] -> camera coordinates [B, N, 2]."""
        return tf.matmul(at, self.rotation[:, :2], transpose_b=True)


class _View:
    """The tables of views, interpolated to the yaw of each image."""

    def __init__(self, yaw: tf.Tensor, pitch: tf.Tensor) -> None:
        views = shape.views()
        self.sign = tf.where(yaw < 0, -1.0, 1.0)
        step = float(views.yaws[1])
        place = tf.clip_by_value(tf.abs(yaw) / step, 0.0, len(views.yaws) - 1.001)
        low = tf.cast(place, tf.int32)
        part = place - tf.cast(low, tf.float32)
        count = len(views.pitches)
        self.grid = views.surface.shape[2]

        def mixed(table: np.ndarray) -> tf.Tensor:
            rows = tf.constant(table.reshape(-1, *table.shape[2:]))
            shape_of = [-1] + [1] * (table.ndim - 2)
            first = tf.cast(tf.gather(rows, low * count + pitch), tf.float32)
            second = tf.cast(tf.gather(rows, (low + 1) * count + pitch), tf.float32)
            return first + tf.reshape(part, shape_of) * (second - first)

        self.table = mixed(views.surface)
        self.rows = mixed(views.outline)

    def _place(self, value: tf.Tensor, centre: float) -> tuple[tf.Tensor, tf.Tensor]:
        at = (value - centre + shape.VIEW_HALF) * ((self.grid - 1) / (2 * shape.VIEW_HALF))
        at = tf.clip_by_value(at, 0.0, self.grid - 1.001)
        low = tf.cast(at, tf.int32)
        return low, at - tf.cast(low, tf.float32)

    def surface(self, at: tf.Tensor) -> tf.Tensor:
        """Camera coordinates [B, N, 2] -> the head's point and the margin [B, N, 4]."""
        column, s = self._place(at[..., 0] * self.sign[:, None], shape.VIEW_CENTRE[0])
        row, t = self._place(at[..., 1], shape.VIEW_CENTRE[1])
        s, t = s[..., None], t[..., None]
        batch = tf.shape(at)[0]
        index = (tf.range(batch)[:, None] * self.grid + row) * self.grid + column
        flat = tf.reshape(self.table, [-1, 4])
        a, b, c, d = (tf.gather(flat, index + k) for k in (0, 1, self.grid, self.grid + 1))
        upper, lower = a + s * (b - a), c + s * (d - c)
        flip = tf.stack([self.sign] + [tf.ones_like(self.sign)] * 3, -1)
        return (upper + t * (lower - upper)) * flip[:, None]

    def outline(self, height: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Camera y [B, N] -> the head's least and greatest camera x [B, N] there."""
        row, t = self._place(height, shape.VIEW_CENTRE[1])
        index = tf.range(tf.shape(height)[0])[:, None] * self.grid + row
        flat = tf.reshape(self.rows, [-1, 2])
        first, second = tf.gather(flat, index), tf.gather(flat, index + 1)
        ends = (first + t[..., None] * (second - first)) * self.sign[:, None, None]
        return tf.reduce_min(ends, -1), tf.reduce_max(ends, -1)


def _on_the_rim(at: tf.Tensor, yaw: tf.Tensor, turned: tf.Tensor) -> tf.Tensor:
    """Points of the head [B, N, 3], those that turn away from a camera at yaw [B] drawn to its rim.

    Nobody sees behind an ear in a frontal photograph: texture beyond the rim is what lies at the rim
    and just outside it. With `turned` [B] = 0 nothing moves.
    """
    x, depth = at[..., 0], shape.AXIS_Z - at[..., 2]
    radius = tf.sqrt(x**2 + depth**2)
    away = tf.atan2(x, depth) + yaw[:, None] * (np.pi / 180)
    away = away - 2 * np.pi * tf.round(away / (2 * np.pi))
    rim, room = np.radians(_RIM), np.radians(90 - _RIM)
    over = tf.maximum(tf.abs(away) - rim, 0.0)
    drawn = tf.sign(away) * (tf.minimum(tf.abs(away), rim) + room * tf.tanh(over / room))
    angle = away + (drawn - away) * turned[:, None] - yaw[:, None] * (np.pi / 180)
    radius = radius * (1.0 + 0.25 * turned[:, None] * tf.minimum(tf.maximum(over - room, 0.0), 1.0))
    return tf.stack([radius * tf.sin(angle), at[..., 1], shape.AXIS_Z - radius * tf.cos(angle)], -1)


def _background(at: tf.Tensor, source: _View, target: _View, turned: tf.Tensor) -> tf.Tensor:
    """Where the background seen at camera coordinates [B, N, 2] of the turned view lies in the source's."""
    x = at[..., 0]
    left, right = target.outline(at[..., 1])
    source_left, source_right = source.outline(at[..., 1])
    margin = _MARGIN * turned[:, None]
    on_left = x < (left + right) / 2
    outside = tf.maximum(tf.where(on_left, left - x, x - right), 0.0)
    shift = tf.where(on_left, source_left - margin - left, source_right + margin - right)
    return tf.stack([x + shift * tf.exp(-outside / _REACH), at[..., 1]], -1)


def _sample(images: tf.Tensor, at: tf.Tensor) -> tf.Tensor:
    """Bilinear samples of images [B, H, W, 3] at pixels [B, N, 2] -> [B, N, 3]; reflected at the borders."""
    height, width = tf.shape(images)[1], tf.shape(images)[2]
    last = tf.cast(tf.stack([width, height]) - 1, tf.float32)
    at = tf.abs(at)
    at = last - tf.abs(last - at)
    at = tf.clip_by_value(at, 0.0, last - 0.001)
    low = tf.cast(at, tf.int32)
    part = at - tf.cast(low, tf.float32)
    index = (tf.range(tf.shape(images)[0])[:, None] * height + low[..., 1]) * width + low[..., 0]
    flat = tf.reshape(images, [-1, 3])
    a, b, c, d = (tf.gather(flat, index + k) for k in (0, 1, width, width + 1))
    s, t = part[..., :1], part[..., 1:]
    upper, lower = a + s * (b - a), c + s * (d - c)
    return upper + t * (lower - upper)


def _known_points(points: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Points [B, 10] as [B, 5, 2], the template's where they are unknown."""
    template = tf.constant(TEMPLATE, tf.float32) * (tf.cast(size, tf.float32) / TEMPLATE_SIZE)
    unknown = tf.reduce_all(points < 0, 1, keepdims=True)
    return tf.reshape(tf.where(unknown, template[None], points), [-1, 5, 2])


def turn(images: tf.Tensor, points: tf.Tensor, yaw_degrees: tf.Tensor) -> tf.Tensor:
    """Turns faces to a yaw.

    Args:
        images: float32 [B, S, S, 3], RGB, 0..255.
        points: float32 [B, 10], pixels x0, y0 ... x4, y4: left eye, right eye, nose, left mouth corner,
            right mouth corner as seen in the image; all -1 where unknown, then ArcFace's template.
        yaw_degrees: float32 [B], the yaw to reach (not to add); positive looks to the image's right;
            clipped to +-MAX_YAW.

    Returns:
        float32 [B, S, S, 3], 0..255. Roll, pitch, scale and place stay as they were solved from the points.

    Raises:
        UrfrError: the images are not [B, S, S, 3].
    """
    images = tf.convert_to_tensor(images, tf.float32)
    if images.shape.rank != 4 or images.shape[-1] != 3 or images.shape[1] != images.shape[2]:
        raise UrfrError(f"expected square images [B, S, S, 3] to turn, got shape {images.shape}")
    size = tf.shape(images)[1]
    known = _known_points(tf.convert_to_tensor(points, tf.float32), size)
    yaw, pitch_index = _solve_pose(known)
    pitch = tf.gather(tf.constant(shape.views().pitches), pitch_index)
    wanted = tf.clip_by_value(tf.convert_to_tensor(yaw_degrees, tf.float32), -MAX_YAW, MAX_YAW)
    source, target = _Camera(yaw, pitch, known), _Camera(wanted, pitch, known)
    source_view, target_view = _View(yaw, pitch_index), _View(wanted, pitch_index)
    turned = tf.minimum(tf.abs(wanted - yaw) / 20.0, 1.0)

    nodes = (size + 1) // 2
    line = tf.linspace(0.0, tf.cast(size - 1, tf.float32), nodes)
    pixels = tf.reshape(tf.stack(tf.meshgrid(line, line), -1), [1, -1, 2])
    pixels = tf.tile(pixels, [tf.shape(images)[0], 1, 1])
    at = target.plane(pixels)
    seen = target_view.surface(at)
    point, margin = seen[..., :3], seen[..., 3:]
    mirrored = point * [-1.0, 1.0, 1.0]

    def visible(of: tf.Tensor) -> tf.Tensor:
        front = source_view.surface(source.project(of))[..., :3]
        apart = tf.sqrt(tf.reduce_sum((front - of) ** 2, -1, keepdims=True))
        return tf.clip_by_value(2.0 - apart / _HIDDEN, 0.0, 1.0)

    mirror_weight = visible(mirrored) * (1.0 - visible(point)) * turned[:, None, None]
    own_at = source.pixels(source.project(_on_the_rim(point, yaw, turned)))
    mirror_at = source.pixels(source.project(mirrored))
    background_at = source.pixels(_background(at, source_view, target_view, turned))
    head_weight = margin * target.scale[:, None, None]

    field = tf.concat([own_at, mirror_at, background_at, mirror_weight, head_weight], -1)
    field = tf.reshape(field, [-1, nodes, nodes, 8])
    field = tf.raw_ops.ResizeBilinear(images=field, size=[size, size], align_corners=True)
    field = tf.reshape(field, [-1, size * size, 8])
    own, mirror, background = (_sample(images, field[..., k : k + 2]) for k in (0, 2, 4))
    head = own + field[..., 6:7] * (mirror - own)
    alpha = tf.clip_by_value(0.5 + field[..., 7:8] / 1.5, 0.0, 1.0)
    result = background + alpha * (head - background)
    return tf.reshape(result, tf.shape(images))


def random_turn(
    images: tf.Tensor, points: tf.Tensor, seed: tf.Tensor, low: float = 40.0, high: float = 60.0
) -> tf.Tensor:
    """Turns each face to a yaw drawn evenly from low..high degrees, to either side alike.

    Args:
        images: float32 [B, S, S, 3], 0..255.
        points: float32 [B, 10], see `turn`.
        seed: int32 [2]; the same seed gives the same result.
        low: least size of the yaw in degrees.
        high: greatest.

    Returns:
        float32 [B, S, S, 3].

    Raises:
        UrfrError: not 0 <= low <= high <= MAX_YAW.
    """
    if not 0 <= low <= high <= MAX_YAW:
        raise UrfrError(f"expected 0 <= low <= high <= {MAX_YAW:g} degrees of yaw, got {low} and {high}")
    drawn = tf.random.stateless_uniform([tf.shape(images)[0], 2], seed)
    size = low + (high - low) * drawn[:, 0]
    return turn(images, points, tf.where(drawn[:, 1] < 0.5, -size, size))
