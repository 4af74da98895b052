"""Error against reject of a protocol: by confidence, by the embedding's norm, and at random."""

from typing import Any

import numpy as np

from urfr_tf.evaluation.scoring import Faces
from urfr_tf.metrics.reject import SHARES, errors_left
from urfr_tf.metrics.roc import LEAST, threshold_at

FAR = 1e-2
_RANDOM = 100
_ROUNDING = 1e-5  # a fixed confidence differs by so much between batches


def qualities(faces: Faces) -> dict[str, np.ndarray]:
    """What images can be ordered by, float64 [N] each; 0 where nothing was found.

    `by_confidence`: the mean of 1 / variance over the groups. `by_norm`: the length of the embedding before it
    is normalised, as in MagFace (Meng et al., CVPR 2021), where the model gives it. One that is the same for all
    images, but for rounding, orders nothing and is left out.
    """
    found = faces.found
    confidence = (1.0 / faces.variance.astype(np.float64)).mean(axis=1)
    every = {"by_confidence": confidence, "by_norm": faces.norm.astype(np.float64)}
    kept = {name: np.where(found, values, 0) for name, values in every.items()}
    return {
        name: values
        for name, values in kept.items()
        if found.any()
        and np.isfinite(values).all()
        and np.ptp(values[found]) > _ROUNDING * np.abs(values).max()
    }


def of_templates(
    images: dict[str, np.ndarray], faces: Faces, image: np.ndarray, template: np.ndarray, count: int
) -> dict[str, np.ndarray]:
    """The mean quality of each template's images that were found, float64 [T]; 0 where none was.

    Args:
        images: as `qualities` gives them.
        faces: the images.
        image, template: int64 [R], which image belongs to which template.
        count: T.
    """
    rows = faces.found[image]
    here, number = template[rows], np.bincount(template[rows], minlength=count)
    sums = {name: np.bincount(here, values[image[rows]], count) for name, values in images.items()}
    return {name: total / np.maximum(number, 1) for name, total in sums.items()}


def missed_pairs(scores: np.ndarray, same: np.ndarray) -> np.ndarray | None:
    """Which genuine pairs the threshold of FAR 1e-2 misses, bool; None where impostors are too few for it."""
    impostor = scores[~same]
    behind = round(len(impostor) * FAR)
    return None if behind < LEAST else scores[same] < threshold_at(impostor, behind)


def reject_curves(
    wrong: np.ndarray, items: list[np.ndarray], quality: dict[str, np.ndarray], far: float | None
) -> dict[str, Any]:
    """Errors against the share of items that are left out, those of lowest quality first; nothing without one.

    Args:
        wrong: bool [N], as in `errors_left`.
        items: arrays int [N].
        quality: name -> float [I].
        far: of the threshold that the errors were counted at; None: the errors are those at rank 1.

    Returns:
        {"far", "rejected": [R], the qualities' names and "at_random" (the mean of 100 random orders of the
        items), "random_low" and "random_high" (95 % of the orders lie between): [R]}; None where no decision is left.
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


def mean_curves(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """The mean of the curves of several splits; empty unless all of them have the same ones."""
    if not parts or any(part.keys() != parts[0].keys() for part in parts) or not parts[0]:
        return {}
    fixed = {name: parts[0][name] for name in ("far", "rejected")}
    columns = {
        name: zip(*(part[name] for part in parts), strict=True) for name in parts[0] if name not in fixed
    }
    return fixed | {
        name: [None if None in values else float(np.mean(values)) for values in column]
        for name, column in columns.items()
    }
