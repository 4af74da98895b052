"""Error against reject of a protocol: by confidence, by the embedding's norm, and at random."""

from collections.abc import Sequence

import numpy as np

from urfr_tf.evaluation.scoring import Faces
from urfr_tf.metrics.arrays import Bools, Float64s, Ints
from urfr_tf.metrics.rates import LEAST, threshold_at
from urfr_tf.metrics.reject import SHARES, errors_left
from urfr_tf.metrics.scored_pairs import ScoredPairs

Curve = dict[str, list[float | None] | float | None]
"""The lines of a picture by name, and `far`; see `reject_curves`."""
FAR = 1e-2
_RANDOM = 100
_ROUNDING = 1e-5  # a fixed confidence differs by so much between batches


def image_qualities(faces: Faces) -> dict[str, Float64s]:
    """What images can be ordered by, float64 [N] each; 0 where nothing was found.

    `by_confidence`: the mean of 1 / variance over the groups. `by_norm`: the length of the embedding before
    it is normalized, as in MagFace (Meng et al., CVPR 2021), where the model gives it. A quality that is the
    same for all images, but for rounding, orders nothing and is left out.
    """
    found = faces.found
    confidence = (1.0 / faces.variance.astype(np.float64)).mean(axis=1)
    every = {"by_confidence": confidence, "by_norm": faces.norm.astype(np.float64)}
    masked = {name: np.where(found, values, 0) for name, values in every.items()}
    return {
        name: values
        for name, values in masked.items()
        if found.any()
        and np.isfinite(values).all()
        and np.ptp(values[found]) > _ROUNDING * np.abs(values).max()
    }


def template_qualities(
    images: dict[str, Float64s], faces: Faces, image: Ints, template: Ints, count: int
) -> dict[str, Float64s]:
    """The mean quality of each template's images that were found, float64 [T]; 0 where none was.

    Args:
        images: as `image_qualities` gives them.
        faces: the images.
        image, template: int64 [R], which image belongs to which template.
        count: T.
    """
    rows = faces.found[image]
    templates, number = template[rows], np.bincount(template[rows], minlength=count)
    sums = {name: np.bincount(templates, values[image[rows]], count) for name, values in images.items()}
    return {name: total / np.maximum(number, 1) for name, total in sums.items()}


def missed_pairs(pairs: ScoredPairs) -> Bools | None:
    """Which genuine pairs the threshold of FAR 1e-2 misses, bool; None where impostors are too few for it."""
    behind = round(len(pairs.impostors) * FAR)
    return None if behind < LEAST else pairs.missed_at(threshold_at(pairs.impostors, behind))


def reject_curves(wrong: Bools, items: list[Ints], quality: dict[str, Float64s], far: float | None) -> Curve:
    """Errors against the share of items that are left out, those of lowest quality first.

    Args:
        wrong: bool [N], as in `errors_left`.
        items: arrays int [N].
        quality: name -> float [I].
        far: of the threshold that the errors were counted at; None: the errors are those at rank 1.

    Returns:
        {"far", "rejected": [R], the qualities' names and "at_random" (the mean of 100 random orders of the
        items), "random_low" and "random_high" (95 % of the orders lie between): [R]}; None where no decision
        is left. Empty without a quality or without a decision.
    """
    if not quality or not len(wrong):
        return {}
    count = len(next(iter(quality.values())))
    random = np.random.default_rng(0)
    blind = np.array([errors_left(wrong, items, random.random(count)).fnmr for _ in range(_RANDOM)])
    lines = {name: errors_left(wrong, items, values).fnmr for name, values in quality.items()}
    lines["at_random"] = blind.mean(axis=0)
    lines["random_low"], lines["random_high"] = np.quantile(blind, [0.025, 0.975], axis=0)
    return {
        "far": far,
        "rejected": list(SHARES),
        **{name: [float(x) if np.isfinite(x) else None for x in rates] for name, rates in lines.items()},
    }


def average_curves(curves: Sequence[Curve]) -> Curve:
    """The mean of the curves of several splits; empty unless all of them have the same ones."""
    if not curves or any(curve.keys() != curves[0].keys() for curve in curves) or not curves[0]:
        return {}
    mean = {name: curves[0][name] for name in ("far", "rejected")}
    for name in curves[0]:
        if name not in mean:
            lines = [line for curve in curves if isinstance(line := curve[name], list)]
            mean[name] = [_mean(values) for values in zip(*lines, strict=True)]
    return mean


def _mean(values: Sequence[float | None]) -> float | None:
    numbers = [value for value in values if value is not None]
    return float(np.mean(numbers)) if len(numbers) == len(values) else None
