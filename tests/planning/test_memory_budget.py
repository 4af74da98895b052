"""What cannot fit is refused, with the setting that would fit."""

import dataclasses

import pytest
from plans import small

from urfr_tf.errors import UrfrError
from urfr_tf.planning import memory_budget
from urfr_tf.planning.facts import DataFacts
from urfr_tf.planning.memory_budget import MemoryBudget, alternatives, cannot_fit, check_fit


def test_what_must_be_kept_rules_settings_out_without_a_plan(planned):
    """100 bytes an image: 8 images need 800, and 9 tenths of 500 are 450. 4 images (400) are planned."""
    large = dataclasses.replace(planned, kept_per_image=100)
    budget = MemoryBudget(500, True)
    assert cannot_fit(large, budget, {"head.sample_count": 8192})
    for override in (
        {"data.batch_size": 4},
        {"runtime.precision": "mixed_bfloat16"},
    ):
        assert not cannot_fit(large, budget, override)
    assert cannot_fit(large, MemoryBudget(440, True), {"data.batch_size": 4})
    assert not cannot_fit(large, MemoryBudget(None, False), {"data.batch_size": 8})


def test_what_cannot_fit_is_refused_with_the_setting(planned, monkeypatch):
    """A replica needs 1,050 bytes: 1,000 for the activations of a batch of 8, and 5 % for rounding."""
    nothing = dataclasses.replace(planned.memory, weights=0, head=0, optimizer=0, start=0, checkpoint=0)

    def scaled(config, data, replicas, workers=1):
        size = 1000 * config.data.batch_size // 8
        return dataclasses.replace(
            planned, config=config, memory=dataclasses.replace(nothing, activations=size), kept_per_image=0
        )

    monkeypatch.setattr(memory_budget, "plan_training", scaled)
    large = scaled(planned.config, planned.data, 1)
    check_fit(large, MemoryBudget(1200, True))  # a tenth of 1,200 is spared: 1,080
    check_fit(large, MemoryBudget(None, False))
    # A batch of 4 needs 525, one of 2 needs 262. The smaller change is named. The precision changes nothing.
    message = (
        r"^small needs about 1\.0 KiB, but each of the devices can give 540 B; "
        r"what would fit is data\.batch_size: 4$"
    )
    with pytest.raises(UrfrError, match=message):
        check_fit(large, MemoryBudget(600, True))
    with pytest.raises(UrfrError, match="no single setting"):
        check_fit(large, MemoryBudget(20, True))
    # The program itself is added where the replicas share a process.
    with pytest.raises(UrfrError, match="this machine can give"):
        check_fit(large, MemoryBudget(600, False))


def test_alternatives_divide_and_are_not_there_already():
    config = small(data={"batch_size": 24}, head={"sample_count": 5}, runtime={"precision": "mixed_bfloat16"})
    # 24 = 2^3 * 3 over 3 replicas: 12, 6 and 3 divide.
    assert alternatives(config, DataFacts(classes=10**6), 3) == [
        {"head.sharded": True},
        {"data.batch_size": 12},
        {"data.batch_size": 6},
        {"data.batch_size": 3},
    ]
