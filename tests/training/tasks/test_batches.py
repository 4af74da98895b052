"""Batches that a configuration describes."""

import pytest

from urfr_tf.config.load_config import load_config
from urfr_tf.errors import UrfrError
from urfr_tf.training.tasks.batches import configured_batches


def test_worker_shares_that_the_workers_do_not_divide_are_refused(tiny_config):
    with pytest.raises(UrfrError, match="data.worker_shares as a multiple of the 2 workers, but got 1"):
        configured_batches(load_config(tiny_config), 0, 0, 2)
