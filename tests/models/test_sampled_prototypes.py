"""Sampled prototypes in a step: rate 1 is the dense layer, other rows rest, labels keep their digits."""

import numpy as np
import pytest
import small_urface as small
import tensorflow as tf

from urfr_tf import keys
from urfr_tf.config.load_config import from_dict
from urfr_tf.errors import UrfrError
from urfr_tf.keras2 import keras
from urfr_tf.models.partial_prototypes import PartialPrototypes

MANY = 70_001  # beyond 65,504, the greatest number of float16
FAR = [65_503, 65_504, 65_505, 70_000, 2_049, 0]


def test_all_rows_gathered_equal_the_dense_layer():
    """Rate 0.99 of 13 rounds to 13: every row is drawn, in another order at each step; 1e-6."""
    dense, sampled = small.small_urface(), small.small_urface(rate=0.99)
    for model in (dense, sampled):
        small.start_alike(model)
    reference = small.trained(dense, small.batches(3))
    assert small.difference(small.trained(sampled, small.batches(3)), reference) < 1e-6


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("kind", [{}, {"count": 3}])
def test_labels_keep_their_digits_in_half_precision(policy, kind):
    """C = 70,001 through `fit`: the rows of the labels are pulled most (gradient p - 1, others about 1 / C);
    sampled, they and three others are all that moves."""
    keras.mixed_precision.set_global_policy(policy)
    try:
        wrap = keras.mixed_precision.LossScaleOptimizer if policy == "mixed_float16" else None
        model = small.small_urface(MANY, clip=0.0, wrap=wrap, **kind)
        small.start_alike(model, MANY)
        model.fit(small.batches(1, MANY, labels=FAR), verbose=0)
        _, momentum = small.head_of(model)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    pull = np.linalg.norm(momentum, axis=1)
    if kind:
        assert set(FAR) <= set(np.flatnonzero(pull))
        assert np.count_nonzero(pull) == len(FAR) + 3
    else:
        np.testing.assert_array_equal(np.sort(np.argsort(pull)[-len(FAR) :]), np.sort(FAR))
    assert model.get_layer(keys.EMBEDDING).compute_dtype == "float32"


def test_an_overflow_under_loss_scaling_skips_the_prototypes_too():
    """Nothing moves, the scale is halved; Keras counts the step all the same.

    Prototypes of norm 1e-6 have gradients 1e6 times as large: with a loss scale of 2^127 only they overflow.
    """

    def wrap(optimizer):
        return keras.mixed_precision.LossScaleOptimizer(optimizer, initial_scale=2.0**127)

    model = small.small_urface(wrap=wrap, count=3)
    small.start_alike(model)
    model.prototypes.assign(model.prototypes.kernel, 1e-6 * small.head_of(model)[0])
    before = small.head_of(model), small.theta_of(model)
    model.fit(small.batches(1), verbose=0)
    assert small.difference((small.head_of(model), small.theta_of(model)), before) == 0
    assert int(model.step) == 1
    assert float(model.optimizer.loss_scale) == 2.0**126


def test_the_start_does_not_depend_on_the_number_of_shards():
    whole = PartialPrototypes(20_000, 1, 2, seed=3)
    values = whole.values(whole.kernel).numpy()
    block = [tf.random.stateless_normal([1 << 14, 2], [3, b], stddev=2**-0.5).numpy() for b in (0, 1)]
    np.testing.assert_array_equal(values, np.concatenate(block)[:20_000])

    # One variable is both shards' in turn here: the last of 10,000 classes, in both blocks of 16,384.
    class Second(PartialPrototypes):
        def bounds(self, shard):
            return super().bounds(1)

    second = Second(20_000, 1, 2, shards=2, seed=3)
    np.testing.assert_array_equal(second.kernel.numpy(), values[10_000:])


def test_others_are_shared_out():
    """Shards of 4, 4, 4, 1: a rate of 0.5 is 2, 2, 2, round(0.5) = 0; a count of 6 is 2, 2, 1, 1."""
    by_rate = PartialPrototypes(13, 1, 2, shards=4, rate=0.5)
    by_count = PartialPrototypes(13, 1, 2, shards=4, count=6)
    assert [by_rate.others(i) for i in range(4)] == [2, 2, 2, 0]
    assert [by_count.others(i) for i in range(4)] == [2, 2, 1, 1]
    assert PartialPrototypes(13, 1, 2, count=13).others(0) is None


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"head": {"sample_rate": 0.0}}, r"head\.sample_rate is a share above 0"),
        ({"head": {"sample_rate": 0.5, "sample_count": 9}}, "exclude one another"),
        ({"head": {"sharded": True}, "runtime": {"strategy": "multi_worker_mirrored"}}, "mirrored or off"),
        ({"head": {"sharded": True}, "task": "attributes"}, "belongs to task: recognition"),
    ],
)
def test_settings_that_cannot_work(tree, message):
    rate = {"learning_rate": {"type": "constant", "constant": {"learning_rate": 0.1}}}
    with pytest.raises(UrfrError, match=message):
        from_dict({"optimizer": rate, **tree}, "test")
