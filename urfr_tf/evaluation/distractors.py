"""Probes against one mate each and many distractors, as MegaFace challenge 1 measures them.

Identification: for every ordered pair of images of one person, the first searches a gallery of the second and
all distractors; reported is the share of rank 1 and of rank 10. Verification: all pairs of images of one
person against all pairs of a probe and a distractor. (Kemelmacher-Shlizerman et al., CVPR 2016.)
"""

import numpy as np

from urfr_tf.errors import UrfrError
from urfr_tf.evaluation.request import EvaluationRequest
from urfr_tf.evaluation.results import Result, rate_name
from urfr_tf.evaluation.scoring import Faces, check_of_images, cross_scores
from urfr_tf.metrics.roc import Rate, impostors_behind
from urfr_tf.protocols.protocol import Distractors

FARS = (1e-4, 1e-5, 1e-6)
_MOST_KEPT = 50_000_000  # impostor scores kept to find a threshold among
_SCORES_AT_ONCE = 1 << 25


def check_distractors(protocol: Distractors, request: EvaluationRequest) -> None:
    """Raises UrfrError where a FAR that was asked for is too thin, would keep too many scores, or for a score of templates."""
    check_of_images(request.score)
    impostors = len(protocol.identity) * (protocol.images.count - len(protocol.identity))
    for far in request.fars:
        if impostors_behind(impostors, far, request.thin_far) > _MOST_KEPT:
            raise UrfrError(
                f"FAR {far:g} of {impostors} impostor pairs is not supported: ask for a smaller one"
            )
    if request.impostors == "all":
        raise UrfrError("--impostors all is for pairs of images; MegaFace's impostors are its distractors")


def measure_distractors(
    protocol: Distractors, faces: Faces, request: EvaluationRequest, probes: Faces | None = None
) -> Result:
    """rank1, rank10 and TAR at the FARs of `request`, or at 1e-4, 1e-5 and 1e-6 as far as they are supported.

    Ties count against the probe. With `probes` (degraded), those search in clean mates and distractors.

    Raises:
        UrfrError: a FAR that was asked for is too thin.
    """
    check_distractors(protocol, request)
    result = Result()
    count = len(protocol.identity)
    distractors = faces.some(np.arange(count, protocol.images.count))
    impostors = count * len(distractors.found)
    fars = {}
    for far in request.fars or FARS:
        try:
            fars[far] = impostors_behind(impostors, far, request.thin_far)
        except UrfrError as error:
            result.refused[rate_name("tar@far", far)] = str(error)
    fars = {far: behind for far, behind in fars.items() if behind <= _MOST_KEPT}
    searching = (faces if probes is None else probes).some(np.arange(count))
    mates = faces.some(np.arange(count))
    codes = np.unique(protocol.identity, return_inverse=True)[1]
    order = np.argsort(codes, kind="stable")
    keep = max([1, *fars.values()])
    largest = np.empty(0, np.float32)
    ranks, genuine = [], []
    step = max(1, _SCORES_AT_ONCE // len(distractors.found))
    for start in range(0, count, step):
        rows = np.arange(start, min(start + step, count))
        against = cross_scores(searching.some(rows), distractors, request.score)
        largest = _largest(largest, against, keep)
        for row, scores in zip(rows, against, strict=True):
            low, high = np.searchsorted(codes, [codes[row], codes[row] + 1], sorter=order)
            own = order[low:high][order[low:high] != row]
            if len(own):
                mated = cross_scores(searching.some(np.array([row])), mates.some(own), request.score)[0]
                ordered = np.sort(scores)
                ranks.append(1 + len(ordered) - np.searchsorted(ordered, mated, side="left"))
                genuine.append(mated[own > row] if probes is None else mated)
    rank, true = np.concatenate(ranks), np.concatenate(genuine)
    result.metrics.update(rank1=float(np.mean(rank <= 1)), rank10=float(np.mean(rank <= 10)))
    largest = np.sort(largest)[::-1]
    for far, behind in fars.items():
        threshold = (
            float(largest[behind - 1]) if behind else float(np.nextafter(largest[0], np.float32(np.inf)))
        )
        threshold = max(threshold, float(np.finfo(np.float32).min))
        # Exact but for ties: how many scores equal the threshold is only known among those kept.
        reached = np.count_nonzero(largest >= threshold) / impostors
        rate = Rate.of(float(np.mean(true >= threshold)), threshold, reached, behind)
        result.put_rate(rate_name("tar@far", far), rate)
    found = faces if probes is None else probes
    result.counts = {
        "images": protocol.images.count,
        "images_not_found": int(np.count_nonzero(~found.found)),
        "probes": count,
        "searches": len(rank),
        "genuine": len(true),
        "impostors": impostors,
        **protocol.facts,
    }
    return result


def _largest(kept: np.ndarray, block: np.ndarray, count: int) -> np.ndarray:
    """The `count` largest of what was kept and of a block of scores."""
    if len(kept) == count:
        block = block[block > kept.min()]
    together = np.concatenate([kept, block.reshape(-1)])
    if len(together) <= count:
        return together
    return np.partition(together, len(together) - count)[-count:]
