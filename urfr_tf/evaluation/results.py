"""The figures of an evaluation, and the names they go by."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

import numpy as np

from urfr_tf.evaluation.reject_curves import average_curves
from urfr_tf.metrics.arrays import Array
from urfr_tf.metrics.calibration import Calibration
from urfr_tf.metrics.rates import Rate


class OperatingPoint(TypedDict):
    """A threshold and what it reaches on held-out identities, see `Calibration`."""

    far: float
    threshold: float
    far_reached: float | None
    tar_reached: float | None
    chosen_on: int
    held_out: int


class ListedPoint(OperatingPoint):
    """The operating point of one of several lists of pairs."""

    list: str


@dataclass
class Result:
    """Figures of one protocol.

    Attributes:
        metrics: fractions by name.
        counts: how many images, pairs, templates ... they rest on, and facts of the protocol.
        thin: names in `metrics` with fewer than 10 impostors behind them.
        refused: names that are not in `metrics` for that reason, with the sentence.
        intervals: 95 % bootstrap interval over identities, by name.
        calibration: thresholds and what they reach on held-out identities, one for each FAR.
        reject: error against the share of rejected images, by confidence and at random: a curve as
            `reject_curves` gives it, or several by name.
        arrays: what scores.npz holds.
        refused_files: files in people's folders that are no images, and why.
    """

    metrics: dict[str, float] = field(default_factory=dict)
    counts: dict[str, Any] = field(default_factory=dict)
    thin: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    intervals: dict[str, list[float]] = field(default_factory=dict)
    calibration: list[OperatingPoint] = field(default_factory=list)
    reject: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, Array] = field(default_factory=dict)
    refused_files: dict[str, str] = field(default_factory=dict)

    def put_rate(self, name: str, rate: Rate) -> None:
        """Notes a rate, and whether it is thin."""
        self.metrics[name] = float(rate)
        if rate.thin:
            self.thin.append(name)

    def put_calibration(self, point: Calibration) -> None:
        """Notes a threshold and what it reaches."""
        self.calibration.append(
            OperatingPoint(
                far=point.far,
                threshold=point.threshold,
                far_reached=point.far_reached,
                tar_reached=point.tar_reached,
                chosen_on=point.chosen_on,
                held_out=point.held_out,
            )
        )

    def put_degraded(self, degradation: str, degraded: "Result") -> None:
        """Notes the metrics of degraded probes as `name@degradation`, next to those of the clean ones.

        What was refused without the degradation is not noted again.
        """
        self.metrics.update({f"{name}@{degradation}": value for name, value in degraded.metrics.items()})
        self.thin.extend(f"{name}@{degradation}" for name in degraded.thin)
        new = {name: why for name, why in degraded.refused.items() if name not in self.refused}
        self.refused.update({f"{name}@{degradation}": why for name, why in new.items()})


def join_lists(by_list: Mapping[str, Result]) -> Result:
    """Makes one result of those of several lists: names get the list's name and a slash in front.

    scores.npz holds the last list's scores under the plain names too, for pictures.
    """
    whole = Result()
    for name, result in by_list.items():
        whole.metrics.update({f"{name}/{metric}": value for metric, value in result.metrics.items()})
        whole.counts[name] = result.counts
        whole.thin.extend(f"{name}/{metric}" for metric in result.thin)
        whole.refused.update({f"{name}/{metric}": why for metric, why in result.refused.items()})
        whole.intervals.update({f"{name}/{metric}": ends for metric, ends in result.intervals.items()})
        whole.calibration.extend(ListedPoint(**point, list=name) for point in result.calibration)
        if result.reject:
            whole.reject[name] = result.reject
        whole.arrays.update({f"{name}_{array}": values for array, values in result.arrays.items()})
        whole.arrays.update(result.arrays)
    return whole


def average_splits(splits: Sequence[Result], result: Result) -> None:
    """Puts the means over the splits of a protocol into `result`; with several, their standard error too."""
    first = splits[0]
    values = defaultdict(list)
    for split in splits:
        for name, value in split.metrics.items():
            values[name].append(value)
        result.refused.update(split.refused)
        result.thin.extend(name for name in split.thin if name not in result.thin)
    for name, numbers in values.items():
        if len(numbers) < len(splits):
            result.refused[name] = f"{name} could be measured in {len(numbers)} of {len(splits)} splits only"
            continue
        result.metrics[name] = float(np.mean(numbers))
        if len(splits) > 1:
            result.metrics[f"{name}_stderr"] = float(np.std(numbers, ddof=1) / np.sqrt(len(splits)))
    for name in first.counts:
        result.counts[name] = sum(split.counts[name] for split in splits)
    result.intervals.update(first.intervals)
    _average_curves_and_arrays(splits, result)
    if len(splits) == 1:  # the people of one split are among those that another holds out
        result.calibration = first.calibration


def _average_curves_and_arrays(splits: Sequence[Result], result: Result) -> None:
    first = splits[0]
    for name in first.reject:
        if curve := average_curves([split.reject.get(name, {}) for split in splits]):
            result.reject[name] = curve
    for name in first.arrays:
        if not name.endswith("cmc"):
            result.arrays[name] = np.concatenate([split.arrays[name] for split in splits])
        elif len({len(split.arrays[name]) for split in splits}) == 1:
            result.arrays[name] = np.mean([split.arrays[name] for split in splits], axis=0)


def rate_name(kind: str, rate: float) -> str:
    """Names a rate: `tar@far=1e-3` for ("tar@far", 0.001)."""
    mantissa, exponent = f"{rate:.10e}".split("e")
    return f"{kind}={mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
