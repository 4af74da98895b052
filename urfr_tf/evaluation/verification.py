"""Figures of pairs of images: accuracy in ten folds, TAR at FAR, closed-set rank, thresholds."""

import numpy as np

from urfr_tf.errors import UrfrError
from urfr_tf.evaluation.reject_curves import FAR, missed_pairs, qualities, reject_curves
from urfr_tf.evaluation.request import EvaluationRequest
from urfr_tf.evaluation.results import Result, rate_name, supported_fars
from urfr_tf.evaluation.scoring import Faces, check_of_images, cross_scores, pair_scores
from urfr_tf.metrics import tar_at_far, tar_interval, ten_fold_accuracy
from urfr_tf.metrics.calibration import calibrate_halves, halves
from urfr_tf.metrics.roc import LEAST
from urfr_tf.metrics.search import join, match_curve, search
from urfr_tf.protocols.protocol import Pairs

MOST_CROSS = 100_000_000
_PROBES = 256
_BOOTSTRAP_WORK = 200_000_000  # pairs x replicates: some seconds
_LEAST_REPLICATES = 100
RANKS = (1, 5, 10)


def impostor_count(pairs: Pairs, impostors: str) -> int:
    """Impostor pairs that a TAR rests on: the listed ones, or all cross-person pairs of the images.

    Raises:
        UrfrError: all are wanted, and there are more than 100 million or the identities are not known.
    """
    if impostors == "listed":
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


def check_pairs(pairs: Pairs, request: EvaluationRequest) -> None:
    """Raises UrfrError where a FAR that was asked for is too thin, or for a score of templates: before anything is embedded."""
    check_of_images(request.score)
    supported_fars(request, impostor_count(pairs, request.impostors), Result())


def measure_pairs(
    pairs: Pairs, faces: Faces, request: EvaluationRequest, probes: Faces | None = None
) -> Result:
    """All figures of a verification protocol.

    Accuracy is measured on `pairs.counted`. rank1, rank5, rank10 are closed-set identification: the first
    image of each person is the gallery, every other image a probe.

    Args:
        pairs: the protocol.
        faces: its images, embedded.
        request: what to report.
        probes: the same images degraded, for the second image of each pair and the probes of the ranks.

    Raises:
        UrfrError: a FAR that was asked for has too few impostors behind it; bad pairs.
    """
    result = Result()
    scores = pair_scores(faces, pairs.first, pairs.second, request.score, probes).astype(np.float64)
    folds = ten_fold_accuracy(scores[pairs.counted], pairs.same[pairs.counted], pairs.fold[pairs.counted])
    result.metrics.update(accuracy=folds.accuracy, accuracy_stderr=folds.stderr)
    result.counts = {
        "images": pairs.images.count,
        "images_not_found": int(np.count_nonzero(~(faces.found if probes is None else probes.found))),
        "people": len(np.unique(pairs.people())),
        "genuine": int(np.count_nonzero(pairs.same)),
        "impostors": impostor_count(pairs, request.impostors),
        "pairs_in_folds": int(np.count_nonzero(pairs.counted)),
        "folds": len(folds.thresholds),
        **pairs.facts,
    }
    _rates(pairs, faces, scores, request, probes, result)
    _ranks(pairs, faces, request, probes, result)
    if request.impostors == "all":
        # Last, as pictures show the first figures.
        _listed_rates(scores, pairs.same, request, result)
    missed = missed_pairs(scores, pairs.same)
    if missed is not None:
        quality = qualities(faces if probes is None else probes)
        genuine = [pairs.first[pairs.same], pairs.second[pairs.same]]
        result.reject = reject_curves(missed, genuine, quality, FAR)
    # Pictures are drawn from finite scores; what has no embedding is counted, not drawn.
    drawn = scores > -np.inf
    result.arrays["scores"] = scores[drawn].astype(np.float32)
    result.arrays["same"] = pairs.same[drawn]
    result.arrays["fold"] = pairs.fold[drawn]
    return result


