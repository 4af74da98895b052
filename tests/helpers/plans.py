"""A small configuration to plan."""

from one_unit import MODEL

from urfr_tf.config.load_config import from_dict

RATE = {"learning_rate": {"type": "constant", "constant": {"learning_rate": 0.01}}}
TREE = {
    "name": "small",
    "data": {"batch_size": 8},
    "model": MODEL,
    "optimizer": RATE,
    "train": {"epochs": 3, "steps_per_epoch": 10},
    "runtime": {"precision": "float32"},
}


def small(**groups):
    merged = {
        key: {**TREE[key], **value} if isinstance(TREE.get(key), dict) else value
        for key, value in groups.items()
    }
    return from_dict({**TREE, **merged}, "test")
