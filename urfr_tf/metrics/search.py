"""Closed-set and open-set identification from the scores of probes against a gallery.

`search` reduces the scores of some probes to four numbers a probe, so that probes can be taken block by
block and [P, G] need not be there at once.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from urfr_tf.errors import UrfrError
from urfr_tf.metrics.arrays import Float64s, Ints
from urfr_tf.metrics.checks import check_identities
from urfr_tf.metrics.rates import Rate, impostors_behind, threshold_at


class Search(NamedTuple):
    """What the search for P probes in a gallery of `size` entries came to.

    rank: int64 [P], of the best mate, 1 is first; 0 where the gallery holds no mate. It is 1 + the entries
        of other identities that score at least as high: ties count against the probe.
    mate: float64 [P], score of the best mate, -inf where there is none.
    best: float64 [P], the highest score of all entries.
    precision: float64 [P], average precision of the ranked gallery, NaN where there is no mate.
    """

    rank: Ints
    mate: Float64s
    best: Float64s
    precision: Float64s
    size: int


def search(scores: ArrayLike, probe: ArrayLike, gallery: ArrayLike, precision: bool = False) -> Search:
    """Looks for each probe's mates; a score of -inf (no embedding) is never a match and comes last.

    Args:
        scores: float [P, G], larger is more alike.
        probe: identities [P], int or str.
        gallery: identities [G]; an identity may have several entries.
        precision: compute the average precision too, which sorts every row; otherwise it is NaN.

    Raises:
        UrfrError: shapes that do not fit, NaN, a gallery of one identity.
    """
    table = np.asarray(scores)
    if table.ndim != 2 or 0 in table.shape:
        raise UrfrError(f"expected scores of probes against a gallery [P, G], but got {list(table.shape)}")
    if np.isnan(table).any():
        row = int(np.argwhere(np.isnan(table))[0][0])
        raise UrfrError(f"expected numbers as scores, but those of probe {row} have NaN")
    searched = check_identities(probe, len(table), "the probes")
    enrolled = check_identities(gallery, table.shape[1], "the gallery")
    if len(np.unique(enrolled)) < 2:
        raise UrfrError("expected a gallery of at least two identities, but got one: every rank would be 1")
    mates = searched[:, np.newaxis] == enrolled
    mated = mates.any(axis=1)
    best_mate = np.max(table, axis=1, where=mates, initial=-np.inf)
    ahead = np.count_nonzero(~mates & (table >= best_mate[:, np.newaxis]), axis=1)
    average = np.full(len(table), np.nan)
    for row in np.flatnonzero(mated).tolist() if precision else ():
        # Entries of other identities come before mates of the same score.
        places = np.flatnonzero(mates[row][np.lexsort((mates[row], -table[row]))]) + 1
        average[row] = np.mean(np.arange(1, len(places) + 1) / places)
    return Search(
        np.where(mated, 1 + ahead, 0),
        best_mate.astype(np.float64),
        table.max(axis=1).astype(np.float64),
        average,
        table.shape[1],
    )


def join_searches(blocks: Sequence[Search]) -> Search:
    """Makes one of the searches of blocks of probes in one gallery."""
    return Search(
        np.concatenate([block.rank for block in blocks]),
        np.concatenate([block.mate for block in blocks]),
        np.concatenate([block.best for block in blocks]),
        np.concatenate([block.precision for block in blocks]),
        blocks[0].size,
    )


def match_curve(result: Search) -> Float64s:
    """CMC, float64 [G]: element r - 1 is the share of mated probes of rank r or better.

    Raises:
        UrfrError: no probe has a mate.
    """
    ranks = result.rank[result.rank > 0]
    if not len(ranks):
        raise UrfrError("expected probes whose identity is in the gallery, but none is")
    counts = np.bincount(ranks, minlength=result.size + 1)[1 : result.size + 1]
    curve: Float64s = np.cumsum(counts) / len(ranks)
    return curve


def open_set_rate(result: Search, fpir: float, thin: bool = False, rank: int = 1) -> Rate:
    """TPIR at an FPIR; see `tpir_at_fpir`."""
    mated = result.rank > 0
    if mated.all() or not mated.any():
        kind = "with" if not mated.any() else "without"
        raise UrfrError(f"expected probes with and without a mate in the gallery, but there is none {kind}")
    false = result.best[~mated]
    behind = impostors_behind(len(false), fpir, thin, "FPIR")
    threshold = threshold_at(false, behind)
    hits = (result.mate[mated] >= threshold) & (result.rank[mated] <= rank)
    return Rate.of(float(np.mean(hits)), threshold, float(np.mean(false >= threshold)), behind)


def cmc(scores: ArrayLike, probe: ArrayLike, gallery: ArrayLike) -> Float64s:
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


def mean_average_precision(scores: ArrayLike, probe: ArrayLike, gallery: ArrayLike) -> float:
    """Mean over the probes with a mate of the average precision of their ranked gallery (TinyFace).

    Raises:
        UrfrError: as `cmc`.
    """
    result = search(scores, probe, gallery, precision=True)
    match_curve(result)  # refuses probes without a mate
    return float(np.nanmean(result.precision))


def tpir_at_fpir(
    scores: ArrayLike,
    probe: ArrayLike,
    gallery: ArrayLike,
    fpir: float,
    thin: bool = False,
    rank: int = 1,
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
    return open_set_rate(search(scores, probe, gallery), fpir, thin, rank)
