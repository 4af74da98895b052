"""TAR at FARs: which FARs the impostors support, and the rates, intervals and thresholds at them."""

from collections.abc import Sequence
from typing import NamedTuple

from urfr_tf.errors import UrfrError
from urfr_tf.evaluation.request import EvaluationRequest
from urfr_tf.evaluation.results import Result, rate_name
from urfr_tf.metrics.arrays import Ints
from urfr_tf.metrics.bootstrap import tar_intervals
from urfr_tf.metrics.calibration import HalvedPairs
from urfr_tf.metrics.rates import impostors_behind
from urfr_tf.metrics.scored_pairs import ScoredPairs

FARS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
"""The FARs that are reported where none is requested, as far as there are impostors for them."""
_BOOTSTRAP_WORK = 200_000_000  # pairs x replicates: some seconds
_LEAST_REPLICATES = 100


class FarPlan(NamedTuple):
    """The FARs to report, and the sentences about those that are refused, by the name of their figure."""

    fars: tuple[float, ...]
    refused: dict[str, str]


def plan_fars(request: EvaluationRequest, impostors: int, usual: Sequence[float] = FARS) -> FarPlan:
    """Decides which FARs so many impostors support: the requested ones, or else those of the usual ones.

    Raises:
        UrfrError: a requested FAR has too few impostors behind it.
    """
    for far in request.fars:
        impostors_behind(impostors, far, request.thin_far)
    if request.fars:
        return FarPlan(request.fars, {})
    supported, refused = [], {}
    for far in usual:
        try:
            impostors_behind(impostors, far, request.thin_far)
            supported.append(far)
        except UrfrError as error:
            refused[rate_name("tar@far", far)] = str(error)
    return FarPlan(tuple(supported), refused)


def count_replicates(request: EvaluationRequest, pairs: int) -> int:
    """Resamples of the bootstrap that this many pairs allow in some seconds; 0 where they are too few."""
    replicates = min(request.replicates, _BOOTSTRAP_WORK // pairs)
    return replicates if replicates >= _LEAST_REPLICATES else 0


def put_rates(result: Result, pairs: ScoredPairs, plan: FarPlan, thin_far: bool) -> None:
    """Puts TAR at each FAR of the plan into the result, and the sentences about those that are refused."""
    result.refused.update(plan.refused)
    for far in plan.fars:
        result.put_rate(rate_name("tar@far", far), pairs.tar_at_far(far, thin_far))


def put_intervals(
    result: Result,
    pairs: ScoredPairs,
    people: tuple[Ints, Ints],
    plan: FarPlan,
    request: EvaluationRequest,
) -> None:
    """Puts the bootstrap interval of each TAR into the result, where the pairs are few enough for it.

    Args:
        result: takes the intervals.
        pairs: the scored pairs [P].
        people: int [P] each, those of the first and of the second images.
        plan: the FARs.
        request: how many replicates, and whether thin FARs are given.

    Raises:
        UrfrError: no resample of the people has genuine and impostor pairs.
    """
    replicates = count_replicates(request, len(pairs.scores)) if plan.fars else 0
    if replicates:
        intervals = tar_intervals(pairs, *people, plan.fars, replicates=replicates, thin=request.thin_far)
        for far, interval in zip(plan.fars, intervals, strict=True):
            result.intervals[rate_name("tar@far", far)] = [interval.low, interval.high]


def put_thresholds(result: Result, pairs: HalvedPairs, plan: FarPlan) -> None:
    """Puts the threshold of each FAR into the result, or the sentence why it cannot be calibrated."""
    for far in plan.fars:
        try:
            result.put_calibration(pairs.calibrate(far))
        except UrfrError as error:
            result.refused[rate_name("threshold@far", far)] = str(error)
