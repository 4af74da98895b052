"""CMC, mAP and TPIR with answers by hand, ties and missing mates included."""

import numpy as np
import pytest

from urfr_tf.errors import UrfrError
from urfr_tf.metrics import cmc, mean_average_precision, tpir_at_fpir
from urfr_tf.metrics.search import join_searches, match_curve, open_set_rate, search

GALLERY = ["a", "b", "c", "a"]
PROBES = ["a", "b", "c", "x"]
SCORES = np.array(
    [
        [0.1, 0.5, 0.3, 0.9],  # a: its second entry is first: rank 1; mates at places 1 and 4
        [0.7, 0.6, 0.6, 0.1],  # b: behind a, and tied with c: rank 3
        [0.2, 0.3, -np.inf, 0.1],  # c: the gallery's c has no embedding: last, rank 4
        [0.4, 0.8, 0.2, 0.3],  # x: not in the gallery, best score 0.8
    ]
)


def test_cmc_by_hand():
    np.testing.assert_allclose(cmc(SCORES, PROBES, GALLERY), [1 / 3, 1 / 3, 2 / 3, 1])


def test_map_by_hand():
    # a: places 1 and 4 -> (1/1 + 2/4) / 2 = 3/4. b: place 3 -> 1/3. c: place 4 -> 1/4.
    expected = (3 / 4 + 1 / 3 + 1 / 4) / 3
    np.testing.assert_allclose(mean_average_precision(SCORES, PROBES, GALLERY), expected)


def test_tpir_by_hand():
    # FPIR 1: the threshold is the largest of one, 0.8. a (0.9) passes, b (0.6, rank 3) and c do not.
    rate = tpir_at_fpir(SCORES, PROBES, GALLERY, 1.0, thin=True)
    np.testing.assert_allclose(rate, 1 / 3)
    assert rate.thin and rate.threshold == 0.8 and rate.reached == 1


def test_a_mate_over_the_threshold_must_also_be_first():
    # 10 strangers with best 0.1 ... 1.0; FPIR 1 -> threshold 0.1. One mated probe is first, one second.
    strangers = np.stack([np.arange(1, 11) / 10, np.zeros(10)], axis=1)
    scores = np.concatenate([strangers, [[0.9, 0.2], [0.9, 0.3]]])
    probes = ["x"] * 10 + ["a", "b"]
    assert tpir_at_fpir(scores, probes, ["a", "b"], 1.0) == 0.5
    assert tpir_at_fpir(scores, probes, ["a", "b"], 1.0, rank=2) == 1
    with pytest.raises(
        UrfrError, match=r"a FPIR of 0\.1 needs .* 100 probes without a mate, but there are 10;"
    ):
        tpir_at_fpir(scores, probes, ["a", "b"], 0.1)


def test_blocks_of_probes_join_to_the_whole():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(60, 30)).round(1).astype(np.float32)
    gallery, probes = rng.integers(0, 20, 30), rng.integers(0, 30, 60)
    whole = search(scores, probes, gallery, precision=True)
    joined = join_searches(
        [search(scores[i : i + 7], probes[i : i + 7], gallery, precision=True) for i in range(0, 60, 7)]
    )
    for one, other in zip(whole[:4], joined[:4], strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(match_curve(joined), cmc(scores, probes, gallery))
    assert open_set_rate(joined, 1.0, thin=True) == tpir_at_fpir(scores, probes, gallery, 1.0, thin=True)


def test_ranks_against_a_loop():
    rng = np.random.default_rng(1)
    scores = rng.normal(size=(40, 25)).round(1)
    gallery, probes = rng.integers(0, 10, 25), rng.integers(0, 12, 40)
    for row, probe, rank in zip(scores, probes, search(scores, probes, gallery).rank, strict=True):
        mates = [s for s, g in zip(row, gallery, strict=True) if g == probe]
        others = [s for s, g in zip(row, gallery, strict=True) if g != probe]
        assert rank == (1 + sum(s >= max(mates) for s in others) if mates else 0)


def test_bad_input_is_a_sentence():
    with pytest.raises(UrfrError, match="at least two identities"):
        cmc([[1.0, 2.0]], ["a"], ["a", "a"])
    with pytest.raises(UrfrError, match="none is"):
        cmc([[1.0, 2.0]], ["x"], ["a", "b"])
    with pytest.raises(UrfrError, match="probe 0 have NaN"):
        cmc([[1.0, np.nan]], ["a"], ["a", "b"])
    with pytest.raises(UrfrError, match="2 identities for the gallery, but got 3"):
        cmc([[1.0, 2.0]], ["a"], ["a", "b", "c"])
    with pytest.raises(UrfrError, match=r"\[P, G\], but got \[2\]"):
        cmc([1.0, 2.0], ["a"], ["a", "b"])
    with pytest.raises(UrfrError, match="there is none without"):
        tpir_at_fpir([[1.0, 2.0]], ["a"], ["a", "b"], 0.1)
