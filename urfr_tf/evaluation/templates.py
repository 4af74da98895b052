"""Figures of templates: pairs of templates and searches in galleries, averaged over the splits."""

from typing import NamedTuple

import numpy as np

from urfr_tf.errors import UrfrError
from urfr_tf.evaluation.fars import FarPlan, plan_fars, put_intervals, put_rates, put_thresholds
from urfr_tf.evaluation.pooling import pool_templates
from urfr_tf.evaluation.reject_curves import (
    FAR,
    image_qualities,
    missed_pairs,
    reject_curves,
    template_qualities,
)
from urfr_tf.evaluation.request import ALL, EvaluationRequest
from urfr_tf.evaluation.results import Result, average_splits
from urfr_tf.evaluation.scoring import Faces, score_matrix, score_pairs
from urfr_tf.metrics.arrays import Float64s, Ints, Names
from urfr_tf.metrics.calibration import HalvedPairs, assign_halves
from urfr_tf.metrics.scored_pairs import ScoredPairs
from urfr_tf.metrics.search import Search, join_searches, match_curve, open_set_rate, search
from urfr_tf.protocols.protocol import Identification, Templates, Verification

_SCORES_AT_ONCE = 1 << 26


class _Pooled(NamedTuple):
    """Templates as they are enrolled and as they are searched, and what the latter can be ordered by."""

    gallery: Faces
    probes: Faces
    quality: dict[str, Float64s]


