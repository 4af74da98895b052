"""Eigenfaces against a case whose answer is known, and its refusals."""

import numpy as np
import pytest

from urfr_tf.errors import UrfrError
from urfr_tf.evaluation.eigenfaces import Eigenfaces


def test_two_directions_are_found():
    """Pixels vary by 51 (0.2 after division) in one direction and by 25.5 (0.1) in another: with two
    components the coefficients are (+-0.2, 0) and (0, +-0.1) up to sign; normalized, they are unit axes."""
    base = np.full([4, 1, 2, 1], 100.0)
    base[0, 0, 0, 0] += 51
    base[1, 0, 0, 0] -= 51
    base[2, 0, 1, 0] += 25.5
    base[3, 0, 1, 0] -= 25.5
    embedding = Eigenfaces(base, 2).embed(base)
    np.testing.assert_allclose(np.abs(embedding), [[1, 0], [1, 0], [0, 1], [0, 1]], atol=1e-6)
    np.testing.assert_allclose(embedding[0], -embedding[1], atol=1e-6)


@pytest.mark.parametrize("components", [0, 5])
def test_impossible_number_of_components(components):
    with pytest.raises(UrfrError, match="1 to 4 components"):
        Eigenfaces(np.zeros([4, 1, 2, 1]), components)
