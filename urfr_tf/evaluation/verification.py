"""Figures of pairs of images: accuracy in ten folds, TAR at FAR, closed-set rank, thresholds."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from urfr_tf.errors import UrfrError
from urfr_tf.evaluation.fars import plan_fars, put_intervals, put_rates, put_thresholds
from urfr_tf.evaluation.reject_curves import FAR, image_qualities, missed_pairs, reject_curves
from urfr_tf.evaluation.request import ALL, LISTED, EvaluationRequest
from urfr_tf.evaluation.results import Result, join_lists, rate_name
from urfr_tf.evaluation.scoring import Faces, check_image_score, score_matrix, score_pairs
from urfr_tf.metrics import ten_fold_accuracy
from urfr_tf.metrics.arrays import Float32s, Ints
from urfr_tf.metrics.calibration import HalvedPairs, assign_halves
from urfr_tf.metrics.rates import LEAST
from urfr_tf.metrics.scored_pairs import ScoredPairs
from urfr_tf.metrics.search import join_searches, match_curve, search
from urfr_tf.protocols.protocol import PairLists, Pairs

MOST_CROSS = 100_000_000
_PROBES = 256
RANKS = (1, 5, 10)


def count_impostors(pairs: Pairs, impostors: str) -> int:
    """Counts the impostor pairs that a TAR rests on: the listed ones, or all cross-person pairs of images.

    Raises:
        UrfrError: all are requested, and there are more than 100 million or the identities are not known.
    """
    if impostors == LISTED:
        return int(np.count_nonzero(~pairs.same))
    if pairs.identity is None:
        raise UrfrError("--impostors all needs to know who is on each image, but the pairs file does not say")
    sizes = np.unique(pairs.identity, return_counts=True)[1]
    count = (int(sizes.sum()) ** 2 - int((sizes.astype(np.int64) ** 2).sum())) // 2
    if count > MOST_CROSS:
        raise UrfrError(
            f"--impostors all gives {count} pairs here, and more than {MOST_CROSS} are not supported"
        )
    return count


class _RatedPairs(NamedTuple):
    """The pairs that TAR is measured on: scores [P], the two people [P] of each, folds [P] or None."""

    scored: ScoredPairs
    people: tuple[Ints, Ints]
    fold: Ints | None


class PairsMeasurement:
    """The figures of one list of pairs.

    Accuracy is measured on `pairs.counted`. rank1, rank5, rank10 are closed-set identification: the first
    image of each person is the gallery, every other image a probe.

    Args:
        pairs: the protocol.
        request: what to report.

    Raises:
        UrfrError: a requested FAR has too few impostors behind it, a score of templates, or all impostors
            are requested and cannot be taken.
    """

    of_photographs = True

    def __init__(self, pairs: Pairs, request: EvaluationRequest) -> None:
        check_image_score(request.score)
        self.pairs, self.request, self.images = pairs, request, pairs.images
        self.impostors = count_impostors(pairs, request.impostors)
        self.fars = plan_fars(request, self.impostors)

    def measure(self, faces: Faces, probes: Faces | None = None, *, metrics_only: bool = False) -> Result:
        """Measures the embedded images.

        Args:
            faces: the images, embedded.
            probes: the same images degraded, for the second image of each pair and the probes of the ranks.
            metrics_only: leave out intervals, thresholds and reject curves.

        Raises:
            UrfrError: bad pairs.
        """
        pairs, result = self.pairs, Result()
        seen = faces if probes is None else probes
        scores = score_pairs(faces, pairs.first, pairs.second, self.request.score, probes).astype(np.float64)
        folds = ten_fold_accuracy(scores[pairs.counted], pairs.same[pairs.counted], pairs.fold[pairs.counted])
        result.metrics.update(accuracy=folds.accuracy, accuracy_stderr=folds.stderr)
        result.counts = {
            "images": pairs.images.count,
            "images_not_found": int(np.count_nonzero(~seen.found)),
            "people": len(np.unique(pairs.people())),
            "genuine": int(np.count_nonzero(pairs.same)),
            "impostors": self.impostors,
            "pairs_in_folds": int(np.count_nonzero(pairs.counted)),
            "folds": len(folds.thresholds),
            **pairs.facts,
        }
        listed = ScoredPairs(scores, pairs.same)
        self._put_rates(result, self._rated_pairs(listed, faces, seen), metrics_only)
        self._put_ranks(result, faces, seen)
        if self.request.impostors == ALL:
            # Last, as pictures show the first figures.
            self._put_listed_rates(result, listed)
        if not metrics_only:
            self._put_reject_curves(result, listed, seen)
        # Pictures are drawn from finite scores; what has no embedding is counted, not drawn.
        finite = scores > -np.inf
        result.arrays["scores"] = scores[finite].astype(np.float32)
        result.arrays["same"] = pairs.same[finite]
        result.arrays["fold"] = pairs.fold[finite]
        return result

    def _rated_pairs(self, listed: ScoredPairs, faces: Faces, seen: Faces) -> _RatedPairs:
        pairs = self.pairs
        people = np.unique(pairs.people(), return_inverse=True)[1]  # numbers: there may be millions of pairs
        first, second = pairs.first, pairs.second
        if self.request.impostors == LISTED:
            return _RatedPairs(listed, (people[first], people[second]), pairs.fold)
        cross, a, b = score_all_impostors(people, faces, seen, self.request.score)
        scores = np.concatenate([listed.genuine, cross])
        same = np.arange(len(scores)) < len(listed.genuine)
        genuine = first[pairs.same], second[pairs.same]
        both = [np.concatenate([people[x], people[y]]) for x, y in ((genuine[0], a), (genuine[1], b))]
        return _RatedPairs(ScoredPairs(scores, same), (both[0], both[1]), None)

    def _put_rates(self, result: Result, rated: _RatedPairs, metrics_only: bool) -> None:
        put_rates(result, rated.scored, self.fars, self.request.thin_far)
        if metrics_only or not self.fars.fars:
            return
        put_intervals(result, rated.scored, rated.people, self.fars, self.request)
        half = assign_halves(*rated.people, rated.fold)
        put_thresholds(result, HalvedPairs(rated.scored, half), self.fars)

    def _put_listed_rates(self, result: Result, listed: ScoredPairs) -> None:
        """Puts the rates over the listed pairs next to those over all, where they support the FAR."""
        thin_far = self.request.thin_far
        for far in self.request.fars:
            behind = round(len(listed.impostors) * far)
            if behind >= LEAST or (behind and thin_far):
                result.put_rate(rate_name("tar_listed@far", far), listed.tar_at_far(far, thin_far))

    def _put_ranks(self, result: Result, faces: Faces, seen: Faces) -> None:
        identity = self.pairs.identity
        if identity is None:
            return
        gallery = np.unique(identity, return_index=True)[1]
        others = np.setdiff1d(np.arange(len(identity)), gallery)
        if len(gallery) < 2 or not len(others):
            return
        enrolled = faces.take(gallery)
        blocks = []
        for start in range(0, len(others), _PROBES):
            rows = others[start : start + _PROBES]
            scores = score_matrix(seen.take(rows), enrolled, self.request.score)
            blocks.append(search(scores, identity[rows], identity[gallery]))
        curve = match_curve(join_searches(blocks))
        result.metrics.update({f"rank{rank}": float(curve[rank - 1]) for rank in RANKS if rank <= len(curve)})
        result.counts.update(gallery=len(gallery), probes=len(others))
        result.arrays["cmc"] = curve[:100]

    def _put_reject_curves(self, result: Result, listed: ScoredPairs, seen: Faces) -> None:
        missed = missed_pairs(listed)
        if missed is not None:
            genuine = [self.pairs.first[self.pairs.same], self.pairs.second[self.pairs.same]]
            result.reject = reject_curves(missed, genuine, image_qualities(seen), FAR)


class PairListsMeasurement:
    """The figures of several lists of pairs over the same images, each under the list's name.

    Args:
        lists: the protocol.
        request: what to report of each list.

    Raises:
        UrfrError: as `PairsMeasurement`.
    """

    of_photographs = True

    def __init__(self, lists: PairLists, request: EvaluationRequest) -> None:
        self.images = lists.images
        self.by_list = {name: PairsMeasurement(pairs, request) for name, pairs in lists.by_list.items()}

    def measure(self, faces: Faces, probes: Faces | None = None, *, metrics_only: bool = False) -> Result:
        """Measures the embedded images; see `PairsMeasurement.measure`."""
        return join_lists(
            {
                name: measurement.measure(faces, probes, metrics_only=metrics_only)
                for name, measurement in self.by_list.items()
            }
        )


def score_all_impostors(
    people: Ints, faces: Faces, seen: Faces, score: str
) -> tuple[Float32s, NDArray[np.int32], NDArray[np.int32]]:
    """Scores every pair i < j of images of two people; j is the probe.

    Args:
        people: int [N], who is on each image.
        faces: the images. seen: the same ones as probes.
        score: cosine or likelihood.

    Returns:
        Scores float32 [P], and i and j.
    """
    blocks = []
    everybody = np.arange(len(people))
    for start in range(0, len(people), _PROBES):
        rows = everybody[start : start + _PROBES]
        rest = everybody[start:]
        block = score_matrix(faces.take(rows), seen.take(rest), score)
        i, j = np.nonzero((rows[:, np.newaxis] < rest) & (people[rows][:, np.newaxis] != people[rest]))
        blocks.append((block[i, j], rows[i].astype(np.int32), rest[j].astype(np.int32)))
    scores, first, second = (np.concatenate(columns) for columns in zip(*blocks, strict=True))
    return scores, first, second
