"""Probes against one mate each and many distractors, as MegaFace challenge 1 measures them.

Identification: for every ordered pair of images of one person, the first searches a gallery of the second and
all distractors; reported is the share of rank 1 and of rank 10. Verification: all pairs of images of one
person against all pairs of a probe and a distractor. (Kemelmacher-Shlizerman et al., CVPR 2016.)
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from urfr_tf.errors import UrfrError
from urfr_tf.evaluation.fars import plan_fars
from urfr_tf.evaluation.request import ALL, EvaluationRequest
from urfr_tf.evaluation.results import Result, rate_name
from urfr_tf.evaluation.scoring import Faces, check_image_score, score_matrix
from urfr_tf.metrics.arrays import Float32s, Ints, Names
from urfr_tf.metrics.rates import Rate, impostors_behind
from urfr_tf.protocols.protocol import Distractors

FARS = (1e-4, 1e-5, 1e-6)
_MOST_SCORES = 50_000_000  # impostor scores held to find a threshold among
_SCORES_AT_ONCE = 1 << 25


class _Searches(NamedTuple):
    """Ranks of the searches int [S], scores of genuine pairs, and the largest impostor scores, falling."""

    ranks: Ints
    genuine: Float32s
    largest: Float32s


class DistractorsMeasurement:
    """rank1, rank10 and TAR of labeled probes among distractors.

    TAR is reported at the requested FARs, or at 1e-4, 1e-5 and 1e-6 as far as they are supported. Ties count
    against the probe. Degraded probes search in clean mates and distractors.

    Args:
        protocol: the protocol.
        request: what to report.

    Raises:
        UrfrError: a requested FAR has too few impostors behind it or would keep too many scores, a score of
            templates, or all impostors are requested.
    """

    of_photographs = False

    def __init__(self, protocol: Distractors, request: EvaluationRequest) -> None:
        check_image_score(request.score)
        self.protocol, self.request, self.images = protocol, request, protocol.images
        self._probes = len(protocol.identity)
        self._impostors = self._probes * (protocol.images.count - self._probes)
        plan = plan_fars(request, self._impostors, FARS)
        self._refused = plan.refused
        behind = {far: impostors_behind(self._impostors, far, request.thin_far) for far in plan.fars}
        self._behind = {far: number for far, number in behind.items() if number <= _MOST_SCORES}
        for far in request.fars:
            if far not in self._behind:
                raise UrfrError(
                    f"FAR {far:g} of {self._impostors} impostor pairs is not supported: ask for a smaller one"
                )
        if request.impostors == ALL:
            raise UrfrError(
                "--impostors all is for pairs of images; MegaFace's impostors are its distractors"
            )

    def measure(self, faces: Faces, probes: Faces | None = None, *, metrics_only: bool = False) -> Result:
        """Measures the embedded images.

        Args:
            faces: the images, embedded.
            probes: the same images degraded.
            metrics_only: changes nothing: there are metrics only.
        """
        seen = faces if probes is None else probes
        result = Result(refused=dict(self._refused))
        searches = self._search(faces, seen, ordered=probes is not None)
        ranks, genuine, largest = searches
        result.metrics.update(rank1=float(np.mean(ranks <= 1)), rank10=float(np.mean(ranks <= 10)))
        for far, behind in self._behind.items():
            threshold = (
                float(largest[behind - 1]) if behind else float(np.nextafter(largest[0], np.float32(np.inf)))
            )
            threshold = max(threshold, float(np.finfo(np.float32).min))
            # Exact but for ties: how many scores equal the threshold is only known among the largest.
            reached = np.count_nonzero(largest >= threshold) / self._impostors
            rate = Rate.of(float(np.mean(genuine >= threshold)), threshold, reached, behind)
            result.put_rate(rate_name("tar@far", far), rate)
        result.counts = {
            "images": self.protocol.images.count,
            "images_not_found": int(np.count_nonzero(~seen.found)),
            "probes": self._probes,
            "searches": len(ranks),
            "genuine": len(genuine),
            "impostors": self._impostors,
            **self.protocol.facts,
        }
        return result

    def _search(self, faces: Faces, seen: Faces, ordered: bool) -> _Searches:
        """Searches every probe for each of its mates; `ordered`: both orders of a pair are genuine pairs."""
        count, score = self._probes, self.request.score
        distractors = faces.take(np.arange(count, self.protocol.images.count))
        searching, enrolled = seen.take(np.arange(count)), faces.take(np.arange(count))
        most = max([1, *self._behind.values()])
        largest = np.empty(0, np.float32)
        ranks, genuine = [], []
        step = max(1, _SCORES_AT_ONCE // len(distractors.found))
        mates = _list_mates(self.protocol.identity)
        for start in range(0, count, step):
            rows = np.arange(start, min(start + step, count))
            against = score_matrix(searching.take(rows), distractors, score)
            largest = keep_largest(largest, against, most)
            for row, scores in zip(rows, against, strict=True):
                others = next(mates)
                if len(others):
                    mated = score_matrix(searching.take(np.array([row])), enrolled.take(others), score)[0]
                    rising = np.sort(scores)
                    ranks.append(1 + len(rising) - np.searchsorted(rising, mated, side="left"))
                    genuine.append(mated if ordered else mated[others > row])
        return _Searches(np.concatenate(ranks), np.concatenate(genuine), np.sort(largest)[::-1])


def _list_mates(identity: Names) -> Iterator[Ints]:
    """For each probe in turn, the other probes of its person."""
    codes = np.unique(identity, return_inverse=True)[1]
    order = np.argsort(codes, kind="stable")
    for row, code in enumerate(codes):
        low, high = np.searchsorted(codes, [code, code + 1], sorter=order)
        person = order[low:high]
        yield person[person != row]


def keep_largest(largest: Float32s, block: Float32s, count: int) -> Float32s:
    """The `count` largest of those so far and of a block of scores."""
    new = block.reshape(-1) if len(largest) < count else block[block > largest.min()]
    scores: Float32s = np.concatenate([largest, new])
    if len(scores) <= count:
        return scores
    highest: Float32s = np.partition(scores, len(scores) - count)[-count:]
    return highest
