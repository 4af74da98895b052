"""What cameras of several yaws and pitches see of the mean head: tables that a warp looks up.

A view has no roll and no perspective; its coordinates are the head's own (eye distances, origin between
the eyes), rotated. See urfr_tf/faces/shape.py for the frame and the signs of the angles.
"""

import functools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from urfr_tf.faces.shape import AXIS_Z, below_surface, rotation

VIEW_CENTRE = (0.0, 0.2)
VIEW_HALF = 2.2
"""The window of a view: `VIEW_CENTRE` +- `VIEW_HALF` in x and y of the camera, no roll."""

_DEEP = 1.9  # eye distances before and behind the axis that hold the whole head


class Views(NamedTuple):
    """What cameras of several yaws and pitches see of the head through the window, on a G x G grid.

    yaws float32 [Y] (from 0 up) and pitches float32 [P], degrees, evenly spaced.
    surface float32 [Y, P, G, G, 4]: the head's point met by the ray of each grid node, as azimuth, y and
        radius (see `shape.head_radius`), and how far the ray goes below the surface (negative: by how
        much it misses; the point is then the nearest of the ray). Row = camera y, column = camera x.
    outline float32 [Y, P, G, 2]: the head's least and greatest camera x in each row.
    Views of negative yaw are mirror images.
    """

    yaws: NDArray[np.float32]
    pitches: NDArray[np.float32]
    surface: NDArray[np.float32]
    outline: NDArray[np.float32]


def view(
    yaw: float, pitch: float, grid: int, depths: int = 24
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Casts a ray through every node of the window: surface [G, G, 4] and outline [G, 2] of `Views`.

    A ray looks for the head at `depths` places; where it first is inside, halving finds the surface.
    """
    turn = rotation(yaw, pitch)
    across = VIEW_CENTRE[0] + np.linspace(-VIEW_HALF, VIEW_HALF, grid)
    down = VIEW_CENTRE[1] + np.linspace(-VIEW_HALF, VIEW_HALF, grid)
    z = float((turn @ [0, 0, AXIS_Z])[2]) + np.linspace(-_DEEP, _DEEP, depths)
    u, v, t = np.meshgrid(across, down, z, indexing="xy")
    inside = below_surface(np.stack([u, v, t], -1) @ turn)  # rows times R are R^T times columns
    hit = (inside > 0).any(2)
    first = np.where(hit, (inside > 0).argmax(2), inside.argmax(2))
    u, v = u[..., 0], v[..., 0]
    near, far = z[np.maximum(first - 1, 0)], z[first]
    for _ in range(6):
        middle = (near + far) / 2
        beyond = below_surface(np.stack([u, v, middle], -1) @ turn) > 0
        near, far = np.where(beyond, near, middle), np.where(beyond, middle, far)
    points = np.stack([u, v, np.where(hit, far, z[first])], -1) @ turn
    margin = inside.max(2)
    outline = np.stack([_crossing(across, margin), -_crossing(-across[::-1], margin[:, ::-1])], 1)
    x, behind = points[..., 0], AXIS_Z - points[..., 2]
    surface = np.stack([np.arctan2(x, behind), points[..., 1], np.hypot(x, behind), margin], 2)
    return surface, outline


def _crossing(across: NDArray[np.float64], margin: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where margin [G, G] first rises above 0 in each row; where it is greatest if it never does."""
    first = np.where((margin > 0).any(1), (margin > 0).argmax(1), margin.argmax(1))
    before = np.maximum(first - 1, 0)
    rows = np.arange(len(margin))
    m1, m0 = margin[rows, first], margin[rows, before]
    back = np.where((m1 > 0) & (m0 < 0), m1 / np.maximum(m1 - m0, 1e-9), 0.0)
    crossing: NDArray[np.float64] = across[first] - back * (across[1] - across[0])
    return crossing


@functools.lru_cache(maxsize=2)
def views(grid: int = 72, yaw_step: float = 7.5, yaw_end: float = 75.0, pitch_step: float = 8.0) -> Views:
    """Views of yaw 0..yaw_end and pitch -16..16 degrees (a second or two, once a process)."""
    yaws = np.arange(0, yaw_end + 1e-6, yaw_step)
    pitches = np.arange(-16, 16 + 1e-6, pitch_step)
    seen = [[view(yaw, pitch, grid) for pitch in pitches] for yaw in yaws]
    surface = np.stack([np.stack([s for s, _ in row]) for row in seen]).astype(np.float32)
    outline = np.stack([np.stack([o for _, o in row]) for row in seen]).astype(np.float32)
    return Views(yaws.astype(np.float32), pitches.astype(np.float32), surface, outline)
