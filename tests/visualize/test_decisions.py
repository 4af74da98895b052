"""Decisions about pairs: cosines and thresholds against the definition, in float64."""

import numpy as np
import pytest

from urfr_tf.errors import UrfrError
from urfr_tf.evaluation.degradations import Degradation
from urfr_tf.visualize.decisions import decide_pairs

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, [8, 4, 4, 3], np.uint8)
LABELS = np.repeat(np.arange(4), 2)
KERNELS = {"before": RANDOM.normal(size=[48, 5]), "after": RANDOM.normal(size=[48, 5])}
GAMMA = Degradation("gamma", 2.0)
FAR = 0.25  # of 48 pairs of two people: 12


def embed(name, images):
    vectors = np.reshape(images, [len(images), -1]).astype(np.float64) @ KERNELS[name]
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def models():
    return {name: lambda images, name=name: {"embedding": embed(name, images)} for name in KERNELS}


def test_cosines_and_the_decision_at_each_columns_own_far():
    pairs = [(0, 1), (2, 5)]
    rows = decide_pairs(models(), IMAGES, LABELS, [None, GAMMA], FAR, pairs)
    dark = np.rint(255 * (IMAGES / 255.0) ** 2)
    assert [row.one_person for row in rows] == [True, False]
    for m, name in enumerate(KERNELS):
        for column, version in enumerate([IMAGES, dark]):
            matrix = embed(name, IMAGES) @ embed(name, version).T
            impostors = sorted(matrix[LABELS[:, None] != LABELS], reverse=True)
            assert len(impostors) == 48
            for row, (a, b) in zip(rows, pairs, strict=True):
                assert row.scores[m, column] == pytest.approx(matrix[a, b], abs=1e-4)
                assert row.accepted[m, column] == (matrix[a, b] >= impostors[11])
                np.testing.assert_array_equal(row.face, IMAGES[a])
                np.testing.assert_allclose(row.others[column], version[b], atol=1)


def test_too_few_pairs_for_the_far():
    with pytest.raises(UrfrError, match="FAR"):
        decide_pairs(models(), IMAGES, LABELS, [None], 1e-3, [(0, 1)])
