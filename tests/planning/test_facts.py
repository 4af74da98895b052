"""The number of replicas that a plan is for."""

import pytest
from plans import small

from urfr_tf.errors import UrfrError
from urfr_tf.planning.facts import count_replicas


def test_replicas():
    assert count_replicas(small(), None) == (0, 1)
    assert count_replicas(small(runtime={"replicas": 4}), None) == (0, 4)
    with pytest.raises(UrfrError, match="divides"):
        count_replicas(small(), 3)
