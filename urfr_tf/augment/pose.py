"""Pose: faces turned to another yaw in their own texture, with a mean head in place of PRNet.

For each image the camera is solved from its five points under weak perspective. Then every place of the
turned image asks which point of the head it sees (a table of views, see urfr_tf/faces/views.py), and
where that point lies in the photograph; where it is hidden there, its mirror image on the other half of
the face is taken. Places beside the head look at the background, which is shifted along with the
head's outline; the shift runs out with distance. Where the photograph shows no background, because
an ear or hair was there or the picture ends, its blurred colours are continued. The turned face is placed as
an alignment by its five points would place it, because that is how a face seen from the side reaches
the network.
"""

import numpy as np
import tensorflow as tf

from urfr_tf.augment import strips
from urfr_tf.augment.camera import Camera, known_points, solve_pose
from urfr_tf.errors import UrfrError
from urfr_tf.faces.shape import AXIS_Z
from urfr_tf.faces.views import VIEW_CENTRE, VIEW_HALF, views

MAX_YAW = 75.0

_RADIANS = np.pi / 180
_ROW_STEP = 2  # pixels between the rows in which the warp is computed
_FLAT = 45.0 * _RADIANS  # angle off the camera's direction from which the mirror image is preferred
_RIM = 70.0 * _RADIANS  # angle off the camera's direction beyond which texture is stretched
_REACH = 1.1  # eye distances over which the background's shift runs out
_BESIDE = 0.28  # eye distances next to the head that are ear or hair
_EDGE = 1.5  # pixels over which the head's outline is blended into the background
_CELL = 8  # pixels of a cell of the blurred picture of the background


