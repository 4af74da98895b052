"""Whether five points from a file can be those of a face, and if not, what is likely to be wrong with them.

Any five points give a crop: points in another order give a mirrored or twisted one, fractions a black one,
and nothing after it can tell. The limits were measured on detected and published points of frontal and
profile faces (docs/lab/landmark_checks.md).
"""

import itertools
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from urfr_tf.faces.align import Points
from urfr_tf.faces.template import POINT_NAMES, five_points

MOST_MISFIT = 0.45
"""Misfit (0..1, see `measure_misfit`) above which five points are no face, in a profile either."""
_TELLING_MISFIT, _BETTER = 0.1, 1 / 3
"""A misfit from which on another reading of the points counts, and how much smaller its own has to be."""
_TURNED = 75.0
"""Degrees in the image plane from which on a face is listed as turned."""
_MOST_OUTSIDE = 1.0
"""How far outside of the image a point may be, as a multiple of the points' spread."""
_NARROWEST = 0.1
"""Width over length of the points' spread below which they lie on one line."""
_LEAST_SPREAD = 1.0
"""Pixels; the points of a face of 5 pixels are spread more widely."""
_FRACTION = 2.0
_TURN_COST, _ORDER_COST = 0.3, 0.1
"""Of readings that fit alike, the usual one counts that leaves the face upright (cost of a half turn)."""

_MIRRORED = (1, 0, 2, 4, 3)
_ORDERS = [order for order in itertools.permutations(range(5)) if order != tuple(range(5))]

FRACTIONS, OUTSIDE, TURNED = "points as fractions", "points outside of the image", "face turned"
MIRRORED, ORDER, NO_FACE = "points mirrored", "points in another order", "points of no face"
AXES, COLUMNS = "points as y,x", "points as x..x,y..y"
_ADVICE = {
    FRACTIONS: "the points look like fractions of the image: multiply x by its width and y by its height",
    OUTSIDE: "the points lie outside of the photograph: are they pixels of another size of it?",
    MIRRORED: "left and right seem to be the person's own: the point on the left of the image comes first",
    AXES: "the coordinates seem to come as y,x: x comes first",
    COLUMNS: "the coordinates seem to come as x0,x1,...,y0,y1,...: expected x0,y0,x1,y1,...",
    ORDER: f"the points seem to come in another order: expected {', '.join(POINT_NAMES)}",
    NO_FACE: f"the points do not look like a face: expected {', '.join(POINT_NAMES)} in pixels",
}


class _Reading(NamedTuple):
    """One way to read ten numbers: its kind, its misfit, the turn of the face, and what to say about it."""

    kind: str
    misfit: float
    turn: float
    words: str

    @property
    def cost(self) -> float:
        return self.misfit + _TURN_COST * abs(self.turn) / 180 + _ORDER_COST * (self.kind == ORDER)


