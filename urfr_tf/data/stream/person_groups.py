"""Records in groups of one person, for the uncertainty stage (P x K sampling), with or without a cap."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def by_identity(
    stream: tf.data.Dataset,
    label_of: Callable[[tuple[tf.Tensor, ...]], tf.Tensor],
    group: int,
    most: int = 0,
    classes: int = 0,
) -> tf.data.Dataset:
    """The records in runs of `group` of one person, in the order in which the runs become full.

    Args:
        stream: records of one pass.
        label_of: a record -> its label, int64.
        group: how many records are a run; what does not fill one is left out.
        most: only the first so many runs of each person; 0 for all. A count for each class is kept.
        classes: C, needed with `most`.
    """
    runs = stream.group_by_window(
        lambda *record: label_of(record),
        lambda _, window: window.batch(group, drop_remainder=True),
        window_size=group,
    )
    if most:

        def count(counts: tf.Tensor, run: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, tuple[tf.Tensor, Any]]:
            label = label_of(tuple(records[0] for records in run))
            taken = tf.tensor_scatter_nd_add(counts, [[label]], [1])
            return taken, (counts[label] < most, run)

        runs = runs.scan(tf.zeros([classes], tf.int32), count)
        runs = runs.filter(lambda wanted, run: wanted).map(lambda wanted, run: run)
    return runs.unbatch()
