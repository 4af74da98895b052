"""The benchmark of galleries with a few people: what it reports, not how fast it is."""

import pytest

from urfr_tf.bench import gallery


def test_small_galleries():
    result = gallery.measure_galleries([70, 140], searches=2)
    for name in ("7e1", "1e2"):
        assert result["ratios"][f"likelihood_over_gemv_{name}"] > 0
        assert result["ratios"][f"cosine_p95_over_gemv_{name}"] > 0
        assert result["seconds"][f"open {name}"]["min"] > 0
    # 16 groups of 32 numbers, a square and a variance, and an id; whole panels of 64 columns at most.
    assert 16 * 34 * 4 + 8 <= result["ratios"]["bytes_per_template_matrix"] < 5 * (16 * 34 * 4 + 8) + 200


@pytest.mark.process
def test_beside_it_a_database(database):
    ratios = gallery.measure_galleries([70], searches=2, postgres=database)["ratios"]
    # All 70 are on the short list of 200.
    assert ratios["postgres_recall_known"] == ratios["postgres_recall_strangers"] == 1
