"""A plan that the tests of planning share."""

import pytest
from plans import small

from urfr_tf.planning.estimate import plan_training
from urfr_tf.planning.facts import DataFacts


@pytest.fixture(scope="session")
def planned():
    return plan_training(small(), DataFacts(classes=1000, images=80, steps=10), 1)
