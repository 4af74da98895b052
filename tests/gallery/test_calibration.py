"""The threshold of a gallery: on strangers, with an interval over them, and bound to the gallery."""

import numpy as np
import pytest
from gallery_people import crowd, probes

from urfr_tf.errors import UrfrError
from urfr_tf.gallery.templates import Faces
from urfr_tf.metrics.bootstrap import fpir_intervals
from urfr_tf.metrics.groups import split_groups


def faces(people):
    embedding, variance = probes(people)
    return Faces(split_groups(embedding, variance.shape[1]), variance)


STRANGERS = list(range(1000, 1200))
NAMES = [f"stranger {number // 2}" for number in STRANGERS]


@pytest.mark.parametrize("score", ["likelihood", "cosine"])
def test_the_threshold_is_that_of_the_best_scores_of_strangers(either, score):
    either.add(crowd(30))
    every = faces(STRANGERS)
    best = sorted(
        (each.candidates[0].score for each in either.search(every, top=1, score=score)), reverse=True
    )
    made = either.calibrate(every, NAMES, fpir=0.05, score=score)
    # 5 % of 200 faces: the tenth.
    assert made["threshold"] == pytest.approx(best[9], rel=1e-6) and made["fpir_reached"] == 0.05
    assert made["threshold_low"] < made["threshold"] < made["threshold_high"] and not made["thin"]
    assert 0 < made["fpir_low"] < 0.05 < made["fpir_high"] < 0.2
    assert (made["unknown_people"], made["unknown_faces"], made["people"]) == (100, 200, 30)
    assert either.calibration(score) == made
    other = "cosine" if score == "likelihood" else "likelihood"
    assert either.calibration(other) is None
    # At the threshold a face is the candidate's; the next one is nobody's.
    known = [answer.known for answer in either.search(every, score=score)]
    assert sum(known) == 10
    assert [answer.person is None for answer in either.search(every, score=score)] == [
        not each for each in known
    ]


def test_it_warns_of_growth_beyond_a_tenth(gallery):
    gallery.add(crowd(30))
    gallery.calibrate(faces(STRANGERS), NAMES, fpir=0.05)
    assert gallery.warnings() == []
    gallery.add(crowd(3, first=100))
    assert gallery.warnings() == []  # 33 is a tenth more
    gallery.add(crowd(1, first=200))
    (warning,) = gallery.warnings()
    assert "grown from 30 to 34 people" in warning and "more strangers than 5.00%" in warning
    (warning, _) = gallery.warnings(align="mtcnn")[::-1]
    assert "calibrated with --align none, not mtcnn" in warning


def test_too_few_strangers(gallery):
    gallery.add(crowd(5))
    every = faces(STRANGERS)
    with pytest.raises(UrfrError, match=r"FPIR of 0.01 needs at least 10 .* but there are 200"):
        gallery.calibrate(every, NAMES, fpir=0.01)
    with pytest.raises(UrfrError, match=r"at least 10 people who are not in the gallery, but there are 4"):
        gallery.calibrate(every, [f"stranger {n % 4}" for n in STRANGERS], fpir=0.05)
    made = gallery.calibrate(every, NAMES, fpir=0.01, thin=True)
    assert (
        made["thin"] and "the threshold is thin: it was chosen on 200 faces of 100" in gallery.warnings()[0]
    )


def test_strangers_who_are_none(gallery):
    every = faces(STRANGERS)
    with pytest.raises(UrfrError, match=r"it is empty: add them first"):
        gallery.calibrate(every, NAMES)
    gallery.add(crowd(5))
    with pytest.raises(UrfrError, match=r"1 of them are, for instance 'person 3'"):
        gallery.calibrate(every, ["person 3", *NAMES[1:]], fpir=0.05)


def test_a_calibration_of_another_model_does_not_count(gallery, monkeypatch):
    gallery.add(crowd(5))
    gallery.calibrate(faces(STRANGERS), NAMES, fpir=0.05)
    monkeypatch.setitem(gallery.facts, "fingerprint", "c" * 64)
    assert gallery.calibration() is None


@pytest.mark.parametrize(
    "content", ["", "[]", '{"score": "likelihood"}', '{"score": "cosine", "threshold": 1}']
)
def test_a_mangled_calibration_is_a_sentence(gallery, content):
    gallery._store.write_calibration("likelihood", content)
    with pytest.raises(UrfrError, match=r"the calibration in the gallery .* is damaged"):
        gallery.calibration()


def test_the_interval_covers_what_people_vary_by():
    """One face each: the FPIR of a fixed threshold is binomial, and its interval about 1.96 sqrt(p q / n)."""
    random = np.random.default_rng(0)
    count, rate = 2000, 0.05
    scores = random.standard_normal(count)
    of_threshold, of_rate = fpir_intervals(scores, np.arange(count), rate)
    half = 1.96 * np.sqrt(rate * (1 - rate) / count)
    assert of_rate.low == pytest.approx(rate - half, abs=0.003)
    assert of_rate.high == pytest.approx(rate + half, abs=0.003)
    ends = np.sort(scores)[::-1][[round(count * (rate + half)) - 1, round(count * (rate - half)) - 1]]
    assert (of_threshold.low, of_threshold.high) == pytest.approx(tuple(ends), abs=0.03)
    # Ten faces each of a tenth of the people: as many faces say less.
    owner = np.arange(count) // 10
    _, wider = fpir_intervals(np.repeat(scores[::10], 10), owner, rate)
    assert wider.high - wider.low > 2 * (of_rate.high - of_rate.low)