class _View:
    """What cameras of yaw [B] and a pitch of the table see of the head, between the views of the table."""

    def __init__(self, yaw: tf.Tensor, pitch: tf.Tensor) -> None:
        table = views()
        self.sign = tf.where(yaw < 0, -1.0, 1.0)
        place = tf.clip_by_value(tf.abs(yaw) / float(table.yaws[1]), 0.0, len(table.yaws) - 1.001)
        low = tf.cast(place, tf.int32)
        self._part = (place - tf.cast(low, tf.float32))[:, None]
        self._grid = table.surface.shape[2]
        self._view = low * len(table.pitches) + pitch
        self._next = len(table.pitches)
        self._surface = tf.constant(table.surface.reshape(-1, 4))
        self._outline = tf.constant(table.outline.reshape(-1, 2))

    def _place(self, value: tf.Tensor, centre: float) -> tuple[tf.Tensor, tf.Tensor]:
        at = (value - centre + VIEW_HALF) * ((self._grid - 1) / (2 * VIEW_HALF))
        at = tf.clip_by_value(at, 0.0, self._grid - 1.001)
        low = tf.cast(at, tf.int32)
        return low, (at - tf.cast(low, tf.float32))[..., None]

    def surface(self, plane: tf.Tensor) -> tf.Tensor:
        """Plane coordinates [B, N, 2] -> the head's point and the margin [B, N, 4], see `Views`."""
        column, s = self._place(plane[..., 0] * self.sign[:, None], VIEW_CENTRE[0])
        row, t = self._place(plane[..., 1], VIEW_CENTRE[1])
        index = (self._view[:, None] * self._grid + row) * self._grid + column
        over = self._next * self._grid**2

        def value(offset: int) -> tf.Tensor:
            first = tf.cast(tf.gather(self._surface, index + offset), tf.float32)
            second = tf.cast(tf.gather(self._surface, index + offset + over), tf.float32)
            return first + self._part[..., None] * (second - first)

        a, b, c, d = value(0), value(1), value(self._grid), value(self._grid + 1)
        upper, lower = a + s * (b - a), c + s * (d - c)
        flip = tf.stack([self.sign] + [tf.ones_like(self.sign)] * 3, -1)
        return (upper + t * (lower - upper)) * flip[:, None]

    def outline(self, height: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Plane y [B, N] -> the head's least and greatest x [B, N] there."""
        row, t = self._place(height, VIEW_CENTRE[1])
        index = self._view[:, None] * self._grid + row

        def value(offset: int) -> tf.Tensor:
            first = tf.gather(self._outline, index + offset)
            second = tf.gather(self._outline, index + offset + self._next * self._grid)
            return first + self._part[..., None] * (second - first)

        ends = value(0)
        ends = (ends + t * (value(1) - ends)) * self.sign[:, None, None]
        return tf.reduce_min(ends, -1), tf.reduce_max(ends, -1)


def _on_the_rim(head: tf.Tensor, yaw: tf.Tensor, turned: tf.Tensor) -> tf.Tensor:
    """Points of the head [B, N, 3], those that turn away from a camera at yaw [B] drawn to its rim.

    Nobody sees behind an ear in a frontal photograph: the texture beyond the rim is what lies at the rim
    and just outside it. With `turned` [B] = 0 nothing moves.
    """
    x, depth, yaw = head[..., 0], AXIS_Z - head[..., 2], yaw[:, None] * _RADIANS
    radius, turned = tf.sqrt(x**2 + depth**2), turned[:, None]
    away = tf.atan2(x, depth) + yaw
    away = away - 2 * np.pi * tf.round(away / (2 * np.pi))
    room = np.pi / 2 - _RIM
    over = tf.maximum(tf.abs(away) - _RIM, 0.0)
    drawn = tf.sign(away) * (tf.minimum(tf.abs(away), _RIM) + room * tf.tanh(over / room))
    angle = away + (drawn - away) * turned - yaw
    radius = radius * (1.0 + 0.9 * _BESIDE * turned * tf.clip_by_value(over - room, 0.0, 1.0))
    return tf.stack([radius * tf.sin(angle), head[..., 1], AXIS_Z - radius * tf.cos(angle)], -1)


def _background(
    plane: tf.Tensor, source: _View, target: _View, turned: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Where the background at places [B, N, 2] of the turned view lies in the source's plane [B, N, 2].

    Second, in how far [B, N] that is no background but ear or hair that the turned head has uncovered.
    """
    x = plane[..., 0]
    left, right = target.outline(plane[..., 1])
    source_left, source_right = source.outline(plane[..., 1])
    beside = _BESIDE * turned[:, None]
    on_left = x < (left + right) / 2
    outside = tf.maximum(tf.where(on_left, left - x, x - right), 0.0)
    outward = tf.where(on_left, left - source_left, source_right - right) + beside
    moved = outward * tf.exp(-outside / _REACH)
    away = outside + moved - (outward - beside)  # from the source's outline
    uncovered = tf.clip_by_value(outward / _BESIDE - 1.0, 0.0, 1.0)
    uncovered *= tf.clip_by_value((2 * _BESIDE - away) / (0.8 * _BESIDE), 0.0, 1.0)
    return tf.stack([x + tf.where(on_left, -moved, moved), plane[..., 1]], -1), uncovered


def _better_mirrored(head: tf.Tensor, yaw: tf.Tensor) -> tf.Tensor:
    """How much [B, N] the mirror images of points of the head [B, N, 3] should stand in for them.

    1 where a camera at yaw [B] sees the point under a flat angle or not at all, and its mirror image better.
    """
    azimuth, yaw = tf.atan2(head[..., 0], AXIS_Z - head[..., 2]), yaw[:, None] * _RADIANS
    own, mirrored = tf.abs(yaw + azimuth), tf.abs(yaw - azimuth)
    flat = (own - _FLAT) / (15 * _RADIANS)
    better = (own - mirrored - 8 * _RADIANS) / (12 * _RADIANS)
    return tf.clip_by_value(flat, 0.0, 1.0) * tf.clip_by_value(better, 0.0, 1.0)


def _blurred_background(images: tf.Tensor, camera: Camera, view: _View) -> tf.Tensor:
    """The background of images [B, S, S, 3] continued over the heads, coarse: [B, F, F, 3].

    Normalised convolution (Knutsson and Westin, 1993) over three scales, the finest that has background.
    """
    small = tf.nn.avg_pool2d(images, _CELL, _CELL, "SAME")
    side = tf.shape(small)[1]
    line = (tf.range(side, dtype=tf.float32) + 0.5) * _CELL - 0.5
    plane = camera.plane(tf.reshape(tf.stack(tf.meshgrid(line, line), -1), [1, -1, 2]))
    left, right = view.outline(plane[..., 1])
    outside = tf.maximum(left - plane[..., 0], plane[..., 0] - right)
    weight = tf.clip_by_value(outside / _BESIDE - 1.0, 1e-3, 1.0)
    weight = tf.reshape(weight, [-1, side, side, 1])
    level = tf.concat([small * weight, weight], -1)
    total = level
    for scale in (0.1, 0.01):
        level = tf.nn.avg_pool2d(level, 4, 3, "SAME")
        total += scale * tf.image.resize(level, [side, side])
    return total[..., :3] / total[..., 3:]


def _lookup(picture: tf.Tensor, at: tf.Tensor) -> tf.Tensor:
    """Values [B, N, 3] of a picture of cells [B, F, F, 3] at pixels [B, N, 2], bilinear."""
    side = tf.shape(picture)[1]
    at = tf.clip_by_value((at + 0.5) / _CELL - 0.5, 0.0, tf.cast(side, tf.float32) - 1.001)
    low = tf.cast(at, tf.int32)
    part = at - tf.cast(low, tf.float32)
    index = (tf.range(tf.shape(at)[0])[:, None] * side + low[..., 1]) * side + low[..., 0]
    flat = tf.reshape(picture, [-1, 3])
    a, b, c, d = (tf.gather(flat, index + k) for k in (0, 1, side, side + 1))
    s, t = part[..., :1], part[..., 1:]
    upper, lower = a + s * (b - a), c + s * (d - c)
    return upper + t * (lower - upper)


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
    batch, size = tf.shape(images)[0], images.shape[1] or tf.shape(images)[1]
    five = known_points(tf.convert_to_tensor(points, tf.float32), size)
    yaw, pitch_index = solve_pose(five)
    pitch = tf.gather(tf.constant(views().pitches), pitch_index)
    wanted = tf.clip_by_value(tf.convert_to_tensor(yaw_degrees, tf.float32), -MAX_YAW, MAX_YAW)
    source, target = Camera(yaw, pitch, five), Camera(wanted, pitch, five)
    source_view, target_view = _View(yaw, pitch_index), _View(wanted, pitch_index)
    turned = tf.minimum(tf.abs(wanted - yaw) * _RADIANS, 1.0)

    rows, count = (size - 1) // _ROW_STEP + 1, (size - 1) // strips.WIDTH + 1
    down = tf.linspace(0.0, tf.cast(size - 1, tf.float32), rows)
    across = tf.cast(tf.range(count + 1) * strips.WIDTH, tf.float32)
    plane = target.plane(tf.reshape(tf.stack(tf.meshgrid(across, down), -1), [1, -1, 2]))
    seen = target_view.surface(plane)
    point, margin = seen[..., :3], seen[..., 3] * target.scale[:, None]
    mirrored = point * [-1.0, 1.0, 1.0]
    mirror = _better_mirrored(point, yaw) * turned[:, None]
    background, uncovered = _background(plane, source_view, target_view, turned)
    background = source.pixels(background)
    last = tf.cast(size - 1, tf.float32)
    over = tf.reduce_max(tf.abs(background - last / 2), -1) - last / 2
    filled = tf.maximum(uncovered, tf.clip_by_value(over / 6.0, 0.0, 1.0))
    fill = _lookup(_blurred_background(images, source, source_view), background)
    own_at, mirror_at = (
        source.pixels(source.project(_on_the_rim(p, yaw, turned))) for p in (point, mirrored)
    )
    field = tf.concat([own_at, mirror_at, background, fill, tf.stack([margin, mirror, filled], -1)], -1)
    field = tf.reshape(field, [batch, rows, count + 1, 12])
    field = tf.raw_ops.ResizeBilinear(images=field, size=[size, count + 1], align_corners=True)
    margin, mirror, filled = field[..., 9], field[..., 10], field[..., 11]
    return strips.paint(
        images,
        canvas=field[..., 6:9] * filled[..., None],
        behind=strips.Warp(field[..., 4:6], 1.0 - filled),
        front=strips.Warp(field[..., 0:2], margin),
        mirrored=strips.Warp(field[..., 2:4], mirror),
        edge=_EDGE,
    )


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
