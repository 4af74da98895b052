"""The benchmark of scores on a small set: its form and its agreement, never its speed."""

import numpy as np

from urfr_tf.bench import score
from urfr_tf.metrics import likelihood_score


def test_small_measurement_has_the_form_of_the_interface():
    result = score.measure_scores(60, 2)
    assert set(result) == {"machine", "versions", "engine", "seconds", "ratios"}
    assert result["engine"] in ("avx512", "avx2", "plain", "tensorflow")
    for name in ("gemm", "likelihood", "direct_float64"):
        spread = result["seconds"][name]
        assert 0 < spread["min"] <= spread["median"] <= spread["max"]
    assert result["ratios"]["likelihood_over_gemm"] > 0
    assert result["ratios"]["worst_difference"] < 1e-4


def test_the_direct_formula_is_the_method():
    # K = 1, d = 2, orthogonal units: |a - b|^2 = 2, v = 1: -1/2 (2 / 1 + 2 log 1) = -1.
    one = np.array([[[1.0, 0.0]]]), np.array([[0.5]])
    other = np.array([[[0.0, 1.0]]]), np.array([[0.5]])
    assert score.score_directly(*one, *other) == -1
    a, va = score.make_templates(np.random.default_rng(0), 5)
    np.testing.assert_allclose(
        likelihood_score(a, va, a, va), np.diag(score.score_directly(a, va, a, va)), rtol=1e-5
    )
