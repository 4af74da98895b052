"""Variation masks: half full, pairwise different, seeded; too many are refused."""

import numpy as np
import pytest

from urfr_tf.layers.variation_classifier import variation_masks


def test_half_full_different_and_seeded():
    masks = variation_masks(6, 16, seed=1)
    np.testing.assert_array_equal(masks.sum(1), np.full(6, 8))
    assert len({tuple(mask) for mask in masks}) == 6
    np.testing.assert_array_equal(masks, variation_masks(6, 16, seed=1))
    assert not np.array_equal(masks, variation_masks(6, 16, seed=2))


def test_all_halves_can_be_used():
    assert len({tuple(mask) for mask in variation_masks(6, 4, 0)}) == 6  # binomial(4, 2) = 6


@pytest.mark.parametrize(("variations", "groups"), [(7, 4), (1, 3), (3, 2)])
def test_too_few_groups(variations, groups):
    with pytest.raises(ValueError, match="half masks"):
        variation_masks(variations, groups, 0)


def test_none():
    assert variation_masks(0, 3, 0).shape == (0, 3)
