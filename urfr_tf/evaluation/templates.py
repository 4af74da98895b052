"""Figures of templates: images -> media -> templates, then pairs of templates and searches in galleries."""

from collections import defaultdict

import numpy as np

from urfr_tf.errors import UrfrError
from urfr_tf.evaluation.reject_curves import (
    FAR,
    mean_curves,
    missed_pairs,
    of_templates,
    qualities,
    reject_curves,
)
from urfr_tf.evaluation.request import EvaluationRequest
from urfr_tf.evaluation.results import Result, supported_fars
from urfr_tf.evaluation.scoring import (
    CONFIDENCE,
    COSINE,
    NORM,
    WEIGHTED,
    Faces,
    by_norm,
    check_score,
    cross_scores,
    pair_scores,
    without_gaps,
)
from urfr_tf.evaluation.verification import put_rates
from urfr_tf.metrics import average, fuse
from urfr_tf.metrics.fusion import SHARPNESS
from urfr_tf.metrics.search import Search, join, match_curve, open_set, search
from urfr_tf.protocols.protocol import Identification, Templates, Verification

_SCORES_AT_ONCE = 1 << 26
_IMAGES_AT_ONCE = 1 << 15


def pool(
    protocol: Templates,
    faces: Faces,
    score: str,
    rule: str = "minimum",
    sharpness: float = SHARPNESS,
    weight: str = CONFIDENCE,
) -> Faces:
    """Templates of embedded images: media first, then the template over its media.

    For `cosine` both are means (of unit embeddings; only the direction of the result counts), for
    `likelihood` both are fused by inverse variance, for `weighted` by the power `sharpness` of it or of the norm. Images without an embedding
    are left out; a template that has no other is not found.
    """
    check_score(score)
    if score == WEIGHTED and weight == NORM:
        faces = by_norm(faces)
    groups, width = faces.embedding.shape[1:]
    count = len(protocol.subject)
    embedding = np.zeros([count, groups, width], np.float32)
    variance = np.ones([count, groups], np.float32)
    rows = np.flatnonzero(faces.found[protocol.image])
    rows = rows[np.argsort(protocol.template[rows], kind="stable")]
    present, starts = np.unique(protocol.template[rows], return_index=True)
    ends = np.append(starts[1:], len(rows))
    first = 0
    while first < len(present):
        last = max(first + 1, int(np.searchsorted(ends, starts[first] + _IMAGES_AT_ONCE, side="right")))
        here = rows[starts[first] : ends[last - 1]]
        some = faces.some(protocol.image[here])
        # Keys of (template, medium) in rising order, so that the second stage finds its templates in order.
        keys = np.stack([protocol.template[here], protocol.medium[here]], axis=1)
        media, medium = np.unique(keys, axis=0, return_inverse=True)
        medium, place = medium.reshape(-1), present[first:last]
        if score == COSINE:
            flat = some.embedding.reshape(len(here), -1) / np.float32(np.sqrt(groups))
            embedding[place] = average(average(flat, medium), media[:, 0]).reshape(-1, groups, width)
        else:
            power = sharpness if score == WEIGHTED else 1.0
            per_medium = fuse(some.embedding, some.variance, medium, rule, power)
            embedding[place], variance[place] = fuse(*per_medium, media[:, 0], rule, power)
        first = last
    norm = np.full(count, np.nan, np.float32)  # of images; a template's quality is `of_templates`
    return without_gaps(Faces(embedding, variance, np.isin(np.arange(count), present), norm))


def check_templates(protocol: Templates, request: EvaluationRequest) -> None:
    """Raises UrfrError where a FAR that was asked for is too thin or a gallery is of one person: before embedding."""
    if request.impostors == "all":
        raise UrfrError(
            f"--impostors all is for pairs of images; {protocol.name} lists its pairs of templates"
        )
    for split in protocol.splits:
        for task in split.identifications:
            for gallery in task.galleries:
                names = protocol.subject[gallery]
                people = len(np.unique(names[names != ""])) + np.count_nonzero(names == "")
                if people < 2:
                    raise UrfrError(
                        f"expected a gallery of at least two people in {protocol.name}, but one of its galleries has "
                        f"{people}: every probe would be found"
                    )
        if split.verification is not None:
            supported_fars(request, int(np.count_nonzero(~split.verification.same)), Result())


def measure_templates(
    protocol: Templates, faces: Faces, request: EvaluationRequest, probes: Faces | None = None
) -> Result:
    """All figures of a template protocol, averaged over its splits.

    Args:
        protocol: the protocol.
        faces: its images, embedded.
        request: what to report.
        probes: the same images degraded, for the second template of each pair and for the probes of searches.

    Raises:
        UrfrError: a FAR that was asked for has too few impostors behind it; norms are requested and an image has none.
    """
    check_templates(protocol, request)
    how = (request.score, request.fusion, request.sharpness, request.weight)
    gallery = pool(protocol, faces, *how)
    searched = gallery if probes is None else pool(protocol, probes, *how)
    seen = faces if probes is None else probes
    quality = of_templates(qualities(seen), seen, protocol.image, protocol.template, len(protocol.subject))
    result = Result()
    result.counts = {
        "images": protocol.images.count,
        "images_not_found": int(np.count_nonzero(~seen.found)),
        "templates": len(protocol.subject),
        "templates_not_found": int(np.count_nonzero(~searched.found)),
        "splits": len(protocol.splits),
        **protocol.facts,
    }
    parts = []
    for split in protocol.splits:
        part = Result()
        if split.verification is not None:
            _verify(protocol, split.verification, gallery, searched, quality, request, part)
        for task in split.identifications:
            _identify(protocol, task, gallery, searched, quality, request, part)
        parts.append(part)
    _combine(parts, result)
    return result


