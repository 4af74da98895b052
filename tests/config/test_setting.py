"""Metadata of keys: every key has its sentence, and a range is checked and spelled as it is meant."""

import dataclasses

import pytest

from urfr_tf.config.load_config import from_dict
from urfr_tf.config.setting import NOT_NEGATIVE, PROBABILITY, Limits, Setting, setting_of
from urfr_tf.config.tree import Experiment
from urfr_tf.errors import UrfrError

RATE = {"optimizer": {"learning_rate": {"type": "constant", "constant": {"learning_rate": 0.1}}}}
# The schedules are groups of tf-models-official, which describe themselves.
FOREIGN = ("optimizer.learning_rate", "optimizer.warmup")


def settings(cls, prefix=""):
    """(dotted key, field) of every key of ours that is not a group."""
    for field in dataclasses.fields(cls):
        full = f"{prefix}{field.name}"
        if dataclasses.is_dataclass(field.default_factory):
            if full not in FOREIGN:
                yield from settings(field.default_factory, f"{full}.")
        else:
            yield full, field


@pytest.mark.parametrize(
    ("key", "field"), settings(Experiment), ids=lambda x: x if isinstance(x, str) else "field"
)
def test_every_key_has_a_sentence_and_a_default_that_it_takes(key, field):
    known = setting_of(field)
    assert known is not None, f"{key} says nothing about itself: declare it with setting()"
    assert known.text[0].isupper() or known.text.startswith(("D,", "K,", "HOST"))
    assert known.text.endswith(".")
    if field.default is not dataclasses.MISSING:
        assert known.objection(key, field.default) is None


@pytest.mark.parametrize(
    ("limits", "inside", "outside", "words"),
    [
        (Limits(minimum=1), (1, 2.5), (0, -1), "at least 1"),
        (Limits(minimum=32, unit="px"), (32,), (31,), "at least 32 px"),
        (Limits(above=0), (1e-9,), (0, -1), "above 0"),
        (Limits(minimum=0, maximum=1), (0, 1), (-0.1, 1.1), "from 0 to 1"),
        (Limits(minimum=0, below=1), (0, 0.99), (1, -0.1), "from 0 to below 1"),
        (Limits(above=0, maximum=1), (0.1, 1), (0, 1.1), "above 0 and at most 1"),
    ],
)
def test_limits(limits, inside, outside, words):
    assert all(limits.hold(value) for value in inside)
    assert not any(limits.hold(value) for value in outside)
    assert limits.spell() == words


def test_objections():
    assert Setting("", limits=NOT_NEGATIVE).objection("a.b", -1) == "a.b must not be negative, but got -1"
    assert (
        Setting("", limits=PROBABILITY).objection("a.b", 2) == "a.b is a probability from 0 to 1, but got 2"
    )
    assert Setting("", choices=("x", "y")).objection("a.b", "z") == "a.b is one of x, y, but got z"
    assert Setting("", limits=Limits(above=0, advice="c does")).objection("a.b", 0) == (
        "a.b must be above 0, but got 0; c does"
    )
    assert Setting("", limits=Limits(above=0)).objection("a.b", None) is None


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"model": {"input_size": 31}}, "model.input_size must be at least 32 px, but got 31"),
        ({"confidence": {"rate": -1.0}}, "confidence.rate must not be negative, but got -1"),
        ({"train": {"keep_checkpoints": 0}}, "train.keep_checkpoints must be at least 1, but got 0"),
        ({"train": {"freeze_batch_norm": "some"}}, "train.freeze_batch_norm is one of none, backbone, all"),
        (
            {"optimizer": {**RATE["optimizer"], "momentum": 1.0}},
            "optimizer.momentum must be from 0 to below 1",
        ),
        (
            {"optimizer": {**RATE["optimizer"], "layer_rates": {"backbone_first": 0.0}}},
            "layer_rates.backbone_first must be above 0, but got 0.0; train.freeze_backbone_epochs freezes",
        ),
        ({"uncertainty": {"images_per_identity": 1}}, "images_per_identity must be at least 2, but got 1"),
        ({"attributes": {"adversary": "me"}}, "attributes.adversary is one of none, identity, domain"),
        ({"augment": {"blur_sizes": [3, 4]}}, "augment.blur_sizes are two odd kernel sizes from 3 to 31"),
        ({"augment": {"resolution_sizes": [16]}}, "resolution_sizes are two numbers of pixels from 8 to 64"),
        ({"data": {"validation": "x"}, "train": {"validate_every": 0}}, "validate_every must be at least 1"),
    ],
)
def test_values_out_of_range(tree, message):
    with pytest.raises(UrfrError, match=message):
        from_dict({**RATE, **tree}, "test")
