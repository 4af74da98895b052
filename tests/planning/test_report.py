"""A plan in words and in JSON."""

import pytest
from plans import small

from urfr_tf.errors import UrfrError
from urfr_tf.planning.estimate import plan_training
from urfr_tf.planning.facts import DataFacts, read_data_facts
from urfr_tf.planning.memory_budget import MemoryBudget
from urfr_tf.planning.report import as_json, count_hours, format_plan


def test_lengths(planned):
    # 3 epochs of 10 steps of 8 images, at 2 images a second: 120 s.
    assert planned.images_seen == 240
    assert count_hours(planned, 2.0) == pytest.approx(120 / 3600)
    with pytest.raises(UrfrError, match="--rate above 0"):
        count_hours(planned, 0.0)


def test_shards_that_are_not_here_are_named(planned):
    config = small(data={"train": "/nowhere"}, train={"steps_per_epoch": 0})
    assert read_data_facts(config, None, None) == DataFacts()
    assert read_data_facts(config, 5, 80) == DataFacts(classes=5, images=80, steps=10)
    without = plan_training(config, DataFacts(), 1)
    words = format_plan(without, MemoryBudget(None, False), None)
    assert "unknown: identities and so the head; /nowhere is not here" in words
    assert "unknown: steps of each of the 3 epochs" in words
    assert as_json(without, MemoryBudget(None, False), 1.0)["hours"] is None
    assert f"{planned.parameters - 16_000:,} parameters without the head" in words
