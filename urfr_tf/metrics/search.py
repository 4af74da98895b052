"""Closed-set and open-set identification from the scores of probes against a gallery.

`search` reduces the scores of some probes to four numbers a probe, so that probes can be taken block by
block and [P, G] need not be there at once.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from urfr_tf.errors import UrfrError
from urfr_tf.metrics.checks import identities
from urfr_tf.metrics.roc import Rate, impostors_behind, threshold_at


class Search(NamedTuple):
    """What the search for P probes in a gallery of `size` entries came to.

    rank: int64 [P], of the best mate, 1 is first; 0 where the gallery holds no mate. It is 1 + the entries
        of other identities that score at least as high: ties count against the probe.
    mate: float64 [P], score of the best mate, -inf where there is none.
    best: float64 [P], the highest score of all entries.
    precision: float64 [P], average precision of the ranked gallery, NaN where there is no mate.
    """

    rank: np.ndarray
    mate: np.ndarray
    best: np.ndarray
    precision: np.ndarray
    size: int


def search(scores: Any, probe: Any, gallery: Any, precision: bool = False) -> Search:
    """Looks for each probe's mates; a score of -inf (no embedding) is never a match and comes last.

    Args:
        scores: float [P, G], larger is more alike.
        probe: identities [P], int or str.
        gallery: identities [G]; an identity may have several entries.
        precision: compute the average precision too, which sorts every row; otherwise it is NaN.

    Raises:
        UrfrError: shapes that do not fit, NaN, a gallery of one identity.
    """
    scores = np.asarray(scores)
    if scores.ndim != 2 or 0 in scores.shape:
        raise UrfrError(f"expected scores of probes against a gallery [P, G], but got {list(scores.shape)}")
    if np.isnan(scores).any():
        row = int(np.argwhere(np.isnan(scores))[0][0])
        raise UrfrError(f"expected numbers as scores, but those of probe {row} have NaN")
    probe = identities(probe, len(scores), "the probes")
    gallery = identities(gallery, scores.shape[1], "the gallery")
    if len(np.unique(gallery)) < 2:
        raise UrfrError("expected a gallery of at least two identities, but got one: every rank would be 1")
    mates = probe[:, np.newaxis] == gallery
    mated = mates.any(axis=1)
    best_mate = np.max(scores, axis=1, where=mates, initial=-np.inf)
    ahead = np.count_nonzero(~mates & (scores >= best_mate[:, np.newaxis]), axis=1)
    average = np.full(len(scores), np.nan)
    for row in np.flatnonzero(mated) if precision else ():
        # Entries of other identities come before mates of the same score.
        places = np.flatnonzero(mates[row][np.lexsort((mates[row], -scores[row]))]) + 1
        average[row] = np.mean(np.arange(1, len(places) + 1) / places)
    return Search(
        np.where(mated, 1 + ahead, 0),
        best_mate.astype(np.float64),
        scores.max(axis=1).astype(np.float64),
        average,
        scores.shape[1],
    )


def join(parts: Sequence[Search]) -> Search:
    """The searches of blocks of probes in one gallery as one."""
    return Search(
        np.concatenate([part.rank for part in parts]),
        np.concatenate([part.mate for part in parts]),
        np.concatenate([part.best for part in parts]),
        np.concatenate([part.precision for part in parts]),
        parts[0].size,
    )


def match_curve(found: Search) -> np.ndarray:
    """CMC, float64 [G]: element r - 1 is the share of mated probes of rank r or better.

    Raises:
        UrfrError: no probe has a mate.
    """
    ranks = found.rank[found.rank > 0]
    if not len(ranks):
        raise UrfrError("expected probes whose identity is in the gallery, but none is")
    return np.cumsum(np.bincount(ranks, minlength=found.size + 1)[1 : found.size + 1]) / len(ranks)


def open_set(found: Search, fpir: float, thin: bool = False, rank: int = 1) -> Rate:
    """TPIR at an FPIR; see `tpir_at_fpir`."""
    mated = found.rank > 0
    if mated.all() or not mated.any():
        kind = "with" if not mated.any() else "without"
        raise UrfrError(f"expected probes with and without a mate in the gallery, but there is none {kind}")
    false = found.best[~mated]
    behind = impostors_behind(len(false), fpir, thin, "FPIR")
    threshold = threshold_at(false, behind)
    hits = (found.mate[mated] >= threshold) & (found.rank[mated] <= rank)
    return Rate.of(float(np.mean(hits)), threshold, float(np.mean(false >= threshold)), behind)


def cmc(scores: Any, probe: Any, gallery: Any) -> np.ndarray:
    """Cumulative match characteristic: closed-set identification.

    Args:
        scores: float [P, G], larger is more alike.
        probe: identities [P] (int or str); probes without a mate in the gallery are left out.
        gallery: identities [G].

    Returns:
        float64 [G]: element r - 1 is the share of probes whose best mate has rank r or better; ties count
        against the probe.

    Raises:
        UrfrError: shapes that do not fit, NaN, a gallery of one identity, no probe with a mate.
    """
    return match_curve(search(scores, probe, gallery))


def mean_average_precision(scores: Any, probe: Any, gallery: Any) -> float:
    """Mean over the probes with a mate of the average precision of their ranked gallery (TinyFace).

    Raises:
        UrfrError: as `cmc`.
    """
    found = search(scores, probe, gallery, precision=True)
    match_curve(found)
    return float(np.nanmean(found.precision))


def tpir_at_fpir(
    scores: Any, probe: Any, gallery: Any, fpir: float, thin: bool = False, rank: int = 1
) -> Rate:
    """Open-set identification: share of mated probes found at the threshold of an FPIR.

    The threshold is the round(U x fpir)-th largest of the U best scores of probes without a mate. A probe
    with a mate is found where its best mate scores at least the threshold and has `rank` or better.

    Args:
        scores: float [P, G], larger is more alike.
        probe: identities [P]; those not in the gallery are the probes without a mate.
        gallery: identities [G].
        fpir: above 0 and up to 1.
        thin: give an FPIR with fewer than 10 probes behind it too, marked as thin.
        rank: the worst rank that counts as found.

    Returns:
        `Rate`: a float in 0..1 with `threshold`, `reached`, `behind` and `thin`.

    Raises:
        UrfrError: as `cmc`; no probe without a mate, or too few behind the FPIR.
    """
    return open_set(search(scores, probe, gallery), fpir, thin, rank)
