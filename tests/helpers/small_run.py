"""The configuration of a small network, and what loading a path without a good model says."""

import pytest
from one_unit import MODEL

import urfr_tf
from urfr_tf.config.load_config import from_dict
from urfr_tf.errors import UrfrError


def configuration(**model):
    return from_dict(
        {"model": {**MODEL, **model}, "optimizer": {"learning_rate": {"type": "constant"}}}, "test"
    )


def sentence(path):
    with pytest.raises(UrfrError) as error:
        urfr_tf.load(path)
    message = str(error.value)
    assert "\n" not in message and str(path) in message
    return message
