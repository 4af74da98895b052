"""The threshold of a gallery: how often somebody unknown may be taken for somebody in it.

A threshold belongs to a gallery as it is. The more people are in it, the higher the best score of a stranger.
So a threshold is chosen by searching photographs of people who are not in the gallery, and it remembers how
large the gallery was.
"""

import json
import time
from collections.abc import Sequence
from typing import TypedDict, cast

import numpy as np

from urfr_tf.errors import UrfrError
from urfr_tf.gallery.records import Facts, Size
from urfr_tf.metrics.arrays import Floats
from urfr_tf.metrics.bootstrap import fpir_intervals
from urfr_tf.metrics.rates import impostors_behind, threshold_at

GROWTH = 0.1
"""Share by which a gallery may grow before its threshold is warned of."""
LEAST_PEOPLE = 10
"""Unknown people; with fewer a calibration is refused, or marked thin."""


class Calibration(TypedDict):
    """A threshold and what it was chosen on: a face is the best candidate's where score >= threshold."""

    score: str
    fpir: float
    threshold: float
    threshold_low: float
    """Ends of the 95 % interval by resampling the unknown people."""
    threshold_high: float
    fpir_reached: float
    fpir_low: float
    fpir_high: float
    thin: bool
    """Fewer than 10 probes lie above the threshold, or fewer than 10 unknown people were there."""
    unknown_people: int
    unknown_faces: int
    unknown_refused: int
    """Photographs of theirs that could not be read, or without a face."""
    people: int
    """In the gallery at that time."""
    images: int
    state: int
    fingerprint: str
    align: str
    date: str


def choose_threshold(scores: Floats, people: Sequence[str], fpir: float, thin: bool) -> dict[str, object]:
    """Chooses the threshold of an FPIR.

    Args:
        scores: float [U], the highest score of each unknown face.
        people: whose it is.
        fpir: above 0 and up to 1.
        thin: choose one on too few people, too, and mark it.

    Returns:
        What `Calibration` says about it.

    Raises:
        UrfrError: too few faces or people for this FPIR.
    """
    count = len(set(people))
    behind = impostors_behind(len(scores), fpir, thin, "FPIR")
    if count < LEAST_PEOPLE and not thin:
        raise UrfrError(
            f"expected photographs of at least {LEAST_PEOPLE} people who are not in the gallery, but there "
            f"are {count} (--thin-far calibrates all the same, marked as thin)"
        )
    threshold = threshold_at(scores, behind)
    of_threshold, of_rate = fpir_intervals(scores, list(people), fpir)
    return {
        "fpir": fpir,
        "threshold": threshold,
        "threshold_low": of_threshold.low,
        "threshold_high": of_threshold.high,
        "fpir_reached": float(np.mean(scores >= threshold)),
        "fpir_low": of_rate.low,
        "fpir_high": of_rate.high,
        "thin": behind < 10 or count < LEAST_PEOPLE,
        "unknown_people": count,
        "unknown_faces": len(scores),
    }


def complete_calibration(
    chosen: dict[str, object], score: str, facts: Facts, size: Size, align: str, refused: int
) -> Calibration:
    """Binds a threshold to the model and to the gallery as it is."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    of_gallery = {"people": size.people, "images": size.images, "state": size.state}
    origin = {"fingerprint": facts["fingerprint"], "align": align, "date": now}
    return cast(Calibration, {"score": score, **chosen, "unknown_refused": refused, **of_gallery, **origin})


def read_calibration(content: str | None, score: str, facts: Facts, where: str) -> Calibration | None:
    """Parses what a store holds; None where it is nothing, or of another model.

    Raises:
        UrfrError: it is no calibration.
    """
    if content is None:
        return None
    try:
        found = json.loads(content)
        whole = isinstance(found, dict) and found["score"] == score
        numbers = ("threshold", "threshold_low", "threshold_high", "fpir", "people")
        whole = whole and all(np.isfinite(float(found[name])) for name in numbers)
        whole = whole and found.keys() >= Calibration.__annotations__.keys()
    except (ValueError, TypeError, KeyError):
        whole = False
    if not whole:
        raise UrfrError(
            f"the calibration in the gallery {where} is damaged: {content[:100]!r}; urfr gallery calibrate "
            "makes a new one"
        )
    return cast(Calibration, found) if found["fingerprint"] == facts["fingerprint"] else None


def list_warnings(calibration: Calibration | None, score: str, size: Size, align: str | None) -> list[str]:
    """What somebody who relies on the threshold should know.

    Args:
        calibration: of the gallery, or None.
        score: of the search.
        size: of the gallery now.
        align: how the searched photographs became crops; None where it is not known.
    """
    if calibration is None:
        return [
            f"no calibration exists for the score {score}: the candidates are ordered, but nobody can say "
            "whether the best is the person; urfr gallery calibrate finds a threshold"
        ]
    warnings = []
    before = calibration["people"]
    if size.people > before * (1 + GROWTH):
        warnings.append(
            f"the gallery has grown from {before} to {size.people} people since it was calibrated, so more "
            f"strangers than {calibration['fpir']:.2%} will be taken for somebody; calibrate again"
        )
    if calibration["thin"]:
        warnings.append(
            f"the threshold is thin: it was chosen on {calibration['unknown_faces']} faces of "
            f"{calibration['unknown_people']} unknown people"
        )
    if align is not None and align != calibration["align"]:
        warnings.append(f"the threshold was calibrated with --align {calibration['align']}, not {align}")
    return warnings
