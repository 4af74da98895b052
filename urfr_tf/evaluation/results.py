"""The figures of an evaluation, and the names they go by."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from urfr_tf.errors import UrfrError
from urfr_tf.evaluation.request import EvaluationRequest
from urfr_tf.metrics.roc import Rate, impostors_behind

FARS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
"""The FARs that are reported where none is asked for, as far as there are impostors for them."""


@dataclass
class Result:
    """Figures of one protocol.

    Attributes:
        metrics: fractions by name.
        counts: how many images, pairs, templates ... they rest on.
        thin: names in `metrics` with fewer than 10 impostors behind them.
        refused: names that are not in `metrics` for that reason, with the sentence.
        intervals: 95 % bootstrap interval over identities, by name.
        calibration: thresholds and what they reach on held-out identities, one for each FAR.
        reject: error against the share of rejected images, by confidence and at random; see `reject_curves`.
        arrays: what scores.npz holds.
    """

    metrics: dict[str, float] = field(default_factory=dict)
    counts: dict[str, Any] = field(default_factory=dict)
    thin: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    intervals: dict[str, list[float]] = field(default_factory=dict)
    calibration: list[dict[str, Any]] = field(default_factory=list)
    reject: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)

    def put_rate(self, name: str, rate: Rate) -> None:
        """Notes a rate, and whether it is thin."""
        self.metrics[name] = float(rate)
        if rate.thin:
            self.thin.append(name)


def joined(parts: dict[str, Result]) -> Result:
    """The results of several lists as one: names get the list's name and a slash in front.

    scores.npz holds the last list's scores under the plain names too, for pictures.
    """
    whole = Result()
    for part, result in parts.items():
        whole.metrics.update({f"{part}/{name}": value for name, value in result.metrics.items()})
        whole.counts[part] = result.counts
        whole.thin.extend(f"{part}/{name}" for name in result.thin)
        whole.refused.update({f"{part}/{name}": why for name, why in result.refused.items()})
        whole.intervals.update({f"{part}/{name}": ends for name, ends in result.intervals.items()})
        whole.calibration.extend({**point, "list": part} for point in result.calibration)
        if result.reject:
            whole.reject[part] = result.reject
        whole.arrays.update({f"{part}_{name}": array for name, array in result.arrays.items()})
        whole.arrays.update(result.arrays)
    return whole


def rate_name(kind: str, rate: float) -> str:
    """`tar@far=1e-3` for ("tar@far", 0.001)."""
    mantissa, exponent = f"{rate:.10e}".split("e")
    return f"{kind}={mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"


def supported_fars(request: EvaluationRequest, impostors: int, result: Result) -> list[float]:
    """The FARs to report; those of `FARS` that are too thin are noted as refused.

    Raises:
        UrfrError: a FAR that was asked for has too few impostors behind it.
    """
    if request.fars:
        for far in request.fars:
            impostors_behind(impostors, far, request.thin_far)
        return list(request.fars)
    kept = []
    for far in FARS:
        try:
            impostors_behind(impostors, far, request.thin_far)
            kept.append(far)
        except UrfrError as error:
            result.refused[rate_name("tar@far", far)] = str(error)
    return kept
