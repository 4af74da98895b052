"""Pose: faces turned to another yaw in their own texture, with a mean head in place of PRNet.

For each image the camera is solved from its five points under weak perspective. Then every place of the
turned image asks which point of the head it sees (a table of views, see urfr_tf/faces/views.py), and
where that point lies in the photograph; where it is hidden or seen flat there, its mirror image on the
other half of the face is taken. Places beside the head look at the background, which is shifted along
with the head's outline; the shift runs out with distance. Where the photograph shows no background, because
an ear or hair was there or the picture ends, its blurred colors are continued. The turned face is placed
as an alignment by its five points would place it, because that is how a face seen from the side reaches
the network.
"""

import functools

import numpy as np
import tensorflow as tf

from urfr_tf.augment import warp
from urfr_tf.augment.camera import Camera, known_points, solve_pose
from urfr_tf.errors import UrfrError
from urfr_tf.faces.shape import AXIS_Z
from urfr_tf.faces.views import VIEW_CENTRE, VIEW_HALF, views

MAX_YAW = 75.0

_RADIANS = np.pi / 180
_RIM = 70.0 * _RADIANS  # angle off the camera's direction beyond which texture is stretched
_FLAT = 45.0 * _RADIANS  # angle off the camera's direction from which the mirror image is preferred
_REACH = 1.1  # eye distances over which the background's shift runs out
_BESIDE = 0.28  # eye distances next to the head that are ear or hair
_EDGE = 1.5  # pixels over which the head's outline is blended into the background
_CELL = 8  # pixels of a cell of the blurred picture of the background


# Compiled, because the many small steps would otherwise each walk memory; in several functions, because XLA
# would compute what is shared again for each use: together these made it four times as fast.
_compiled = functools.partial(tf.function, jit_compile=True, autograph=False)
_packed = _compiled(warp.packed)
_sampled = _compiled(warp.sample)