def _verify(
    protocol: Templates,
    task: Verification,
    gallery: Faces,
    probes: Faces,
    quality: dict[str, np.ndarray],
    request: EvaluationRequest,
    result: Result,
) -> None:
    other = None if probes is gallery else probes
    scores = pair_scores(gallery, task.first, task.second, request.score, other)
    impostors = int(np.count_nonzero(~task.same))
    result.counts.update(genuine=len(scores) - impostors, impostors=impostors)
    people = np.unique(protocol.subject, return_inverse=True)[1]
    pair = people[task.first], people[task.second]
    put_rates(scores, task.same, pair, request, result, intervals=len(protocol.splits) == 1)
    missed = missed_pairs(scores, task.same)
    if missed is not None:
        used = np.zeros(len(protocol.subject), bool)
        used[task.first] = used[task.second] = True
        place = np.cumsum(used) - 1
        items = [place[side[task.same]] for side in (task.first, task.second)]
        shown = {name: values[used] for name, values in quality.items()}
        result.reject["pairs"] = reject_curves(missed, items, shown, FAR)
    drawn = scores > -np.inf
    result.arrays.update(scores=scores[drawn], same=task.same[drawn])


def _identify(
    protocol: Templates,
    task: Identification,
    gallery: Faces,
    probes: Faces,
    quality: dict[str, np.ndarray],
    request: EvaluationRequest,
    result: Result,
) -> None:
    whole = np.concatenate(task.galleries)
    closed = find(protocol, task.probes, whole, gallery, probes, request.score, task.precision)
    curve = match_curve(closed)
    for rank in task.ranks:
        if rank <= len(curve):
            result.metrics[f"{task.name}rank{rank}"] = float(curve[rank - 1])
    if task.precision:
        result.metrics[f"{task.name}map"] = float(np.nanmean(closed.precision))
    result.counts.update({f"{task.name}probes": len(task.probes), f"{task.name}gallery": len(whole)})
    result.arrays[f"{task.name}cmc"] = curve[:100]
    mated = np.flatnonzero(closed.rank > 0)
    shown = {name: values[task.probes] for name, values in quality.items()}
    part = f"{task.name.strip('/')} rank 1".strip()
    result.reject[part] = reject_curves(closed.rank[mated] > 1, [mated], shown, None)
    searches = [closed]
    if len(task.galleries) > 1:
        searches = [
            find(protocol, task.probes, part, gallery, probes, request.score) for part in task.galleries
        ]
    for fpir in task.fpirs:
        name = f"{task.name}tpir@fpir={fpir:g}"
        try:
            rates = [open_set(found, fpir, request.thin_far) for found in searches]
        except UrfrError as error:
            result.refused[name] = str(error)
            continue
        result.metrics[name] = float(np.mean(rates))
        if any(rate.thin for rate in rates):
            result.thin.append(name)


def find(
    protocol: Templates,
    probes: np.ndarray,
    gallery: np.ndarray,
    enrolled: Faces,
    searched: Faces,
    score: str,
    precision: bool = False,
) -> Search:
    """Searches probe templates in gallery templates, so many at once that memory stays bounded."""
    entries = enrolled.some(gallery)
    # A distractor is nobody's mate, and no other distractor's either.
    names = np.where(protocol.subject == "", "", np.char.add("+", protocol.subject))
    strangers = np.where(names == "", np.char.add("-", np.arange(len(names)).astype(str)), names)
    blocks = []
    step = max(1, _SCORES_AT_ONCE // len(gallery))
    for start in range(0, len(probes), step):
        rows = probes[start : start + step]
        scores = cross_scores(searched.some(rows), entries, score)
        blocks.append(search(scores, strangers[rows], strangers[gallery], precision))
    return join(blocks)


def _combine(parts: list[Result], result: Result) -> None:
    """Means over the splits; with several, their standard error beside them."""
    values = defaultdict(list)
    for part in parts:
        for name, value in part.metrics.items():
            values[name].append(value)
        result.refused.update(part.refused)
        result.thin.extend(name for name in part.thin if name not in result.thin)
    for name, numbers in values.items():
        if len(numbers) < len(parts):
            result.refused[name] = f"{name} could be measured in {len(numbers)} of {len(parts)} splits only"
            continue
        result.metrics[name] = float(np.mean(numbers))
        if len(parts) > 1:
            result.metrics[f"{name}_stderr"] = float(np.std(numbers, ddof=1) / np.sqrt(len(parts)))
    for name in parts[0].counts:
        result.counts[name] = sum(part.counts[name] for part in parts)
    result.intervals.update(parts[0].intervals)
    if len(parts) == 1:  # the people of one split are among those that another holds out
        result.calibration = parts[0].calibration
    for name in parts[0].reject:
        if curve := mean_curves([part.reject.get(name, {}) for part in parts]):
            result.reject[name] = curve
    for name in parts[0].arrays:
        if not name.endswith("cmc"):
            result.arrays[name] = np.concatenate([part.arrays[name] for part in parts])
        elif len({len(part.arrays[name]) for part in parts}) == 1:
            result.arrays[name] = np.mean([part.arrays[name] for part in parts], axis=0)
