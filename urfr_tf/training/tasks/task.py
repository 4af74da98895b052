"""What a task hands to `train.py`."""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf


@dataclasses.dataclass
class Parts:
    """A compiled training model and what goes with it.

    Attributes:
        model: compiled; has `step`, `second_optimizer` (or None), `make_slots()` and `log_values()`.
        shared: the inference graph over the layers of `model`.
        fresh: the same graph with weights of its own, outside any strategy.
        batches: start_step[, worker, workers] -> the endless stream of global batches from that step on, or
            of that worker's places in them.
        begin: called before the first step of a new run with (images -> outputs of `fresh`), or None.
        measure: a function of (images -> outputs of `fresh`) that gives metrics, or None.
        measure_first: whether `measure` is also taken before the first step, and printed.
        after: called once after the last step.
    """

    model: Any
    shared: keras.Model
    fresh: keras.Model
    batches: Callable[..., tf.data.Dataset]
    begin: Callable[[Callable[..., Any]], None] | None = None
    measure: Callable[[Callable[..., Any]], dict[str, float]] | None = None
    measure_first: bool = False
    after: Callable[[], None] | None = None