class _View:
    """What cameras of yaw [B] and a pitch of the table see of the head, between the views of the table."""

    def __init__(self, yaw: tf.Tensor, pitch: tf.Tensor, surface: tf.Tensor, outline: tf.Tensor) -> None:
        table = views()
        place = tf.clip_by_value(tf.abs(yaw) / float(table.yaws[1]), 0.0, len(table.yaws) - 1.001)
        low = tf.cast(place, tf.int32)
        self._sign = tf.where(yaw < 0, -1.0, 1.0)[:, None]
        self._part = (place - tf.cast(low, tf.float32))[:, None, None]
        self._grid = table.surface.shape[2]
        self._first = (low * len(table.pitches) + pitch)[:, None]
        self._second = self._first + len(table.pitches)
        self._surface, self._outline = surface, outline

    def _place(self, value: tf.Tensor, center: float) -> tf.Tensor:
        return (value - center + VIEW_HALF) * ((self._grid - 1) / (2 * VIEW_HALF))

    def surface(self, plane: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        """Plane coordinates [B, N, 2] -> azimuth, y and radius of the head there, and the margin: [B, N]."""
        column = self._place(plane[..., 0] * self._sign, VIEW_CENTRE[0])
        row = self._place(plane[..., 1], VIEW_CENTRE[1])
        first, second = (
            warp.bilinear(self._surface, column, row, view * self._grid**2, self._grid, self._grid)
            for view in (self._first, self._second)
        )
        azimuth, y, radius, margin = tf.unstack(first + self._part * (second - first), axis=-1)
        return azimuth * self._sign, y, radius, margin

    def outline(self, height: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Plane y [B, N] -> the head's least and greatest x [B, N] there."""
        row = tf.clip_by_value(self._place(height, VIEW_CENTRE[1]), 0.0, self._grid - 1.001)
        top = tf.cast(row, tf.int32)
        t = (row - tf.cast(top, tf.float32))[..., None]

        def value(offset: int) -> tf.Tensor:
            first, second = (
                tf.gather(self._outline, view * self._grid + top + offset)
                for view in (self._first, self._second)
            )
            return first + self._part * (second - first)

        above = value(0)
        ends = (above + t * (value(1) - above)) * self._sign[..., None]
        return tf.minimum(ends[..., 0], ends[..., 1]), tf.maximum(ends[..., 0], ends[..., 1])


def _in_photograph(
    azimuth: tf.Tensor, y: tf.Tensor, radius: tf.Tensor, camera: Camera, yaw: tf.Tensor, turned: tf.Tensor
) -> tf.Tensor:
    """Pixels [B, N, 2] at which a camera at yaw [B] sees points of the head [B, N].

    Points that turn away from the camera are drawn to its rim: nobody sees behind an ear in a frontal
    photograph, so the texture beyond the rim is what lies at the rim and just outside it. With `turned`
    [B] = 0 nothing moves.
    """
    yaw, turned = yaw[:, None] * _RADIANS, turned[:, None]
    away = azimuth + yaw
    away = away - 2 * np.pi * tf.round(away / (2 * np.pi))
    room = np.pi / 2 - _RIM
    over = tf.maximum(tf.abs(away) - _RIM, 0.0)
    drawn = tf.sign(away) * (tf.minimum(tf.abs(away), _RIM) + room * over / (room + over))
    angle = away + (drawn - away) * turned - yaw
    radius = radius * (1.0 + 0.9 * _BESIDE * turned * tf.clip_by_value(over - room, 0.0, 1.0))
    head = tf.stack([radius * tf.sin(angle), y, AXIS_Z - radius * tf.cos(angle)], -1)
    return camera.pixels(camera.project(head))


def _better_mirrored(azimuth: tf.Tensor, yaw: tf.Tensor) -> tf.Tensor:
    """How much [B, N] the mirror images of points at azimuths [B, N] should stand in for them.

    1 where a camera at yaw [B] sees the point under a flat angle or not at all, and its mirror image better.
    """
    yaw = yaw[:, None] * _RADIANS
    direct, mirrored = tf.abs(yaw + azimuth), tf.abs(yaw - azimuth)
    flat = (direct - _FLAT) / (15 * _RADIANS)
    better = (direct - mirrored - 8 * _RADIANS) / (12 * _RADIANS)
    return tf.clip_by_value(flat, 0.0, 1.0) * tf.clip_by_value(better, 0.0, 1.0)


def _background(
    plane: tf.Tensor, source: _View, target: _View, turned: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Where the background at places [B, N, 2] of the turned view lies in the source's plane [B, N, 2].

    Second, in how far [B, N] that is no background but ear or hair that the turned head has uncovered.
    """
    x = plane[..., 0]
    left, right = target.outline(plane[..., 1])
    source_left, source_right = source.outline(plane[..., 1])
    margin = _BESIDE * turned[:, None]
    on_left = x < (left + right) / 2
    outside = tf.maximum(tf.where(on_left, left - x, x - right), 0.0)
    outward = tf.where(on_left, left - source_left, source_right - right) + margin
    moved = outward * tf.exp(-outside / _REACH)
    away = outside + moved - (outward - margin)  # from the source's outline
    uncovered = tf.clip_by_value(outward / _BESIDE - 1.0, 0.0, 1.0)
    uncovered *= tf.clip_by_value((2 * _BESIDE - away) / (0.8 * _BESIDE), 0.0, 1.0)
    return tf.stack([x + tf.where(on_left, -moved, moved), plane[..., 1]], -1), uncovered


def _blurred_background(images: tf.Tensor, camera: Camera, view: _View) -> tf.Tensor:
    """The background of images [B, S, S, 3], continued over the heads, in cells: float32 [B, F, F, 3].

    Normalized convolution (Knutsson and Westin, 1993) over three scales, the finest that has background.
    """
    half = images[:, 1 :: _CELL // 2, 1 :: _CELL // 2]  # every cell by four of its pixels
    side = (half.shape[1] + 1) // 2
    half = tf.pad(
        half, [[0, 0], [0, 2 * side - half.shape[1]], [0, 2 * side - half.shape[2]], [0, 0]], "SYMMETRIC"
    )
    small = tf.reduce_mean(tf.reshape(half, [-1, side, 2, side, 2, 3]), [2, 4])
    line = (tf.range(side, dtype=tf.float32) + 0.5) * _CELL - 0.5
    plane = camera.plane(tf.reshape(tf.stack(tf.meshgrid(line, line), -1), [1, -1, 2]))
    left, right = view.outline(plane[..., 1])
    outside = tf.maximum(left - plane[..., 0], plane[..., 0] - right)
    weight = tf.reshape(tf.clip_by_value(outside / _BESIDE - 1.0, 1e-3, 1.0), [-1, side, side, 1])
    level = tf.concat([small * weight, weight], -1)
    total = level
    for width, share in ((2.0, 0.1), (6.0, 0.01)):
        distance = np.arange(side)[:, None] - np.arange(side)
        blur = tf.constant(np.exp(-0.5 * (distance / width) ** 2) / width, tf.float32)
        total += share * tf.einsum("ij,bjkc,lk->bilc", blur, level, blur)
    return total[..., :3] / total[..., 3:]


@functools.lru_cache(maxsize=1)
def _tables() -> tuple[tf.Tensor, tf.Tensor]:
    """The tables of `Views`, flat, held outside of any graph so that none compiles them in."""
    with tf.init_scope():
        table = views()
        surface = tf.constant(table.surface.reshape(-1, 4), tf.float32)
        return surface, tf.constant(table.outline.reshape(-1, 2))


@_compiled
def _at_the_nodes(
    images: tf.Tensor, five: tf.Tensor, wanted: tf.Tensor, surface: tf.Tensor, outline: tf.Tensor
) -> list[tf.Tensor]:
    """Where to look, and for what, at the nodes of a coarse grid: twelve tensors [B, N].

    Pixels x, y of the photograph at which the head lies, its mirror image, the background; pixels inside the
    head's outline; share of the mirror image in the head, of the blurred color in the background; that
    color.
    """
    size = images.shape[1]
    yaw, pitch_index = solve_pose(five)
    pitch = tf.gather(tf.constant(views().pitches), pitch_index)
    source, target = Camera(yaw, pitch, five), Camera(wanted, pitch, five)
    source_view = _View(yaw, pitch_index, surface, outline)
    target_view = _View(wanted, pitch_index, surface, outline)
    turned = tf.minimum(tf.abs(wanted - yaw) * _RADIANS, 1.0)

    plane = target.plane(warp.nodes(size))
    azimuth, y, radius, margin = target_view.surface(plane)
    direct, other = (_in_photograph(a, y, radius, source, yaw, turned) for a in (azimuth, -azimuth))
    mirror = _better_mirrored(azimuth, yaw) * turned[:, None]
    behind, uncovered = _background(plane, source_view, target_view, turned)
    behind = source.pixels(behind)
    over = tf.reduce_max(tf.abs(behind - (size - 1) / 2), -1) - (size - 1) / 2
    filled = tf.maximum(uncovered, tf.clip_by_value(over / 6.0, 0.0, 1.0))
    blurred = _blurred_background(images, source, source_view)
    side = blurred.shape[1]
    start = tf.range(tf.shape(images)[0])[:, None] * side**2
    column, row = ((behind[..., k] + 0.5) / _CELL - 0.5 for k in (0, 1))
    fill = warp.bilinear(tf.reshape(blurred, [-1, 3]), column, row, start, side, side)

    return [
        *(at[..., k] for at in (direct, other, behind) for k in (0, 1)),
        margin * target.scale[:, None],
        mirror,
        filled,
        *(fill[..., k] for k in range(3)),
    ]


@_compiled
def _at_the_pixels(nodes: list[tf.Tensor], size: int) -> list[tf.Tensor]:
    """Of the three places in the photograph that make a pixel the two that count most.

    Returns x, y of the one, x, y of the other, and the weights.
    """
    direct_x, direct_y, other_x, other_y, behind_x, behind_y, margin, mirror, filled = (
        warp.spread(values, size) for values in nodes
    )
    head = tf.clip_by_value(0.5 + margin / _EDGE, 0.0, 1.0)
    direct, other, behind = head * (1.0 - mirror), head * mirror, (1.0 - head) * (1.0 - filled)
    least = tf.minimum(direct, tf.minimum(other, behind))
    second_is_behind = behind > least
    first_is_direct = (direct > least) | ~second_is_behind
    return [
        tf.where(first_is_direct, direct_x, other_x),
        tf.where(first_is_direct, direct_y, other_y),
        tf.where(second_is_behind, behind_x, other_x),
        tf.where(second_is_behind, behind_y, other_y),
        tf.where(first_is_direct, direct, other),
        tf.where(second_is_behind, behind, other),
    ]


@_compiled
def _blended(
    first: list[tf.Tensor],
    second: list[tf.Tensor],
    weights: list[tf.Tensor],
    fill: list[tf.Tensor],
    size: int,
) -> tf.Tensor:
    left = 1.0 - weights[0] - weights[1]
    channels = [
        weights[0] * one + weights[1] * two + left * warp.spread(rest, size)
        for one, two, rest in zip(first, second, fill, strict=True)
    ]
    return warp.whole(channels, size)


def turn(images: tf.Tensor, points: tf.Tensor, yaw_degrees: tf.Tensor) -> tf.Tensor:
    """Turns faces to a yaw. Compiled for each S and each number of images it meets.

    Args:
        images: float32 [B, S, S, 3], RGB, 0..255, S known; rounded to quarters.
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
    shape = images.shape
    if shape.rank != 4 or shape[-1] != 3 or shape[1] is None or shape[1] != shape[2]:
        raise UrfrError(f"expected square images [B, S, S, 3] of a known S to turn, got shape {shape}")
    five = known_points(tf.convert_to_tensor(points, tf.float32), shape[1])
    wanted = tf.clip_by_value(tf.convert_to_tensor(yaw_degrees, tf.float32), -MAX_YAW, MAX_YAW)
    nodes = _at_the_nodes(images, five, wanted, *_tables())
    *places, first_weight, second_weight = _at_the_pixels(nodes[:9], size=shape[1])
    pixels = _packed(images)
    first, second = (_sampled(pixels, *places[k : k + 2], size=shape[1]) for k in (0, 2))
    return _blended(first, second, [first_weight, second_weight], nodes[9:], size=shape[1])


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
        UrfrError: not 0 <= low <= high <= MAX_YAW, or see `turn`.
    """
    if not 0 <= low <= high <= MAX_YAW:
        raise UrfrError(f"expected 0 <= low <= high <= {MAX_YAW:g} degrees of yaw, got {low} and {high}")
    drawn = tf.random.stateless_uniform([tf.shape(images)[0], 2], seed)
    size = low + (high - low) * drawn[:, 0]
    return turn(images, points, tf.where(drawn[:, 1] < 0.5, -size, size))
