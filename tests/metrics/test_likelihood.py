"""Likelihood and cosine scores against float64 NumPy, over the whole range of variances."""

import numpy as np
import pytest

from urfr_tf.errors import UrfrError
from urfr_tf.metrics import (
    cosine_of_pairs,
    cosine_score,
    likelihood,
    likelihood_kernel,
    likelihood_of_pairs,
    likelihood_score,
)


@pytest.fixture(params=["as installed", "tensorflow"])
def engine(request, monkeypatch):
    """With the compiled kernel where it was built, and without; test_likelihood_kernel.py builds another."""
    if request.param == "tensorflow":
        monkeypatch.setattr(likelihood_kernel, "load_kernel", lambda: None)


def unit(rng, count, groups, width):
    x = rng.standard_normal((count, groups, width))
    return (x / np.linalg.norm(x, axis=-1, keepdims=True)).astype(np.float32)


def oracle(a, va, b, vb):
    """The formula of the method, section 6, in float64, [N, M]; distances from differences."""
    a, va, b, vb = (np.asarray(x, np.float64) for x in (a, va, b, vb))
    scores = np.empty((len(a), len(b)))
    for i in range(len(a)):
        distance = ((a[i] - b) ** 2).sum(axis=-1)
        total = va[i] + vb
        scores[i] = -0.5 * (distance / total + a.shape[2] * np.log(total)).sum(axis=-1)
    return scores


def test_by_hand():
    # K = 1, d = 2, orthogonal units: |a - b|^2 = 2. v = 0.5 + 0.5 = 1: -1/2 (2/1 + 2 log 1) = -1.
    # v = 0.25 + 0.25 = 0.5: -1/2 (2/0.5 + 2 log 0.5) = -2 + log 2.
    a, b = [[[1.0, 0.0]]] * 2, [[[0.0, 1.0]]] * 2
    scores = likelihood_score(a, [[0.5], [0.25]], b, [[0.5], [0.25]])
    np.testing.assert_allclose(scores, [-1, -2 + np.log(2)], rtol=1e-6)
    assert scores.dtype == np.float32


@pytest.mark.parametrize("groups, width", [(16, 32), (1, 8), (3, 5)])
@pytest.mark.parametrize(
    "low, high",
    [(-2.4, -1.0), (-6, 6), (-8, -4), (-30, -20), (15, 25), (-20, 20), (-37, 38)],
    ids=["usual", "wide", "small", "tiny", "large", "mixed", "all of float32"],
)
def test_all_pairs_and_pairs_equal_the_formula(engine, groups, width, low, high):
    rng = np.random.default_rng(0)
    a, b = unit(rng, 7, groups, width), unit(rng, 9, groups, width)
    b[0] = a[0]  # the same photograph twice: distance 0
    va, vb = (10 ** rng.uniform(low, high, (n, groups)).astype(np.float32) for n in (7, 9))
    expected = oracle(a, va, b, vb)
    got = likelihood_score(a, va, b, vb, all_pairs=True)
    assert got.shape == (7, 9) and np.isfinite(got).all()
    # float32 distances, divided by the smallest sum of variances: relative to the largest score's size.
    np.testing.assert_allclose(got, expected, rtol=2e-5, atol=2e-5 * np.abs(expected).max())
    np.testing.assert_allclose(
        likelihood_score(a, va, b[:7], vb[:7]), np.diag(expected), rtol=2e-6, atol=1e-5 * width
    )


def test_compiled_tiles_equal_the_formula(engine):
    # 1030 x 1020 scores are over the size from which tiles are compiled; neither is a multiple of a tile.
    rng = np.random.default_rng(1)
    a, b = unit(rng, 1030, 4, 8), unit(rng, 1020, 4, 8)
    va, vb = rng.uniform(0.004, 0.2, (1030, 4)), rng.uniform(0.004, 0.2, (1020, 4))
    assert len(a) * len(b) >= likelihood._COMPILE_FROM
    expected = oracle(a, va, b, vb)
    got = likelihood_score(a, va, b, vb, all_pairs=True)
    assert np.abs(got - expected).max() < 1e-4 * np.abs(expected).max()


def test_memory_bounds_the_tile_and_not_the_result(engine):
    rng = np.random.default_rng(2)
    a, va = unit(rng, 11, 4, 8), rng.uniform(0.01, 0.1, (11, 4))
    whole = likelihood_score(a, va, a, va, all_pairs=True)
    # 8 tiles of 4 bytes in 500 bytes: tiles of 15 scores, 3 x 5.
    np.testing.assert_allclose(likelihood_score(a, va, a, va, all_pairs=True, memory=500), whole, rtol=1e-5)


