"""What is said when a run goes on with other settings."""

import pytest
from one_unit import MODEL

from urfr_tf.config.load_config import from_dict
from urfr_tf.training.continuation import describe_changes

COSINE = {"type": "cosine", "cosine": {"initial_learning_rate": 0.02}}
FIXED = {"type": "cosine", "cosine": {"initial_learning_rate": 0.02, "decay_steps": 100}}
CONSTANT = {"type": "constant", "constant": {"learning_rate": 0.02}}
_LINE = {"initial_learning_rate": 0.02, "end_learning_rate": 0.0, "power": 1.0}
LINE = {"type": "polynomial", "polynomial": _LINE}


def configured(rate, epochs, **runtime):
    tree = {"model": MODEL, "optimizer": {"learning_rate": rate}, "train": {"epochs": epochs}}
    return from_dict({**tree, "runtime": {"precision": "float32", **runtime}}, "test")


@pytest.mark.parametrize(
    ("rate", "step", "old", "new"),
    [
        (COSINE, 30, "0", "0.01"),  # at the end of 30 steps, in the middle of 60: 0.02 (1 + cos(pi / 2)) / 2
        (COSINE, 20, "0.005", "0.015"),  # 0.02 (1 + cos(2 pi / 3)) / 2, and of pi / 3
        (LINE, 15, "0.01", "0.015"),
    ],
)
def test_a_rate_that_jumps_is_named(rate, step, old, new):
    (sentence,) = describe_changes(configured(rate, 3), configured(rate, 6), 10, step)
    assert f"the learning rate of step {step + 1} is {new}, where it would have been {old}:" in sentence
    assert "train.epochs was 3 and is 6" in sentence and "initial_weights" in sentence


@pytest.mark.parametrize("rate", [FIXED, CONSTANT])
def test_a_schedule_that_does_not_depend_on_the_epochs(rate):
    assert describe_changes(configured(rate, 3), configured(rate, 6), 10, 30) == []


def test_nothing_changed():
    assert describe_changes(configured(COSINE, 3), configured(COSINE, 3), 10, 20) == []


def test_settings_that_change_the_numbers():
    before = configured(COSINE, 3)
    (sentence,) = describe_changes(before, configured(COSINE, 3, precision="mixed_bfloat16"), 10, 20)
    assert "(runtime.precision from float32 to mixed_bfloat16)" in sentence
    assert len(describe_changes(before, configured(COSINE, 6, deterministic=False), 10, 20)) == 2
    assert describe_changes(before, configured(COSINE, 3, data_service="localhost:5000"), 10, 20) == []