def measure_misfit(points: Points) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Measures how badly points fit the template after the best shift, rotation and scale.

    With points and template as complex numbers p and q relative to their means, the misfit is
    1 - |sum conj(p) q|^2 / (sum |p|^2 sum |q|^2): the squared Procrustes distance, which no size changes.

    Args:
        points: [..., 5, 2] in pixels, in the order of `template.POINT_NAMES`, not all on one spot.

    Returns:
        The misfit float64 [...], 0 (exact) to 1, and the rotation to the template in degrees, -180 to 180.
    """
    p, q = (_center(np.asarray(array, np.float64)) for array in (points, five_points()))
    product = np.sum(np.conj(p) * q, axis=-1)
    power = np.sum(np.abs(p) ** 2, axis=-1) * np.sum(np.abs(q) ** 2)
    return 1 - np.abs(product) ** 2 / power, np.degrees(np.angle(product))


def find_fault(points: Points, height: int, width: int) -> str:
    """Checks five points of a photograph against the template.

    Args:
        points: [5, 2] in pixels, in the order of `template.POINT_NAMES`.
        height: of the photograph in pixels.
        width: of the photograph in pixels.

    Returns:
        Why these are no points of a face, a text that begins with its kind and a colon; empty where they may
        be. Points on one spot give "": `align.fit_similarity` refuses them.
    """
    p = np.asarray(points, np.float64)
    if not np.isfinite(p).all():
        return f"{NO_FACE}: they are not finite"
    spread = float(np.sqrt(np.mean(np.sum((p - p.mean(axis=0)) ** 2, axis=1))))
    if spread < 1e-3:
        return ""
    if spread < _LEAST_SPREAD:
        kind = FRACTIONS if np.abs(p).max() <= _FRACTION else NO_FACE
        return f"{kind}: x {_range(p[:, 0])}, y {_range(p[:, 1])} in {width} x {height} pixels"
    if reading := _find_wrong_reading(p):
        return f"{reading.kind}: {reading.words}"
    limits = np.array([width - 1, height - 1])
    beyond = float(np.maximum(-p, p - limits).max()) / spread
    center = p.mean(axis=0)
    if beyond > _MOST_OUTSIDE or (center < 0).any() or (center > limits).any():
        return f"{OUTSIDE}: x {_range(p[:, 0])}, y {_range(p[:, 1])} in {width} x {height} pixels"
    return ""


def describe_turn(points: Points) -> str:
    """Describes a face that lies on its side or upside down; empty for others.

    Some wrong orders of the points look like it, and so do photographs that were not turned upright.

    Args:
        points: [5, 2] in pixels, not all on one spot.
    """
    turn = abs(float(measure_misfit(points)[1]))
    return f"{TURNED}: by {turn:.0f} degrees in the image, if its points are right" if turn > _TURNED else ""


def explain_refusals(refused: Mapping[str, int], images: int) -> str:
    """Names the likely cause where most of a list of points is refused for one reason.

    Args:
        refused: kind of a reason -> images refused for it.
        images: how many images there are, those refused included.

    Returns:
        A sentence with the cause and what to do, or "" where no kind of fault is on more than half of them.
    """
    for kind, advice in _ADVICE.items():
        if (count := refused.get(kind, 0)) > images / 2:
            return f"{count} of {images} images have five points that cannot be right; {advice}"
    return ""


def _find_wrong_reading(points: NDArray[np.float64]) -> _Reading | None:
    """What the ten numbers are if not the points of a face in order; None where they may be just that."""
    length, breadth = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
    misfit = float(measure_misfit(points)[0])
    if breadth < _NARROWEST * length:
        return _Reading(NO_FACE, misfit, 0.0, "they lie on one line")
    if misfit < _TELLING_MISFIT:
        return None
    best = min(_list_readings(points), key=lambda reading: reading.cost)
    if best.misfit < _BETTER * misfit:
        return best
    if misfit > MOST_MISFIT:
        return _Reading(NO_FACE, misfit, 0.0, f"their misfit to a face is {misfit:.2f} of 1")
    return None


def _list_readings(points: NDArray[np.float64]) -> list[_Reading]:
    misfits, turns = measure_misfit(points[np.array(_ORDERS)])
    readings = []
    for order, misfit, turn in zip(_ORDERS, misfits, turns, strict=True):
        # Where the order reads the points from, so that the k-th name is at the place that has it.
        names = ", ".join(POINT_NAMES[order.index(k)] for k in range(5))
        kind, words = (MIRRORED, "left and right are exchanged") if order == _MIRRORED else (ORDER, names)
        readings.append(_Reading(kind, float(misfit), float(turn), words))
    columns = points.reshape(2, 5)
    for kind, words, read in (
        (AXES, "y comes before x", points[:, ::-1]),
        (COLUMNS, "all x come before all y", columns.T),
        (COLUMNS, "all y come before all x", columns[::-1].T),
    ):
        if np.ptp(read, axis=0).max() > 0:
            misfit, turn = measure_misfit(read)
            readings.append(_Reading(kind, float(misfit), float(turn), words))
    return readings


def _center(points: NDArray[np.float64]) -> NDArray[np.complex128]:
    centered = points - points.mean(axis=-2, keepdims=True)
    complex_points: NDArray[np.complex128] = centered[..., 0] + 1j * centered[..., 1]
    return complex_points


def _range(values: NDArray[np.float64]) -> str:
    return f"{values.min():.4g} to {values.max():.4g}"
