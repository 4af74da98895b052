"""Intervals for TAR at FAR and for FPIR by resampling identities: one person's images are not independent."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from urfr_tf.errors import UrfrError
from urfr_tf.metrics.checks import check_floats, check_identities
from urfr_tf.metrics.rates import impostors_behind, threshold_at
from urfr_tf.metrics.scored_pairs import ScoredPairs


class Interval(NamedTuple):
    """Lower and upper end of a percentile interval, and the resamples that it rests on."""

    low: float
    high: float
    replicates: int


def tar_intervals(
    pairs: ScoredPairs,
    identity_a: ArrayLike,
    identity_b: ArrayLike,
    fars: Sequence[float],
    *,
    replicates: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    thin: bool = False,
) -> list[Interval]:
    """Percentile bootstrap over identities (the subsets bootstrap of Bolle et al., 2004), for each FAR.

    Each replicate draws as many identities as there are, with replacement. With n_i the draws of identity
    i, a genuine pair of i counts n_i times and an impostor pair of i and j counts n_i n_j times; threshold
    and TAR are those of the weighted pairs. Replicates left without pairs of a kind are dropped. All FARs
    are measured on the same replicates.

    Args:
        pairs: the scored pairs.
        identity_a: identity of each pair's first image [N], int or str.
        identity_b: identity of each pair's second image [N].
        fars: each above 0 and up to 1.
        replicates: resamples.
        level: coverage, 0..1.
        seed: of the resampling.
        thin: as in `tar_at_far`.

    Raises:
        UrfrError: as `tar_at_far`; another number of identities, or no replicate with both kinds of pair.
    """
    pairs.require_both_kinds()
    scores, same = pairs.scores, pairs.same
    labels_a = check_identities(identity_a, len(scores), "the first images")
    labels_b = check_identities(identity_b, len(scores), "the second images")
    names, codes = np.unique(np.concatenate([labels_a, labels_b]), return_inverse=True)
    a, b = codes[: len(scores)], codes[len(scores) :]
    for far in fars:
        impostors_behind(len(pairs.impostors), far, thin)
    order = np.argsort(-scores, kind="stable")
    false = order[~same[order]]
    true = order[same[order]]
    false_scores = scores[false]
    # Genuine pairs above each impostor's score: those ranked before it, ties included.
    accepted = np.searchsorted(-scores[true], -false_scores, side="right")
    rng = np.random.default_rng(seed)
    values: list[list[float]] = [[] for _ in fars]
    for _ in range(replicates):
        draws = np.bincount(rng.integers(0, len(names), len(names)), minlength=len(names))
        weight = np.cumsum(draws[a[false]] * draws[b[false]])
        genuine = np.concatenate([[0], np.cumsum(draws[a[true]])])
        if not weight[-1] or not genuine[-1]:
            continue
        for rates, far in zip(values, fars, strict=True):
            behind = round(weight[-1] * far)
            place = int(np.searchsorted(weight, max(behind, 1)))
            passed = accepted[place] if behind else np.searchsorted(-scores[true], -false_scores[place])
            rates.append(genuine[passed] / genuine[-1])
    if fars and not values[0]:
        raise UrfrError(f"no resample of {len(names)} identities has genuine and impostor pairs")
    ends = [np.quantile(rates, [(1 - level) / 2, (1 + level) / 2]) for rates in values]
    return [Interval(float(low), float(high), len(values[0])) for low, high in ends]


def fpir_intervals(
    scores: ArrayLike,
    identity: ArrayLike,
    fpir: float,
    *,
    replicates: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[Interval, Interval]:
    """Percentile bootstrap over unknown people: of the threshold of an FPIR, and of the FPIR reached.

    Each replicate draws as many people as there are, with replacement; all probes of a person count as often
    as the person is drawn. The threshold of a replicate is that of its weighted probes. The FPIR reached is
    that of the threshold chosen on all probes.

    Args:
        scores: float [U], the highest score of each probe of somebody who is not in the gallery.
        identity: whose probe each is [U], int or str.
        fpir: above 0 and up to 1.
        replicates: resamples.
        level: coverage, 0..1.
        seed: of the resampling.

    Returns:
        The interval of the threshold, and that of the FPIR.

    Raises:
        UrfrError: another number of identities, or no probe.
    """
    values = check_floats(scores, "the scores of unknown people", np.float64, 1)
    labels = check_identities(identity, len(values), "the unknown people")
    chosen = threshold_at(values, impostors_behind(len(values), fpir, thin=True, kind="FPIR"))
    people = np.unique(labels, return_inverse=True)[1]
    order = np.argsort(-values, kind="stable")
    ordered, owner = values[order], people[order]
    count = int(people.max()) + 1
    rng = np.random.default_rng(seed)
    thresholds, rates = np.empty(replicates), np.empty(replicates)
    for replicate in range(replicates):
        draws = np.bincount(rng.integers(0, count, count), minlength=count)
        weight = np.cumsum(draws[owner])
        behind = round(weight[-1] * fpir)
        place = int(np.searchsorted(weight, max(behind, 1)))
        thresholds[replicate] = ordered[place] if behind else np.nextafter(ordered[place], np.inf)
        passed = int(np.searchsorted(-ordered, -chosen, side="right"))
        rates[replicate] = weight[passed - 1] / weight[-1] if passed else 0.0
    low, high = (1 - level) / 2, (1 + level) / 2
    ends = [np.quantile(each, [low, high]).tolist() for each in (thresholds, rates)]
    return Interval(ends[0][0], ends[0][1], replicates), Interval(ends[1][0], ends[1][1], replicates)