class TemplatesMeasurement:
    """The figures of a protocol of templates, averaged over its splits.

    Args:
        protocol: the protocol.
        request: what to report.

    Raises:
        UrfrError: a requested FAR has too few impostors behind it, a gallery is of one person, or all
            impostors are requested.
    """

    of_photographs = False

    def __init__(self, protocol: Templates, request: EvaluationRequest) -> None:
        if request.impostors == ALL:
            raise UrfrError(
                f"--impostors all is for pairs of images; {protocol.name} lists its pairs of templates"
            )
        self.protocol, self.request, self.images = protocol, request, protocol.images
        self._names = name_distractors(protocol.subject)
        self._fars: list[FarPlan | None] = []
        for split in protocol.splits:
            for task in split.identifications:
                for gallery in task.galleries:
                    self._check_gallery(gallery)
            pairs = split.verification
            impostors = 0 if pairs is None else int(np.count_nonzero(~pairs.same))
            self._fars.append(None if pairs is None else plan_fars(request, impostors))

    def _check_gallery(self, gallery: Ints) -> None:
        people = len(np.unique(self._names[gallery]))
        if people < 2:
            raise UrfrError(
                f"expected a gallery of at least two people in {self.protocol.name}, but one of its "
                f"galleries has {people}: every probe would be found"
            )

    def measure(self, faces: Faces, probes: Faces | None = None, *, metrics_only: bool = False) -> Result:
        """Measures the embedded images.

        Args:
            faces: the images, embedded.
            probes: the same images degraded, for the second template of each pair and the probes of searches.
            metrics_only: leave out intervals, thresholds and reject curves.

        Raises:
            UrfrError: norms are requested and an image has none.
        """
        protocol = self.protocol
        seen = faces if probes is None else probes
        gallery = pool_templates(protocol, faces, self.request)
        searched = gallery if probes is None else pool_templates(protocol, probes, self.request)
        quality: dict[str, Float64s] = {}
        if not metrics_only:
            quality = template_qualities(
                image_qualities(seen), seen, protocol.image, protocol.template, len(protocol.subject)
            )
        pooled = _Pooled(gallery, searched, quality)
        result = Result()
        result.counts = {
            "images": protocol.images.count,
            "images_not_found": int(np.count_nonzero(~seen.found)),
            "templates": len(protocol.subject),
            "templates_not_found": int(np.count_nonzero(~searched.found)),
            "splits": len(protocol.splits),
            **protocol.facts,
        }
        splits = []
        for split, fars in zip(protocol.splits, self._fars, strict=True):
            of_split = Result()
            if split.verification is not None and fars is not None:
                self._put_verification(of_split, split.verification, fars, pooled, metrics_only)
            for task in split.identifications:
                self._put_identification(of_split, task, pooled)
            splits.append(of_split)
        average_splits(splits, result)
        return result

    def _put_verification(
        self, result: Result, task: Verification, fars: FarPlan, pooled: _Pooled, metrics_only: bool
    ) -> None:
        probes = None if pooled.probes is pooled.gallery else pooled.probes
        scores = score_pairs(pooled.gallery, task.first, task.second, self.request.score, probes)
        pairs = ScoredPairs(scores, task.same)
        result.counts.update(genuine=len(pairs.genuine), impostors=len(pairs.impostors))
        put_rates(result, pairs, fars, self.request.thin_far)
        if fars.fars and not metrics_only:
            people = np.unique(self.protocol.subject, return_inverse=True)[1]
            both = people[task.first], people[task.second]
            if len(self.protocol.splits) == 1:
                put_intervals(result, pairs, both, fars, self.request)
            put_thresholds(result, HalvedPairs(pairs, assign_halves(*both)), fars)
        missed = missed_pairs(pairs) if pooled.quality else None
        if missed is not None:
            used = np.zeros(len(self.protocol.subject), bool)
            used[task.first] = used[task.second] = True
            place = np.cumsum(used) - 1
            items = [place[side[task.same]] for side in (task.first, task.second)]
            quality = {name: values[used] for name, values in pooled.quality.items()}
            result.reject["pairs"] = reject_curves(missed, items, quality, FAR)
        finite = scores > -np.inf
        result.arrays.update(scores=scores[finite], same=task.same[finite])

    def _put_identification(self, result: Result, task: Identification, pooled: _Pooled) -> None:
        whole = np.concatenate(task.galleries)
        closed = self._search(task.probes, whole, pooled, task.precision)
        curve = match_curve(closed)
        for rank in task.ranks:
            if rank <= len(curve):
                result.metrics[f"{task.name}rank{rank}"] = float(curve[rank - 1])
        if task.precision:
            result.metrics[f"{task.name}map"] = float(np.nanmean(closed.precision))
        result.counts.update({f"{task.name}probes": len(task.probes), f"{task.name}gallery": len(whole)})
        result.arrays[f"{task.name}cmc"] = curve[:100]
        if pooled.quality:
            mated = np.flatnonzero(closed.rank > 0)
            quality = {name: values[task.probes] for name, values in pooled.quality.items()}
            name = f"{task.name.strip('/')} rank 1".strip()
            result.reject[name] = reject_curves(closed.rank[mated] > 1, [mated], quality, None)
        searches = [closed]
        if len(task.galleries) > 1:
            searches = [self._search(task.probes, gallery, pooled) for gallery in task.galleries]
        for fpir in task.fpirs:
            name = f"{task.name}tpir@fpir={fpir:g}"
            try:
                rates = [open_set_rate(one, fpir, self.request.thin_far) for one in searches]
            except UrfrError as error:
                result.refused[name] = str(error)
                continue
            result.metrics[name] = float(np.mean(rates))
            if any(rate.thin for rate in rates):
                result.thin.append(name)

    def _search(self, probes: Ints, gallery: Ints, pooled: _Pooled, precision: bool = False) -> Search:
        """Searches probe templates in gallery templates, so many at once that memory stays bounded."""
        entries = pooled.gallery.take(gallery)
        blocks = []
        step = max(1, _SCORES_AT_ONCE // len(gallery))
        for start in range(0, len(probes), step):
            rows = probes[start : start + step]
            scores = score_matrix(pooled.probes.take(rows), entries, self.request.score)
            blocks.append(search(scores, self._names[rows], self._names[gallery], precision))
        return join_searches(blocks)


def name_distractors(subject: Names) -> Names:
    """Names the person of each template, str [T], and every distractor differently: it is nobody's mate."""
    people = np.where(subject == "", "", np.char.add("+", subject))
    return np.where(people == "", np.char.add("-", np.arange(len(people)).astype(str)), people)