def replicates_for(request: EvaluationRequest, pairs: int) -> int:
    """Resamples of the bootstrap that this many pairs allow in some seconds; 0 where they are too few."""
    replicates = min(request.replicates, _BOOTSTRAP_WORK // pairs)
    return replicates if replicates >= _LEAST_REPLICATES else 0


def _rates(
    pairs: Pairs,
    faces: Faces,
    scores: np.ndarray,
    request: EvaluationRequest,
    probes: Faces | None,
    result: Result,
) -> None:
    people = np.unique(pairs.people(), return_inverse=True)[1]  # numbers: there may be millions of pairs
    same, a, b = pairs.same, people[pairs.first], people[pairs.second]
    fold: np.ndarray | None = pairs.fold
    if request.impostors == "all":
        cross, first, second = _all_impostors(people, faces, request.score, probes)
        scores = np.concatenate([scores[same], cross])
        a, b = (np.concatenate([x[same], people[y]]) for x, y in ((a, first), (b, second)))
        same, fold = np.arange(len(scores)) < np.count_nonzero(same), None
    put_rates(scores, same, (a, b), request, result, fold)


def put_rates(
    scores: np.ndarray,
    same: np.ndarray,
    people: tuple[np.ndarray, np.ndarray],
    request: EvaluationRequest,
    result: Result,
    fold: np.ndarray | None = None,
    intervals: bool = True,
) -> None:
    """TAR at each FAR with its interval and its threshold.

    Args:
        scores: float [P]. same: bool [P]. people: whole numbers [P], those of the first and of the second images.
        request: what to report. result: takes it. fold: int [P] or None, as `halves` takes them.
        intervals: False where the pairs are resampled otherwise.

    Raises:
        UrfrError: a FAR that was asked for has too few impostors behind it.
    """
    half = halves(*people, fold) if request.thresholds else None
    for far in supported_fars(request, int(np.count_nonzero(~same)), result):
        name = rate_name("tar@far", far)
        result.put_rate(name, tar_at_far(scores, same, far, request.thin_far))
        replicates = replicates_for(request, len(scores)) if intervals else 0
        if replicates:
            interval = tar_interval(scores, same, *people, far, replicates=replicates, thin=request.thin_far)
            result.intervals[name] = [interval.low, interval.high]
        if half is None:
            continue
        try:
            result.calibration.append(calibrate_halves(scores, same, half, far)._asdict())
        except UrfrError as error:
            result.refused[rate_name("threshold@far", far)] = str(error)


def _listed_rates(scores: np.ndarray, same: np.ndarray, request: EvaluationRequest, result: Result) -> None:
    """Beside the rates over all cross-person pairs those over the listed ones, at FARs that these can give."""
    listed = int(np.count_nonzero(~same))
    for far in request.fars:
        behind = round(listed * far)
        if behind >= LEAST or (behind and request.thin_far):
            result.put_rate(rate_name("tar_listed@far", far), tar_at_far(scores, same, far, request.thin_far))


def _all_impostors(
    people: np.ndarray, faces: Faces, score: str, probes: Faces | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores float32 of every pair i < j of images of two people, and i and j (j is the probe)."""
    found = []
    everybody = np.arange(len(people))
    for start in range(0, len(people), _PROBES):
        rows = everybody[start : start + _PROBES]
        rest = everybody[start:]
        block = cross_scores(faces.some(rows), (probes or faces).some(rest), score)
        i, j = np.nonzero((rows[:, np.newaxis] < rest) & (people[rows][:, np.newaxis] != people[rest]))
        found.append((block[i, j], rows[i].astype(np.int32), rest[j].astype(np.int32)))
    scores, first, second = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return scores, first, second


def _ranks(
    pairs: Pairs, faces: Faces, request: EvaluationRequest, probes: Faces | None, result: Result
) -> None:
    if pairs.identity is None:
        return
    gallery = np.unique(pairs.identity, return_index=True)[1]
    others = np.setdiff1d(np.arange(len(pairs.identity)), gallery)
    if len(gallery) < 2 or not len(others):
        return
    enrolled = faces.some(gallery)
    blocks = []
    for start in range(0, len(others), _PROBES):
        rows = others[start : start + _PROBES]
        scores = cross_scores((probes or faces).some(rows), enrolled, request.score)
        blocks.append(search(scores, pairs.identity[rows], pairs.identity[gallery]))
    curve = match_curve(join(blocks))
    result.metrics.update({f"rank{rank}": float(curve[rank - 1]) for rank in RANKS if rank <= len(curve)})
    result.counts.update(gallery=len(gallery), probes=len(others))
    result.arrays["cmc"] = curve[:100]
