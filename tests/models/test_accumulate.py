"""Micro-batches one after the other move the weights as the global batch at once does."""

import numpy as np
import pytest
import small_urface as small
import tensorflow as tf
from one_unit import MODEL

from urfr_tf import keys
from urfr_tf.config.load_config import from_dict
from urfr_tf.errors import UrfrError
from urfr_tf.keras2 import keras
from urfr_tf.training.description import describe_batch
from urfr_tf.training.optimizers import build_schedule
from urfr_tf.training.tasks.recognition import build_recognition_model, compile_model

RATE = {"type": "constant", "constant": {"learning_rate": 0.05}}


@pytest.mark.parametrize(("partial", "most"), [({}, small.B), ({"rate": 0.5}, 4), ({"count": 3}, 4)])
def test_equals_one_batch(partial, most):
    """Three steps with momentum, decay and clipping: loss, norm, prototypes, momentum, other weights."""
    results = []
    for count in (1, 2, most):
        model = small.small_urface(accumulate=count, **partial)
        small.start_alike(model)
        results.append(small.trained(model, small.batches(3)))
    one, *several = results
    for result in several:
        assert small.difference(one, result) < 2e-6


def config(accumulate, **train):
    return from_dict(
        {
            "data": {"batch_size": 8},
            "model": MODEL,
            "optimizer": {"learning_rate": RATE, "clip_norm": 5.0},
            "train": {"accumulate": accumulate, **train},
        },
        "test",
    )


def test_a_network_with_frozen_batch_norms_equals_one_batch():
    """One step of the whole network; batch norms that learn would take statistics from a micro-batch."""
    random = np.random.default_rng(0)
    images = random.uniform(0, 255, [8, 32, 32, 3]).astype(np.float32)
    inputs = {keys.IMAGE: images, keys.LABEL: random.integers(0, 5, 8)}
    data = tf.data.Dataset.from_tensors((inputs, {keys.VARIATION: np.zeros([8, 0], np.float32)}))
    weights = []
    for accumulate in (1, 2):
        settings = config(accumulate, freeze_batch_norm="all")
        keras.utils.set_random_seed(0)
        model, _ = build_recognition_model(settings, 5, synchronized=False)
        compile_model(settings, model, build_schedule(settings.optimizer, 10))
        model.make_slots()
        model.fit(data, verbose=0)
        weights.append([v.numpy() for v in model.theta])
    for one, two in zip(*weights, strict=True):
        np.testing.assert_allclose(two, one, atol=2e-6, rtol=1e-5)


def test_the_global_batch_is_spelt_out():
    assert describe_batch(config(2), 2) == "global batch 8 = 2 replica(s) x 2 micro-batches x 2 images"
    assert describe_batch(config(1), 1) == "global batch 8 = 1 replica(s) x 8 images"
    with pytest.raises(
        UrfrError, match="multiple of the replicas times train.accumulate, but got 8, 3 and 2"
    ):
        describe_batch(config(2), 3)


def test_what_does_not_divide_is_refused():
    with pytest.raises(UrfrError, match="divide data.batch_size, the global batch, but got 3 and 8"):
        config(3)
