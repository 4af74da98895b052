"""The global batch in words."""

import pytest
from plans import small

from urfr_tf.errors import UrfrError
from urfr_tf.training.description import describe_batch


def test_how_the_global_batch_is_divided():
    """8 images on 2 replicas: 4 for each, or 2 micro-batches of 2."""
    assert describe_batch(small(), 2) == "global batch 8 = 2 replica(s) x 4 images"
    config = small(train={"accumulate": 2})
    assert describe_batch(config, 2) == "global batch 8 = 2 replica(s) x 2 micro-batches x 2 images"


def test_a_batch_that_is_not_divided_evenly_is_refused():
    with pytest.raises(
        UrfrError, match=r"multiple of the replicas times train\.accumulate, but got 8, 3 and 1"
    ):
        describe_batch(small(), 3)