def test_products_are_cut_into_runs_only_where_they_could_overflow():
    usual = np.array([[0.005] * 16, [0.1] * 16], np.float32)
    _, runs = likelihood.product_runs(usual, usual)
    assert runs == (tuple(range(16)),)
    # Sums from 2e-20 to 2e20 around their middle 2: each reaches 1e20, two of them over 1e30.
    wide = np.array([[1e-20] * 3, [1e20] * 3], np.float32)
    scale, runs = likelihood.product_runs(wide, wide)
    np.testing.assert_allclose(scale, 2)
    assert runs == ((0,), (1,), (2,))


def test_listed_pairs_are_entries_of_all_pairs():
    rng = np.random.default_rng(3)
    a, va = unit(rng, 50, 4, 8), rng.uniform(0.01, 0.1, (50, 4))
    first, second = rng.integers(0, 50, 5000), rng.integers(0, 50, 5000)
    np.testing.assert_allclose(
        likelihood_of_pairs(a, va, first, second), oracle(a, va, a, va)[first, second], rtol=1e-5, atol=1e-4
    )
    np.testing.assert_allclose(
        cosine_of_pairs(a, first, second), cosine_score(a, a, all_pairs=True)[first, second], atol=1e-6
    )
    assert len(likelihood_of_pairs(a, va, [], [])) == 0
    with pytest.raises(UrfrError, match="rows below 50"):
        likelihood_of_pairs(a, va, [0], [50])


def test_symmetric_and_falling_with_distance():
    rng = np.random.default_rng(4)
    a, b = unit(rng, 20, 4, 8), unit(rng, 20, 4, 8)
    va, vb = rng.uniform(0.01, 0.1, (20, 4)), rng.uniform(0.01, 0.1, (20, 4))
    forward = likelihood_score(a, va, b, vb, all_pairs=True)
    np.testing.assert_allclose(forward, likelihood_score(b, vb, a, va, all_pairs=True).T, atol=5e-5)
    # With one variance for all, the order is that of the cosine.
    constant = np.full((20, 4), 0.05)
    scores = likelihood_score(a, constant, b, constant)
    assert (np.argsort(scores) == np.argsort(cosine_score(a, b))).all()


def test_cosine_by_hand_and_against_float64():
    # (3, 4) and (4, 3): 24 / 25; norms do not matter.
    np.testing.assert_allclose(cosine_score([[3.0, 4.0]], [[40.0, 30.0]]), [0.96], rtol=1e-6)
    rng = np.random.default_rng(5)
    a, b = unit(rng, 6, 4, 8), unit(rng, 5, 4, 8)
    # Unit groups: the cosine of the whole is the mean of the groups' cosines.
    expected = np.einsum("nkd,mkd->nmk", a.astype(np.float64), b).mean(axis=2)
    np.testing.assert_allclose(cosine_score(a, b, all_pairs=True), expected, atol=1e-6)
    np.testing.assert_allclose(cosine_score(a[:5] / 4, b), np.diag(expected), atol=1e-6)


def test_tensors_are_taken():
    import tensorflow as tf

    a = tf.constant([[[1.0, 0.0]]])
    assert likelihood_score(a, tf.constant([[0.5]]), a, tf.constant([[0.5]])) == 0  # -1/2 (0 + 2 log 1)
    assert cosine_score(a, a) == 1


@pytest.mark.parametrize(
    "change, sentence",
    [
        ({"embedding_a": np.full((2, 2, 3), np.nan)}, "embedding_a, but row 0 holds NaN"),
        ({"variance_a": np.zeros((2, 2))}, "variances above 0, but row 0 of variance_a"),
        ({"variance_b": np.ones((2, 3))}, r"variance_b \[2, 2\]"),
        ({"embedding_b": np.ones((3, 2, 3)), "variance_b": np.ones((3, 2))}, "fit each other"),
        ({"embedding_b": np.ones((2, 6))}, "embedding_b with 3 dimensions"),
        ({"embedding_a": [["x"]]}, "expected numbers in embedding_a"),
    ],
)
def test_bad_input_is_a_sentence(change, sentence):
    good = {
        "embedding_a": np.ones((2, 2, 3)),
        "variance_a": np.ones((2, 2)),
        "embedding_b": np.ones((2, 2, 3)),
        "variance_b": np.ones((2, 2)),
    }
    with pytest.raises(UrfrError, match=sentence):
        likelihood_score(**{**good, **change})


def test_an_embedding_without_direction_is_refused():
    with pytest.raises(UrfrError, match="embedding_b 1 has norm 0"):
        cosine_score(np.ones((2, 3)), [[1, 0, 0], [0, 0, 0]])
    with pytest.raises(UrfrError, match="fit each other"):
        cosine_score(np.ones((2, 3)), np.ones((3, 3)))


def test_an_empty_side_gives_an_empty_matrix():
    empty, none = np.zeros((0, 2, 3)), np.zeros((0, 2))
    full, some = np.ones((4, 2, 3)), np.ones((4, 2))
    assert likelihood_score(empty, none, full, some, all_pairs=True).shape == (0, 4)
