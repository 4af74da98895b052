"""What the replicas of a strategy tell one another inside a step, as the head's loss wants it."""

import tensorflow as tf


class Replicas:
    """All replicas of the strategy; to be made inside `strategy.run`.

    Attributes:
        count: R.
        index: this replica, 0 <= index < R; a Python number, because shards differ in size.
    """

    def __init__(self) -> None:
        context = tf.distribute.get_replica_context()
        index = tf.get_static_value(context.replica_id_in_sync_group)
        if index is None:
            raise ValueError(
                "expected a strategy whose replicas are traced one by one, as MirroredStrategy's"
            )
        self._context = context
        self.count: int = context.num_replicas_in_sync
        self.index = int(index)

    def gather(self, value: tf.Tensor) -> tf.Tensor:
        """[n, ...] of every replica -> [R * n, ...]."""
        return value if self.count == 1 else self._context.all_gather(value, axis=0)

    def sum(self, value: tf.Tensor) -> tf.Tensor:
        """The sum over the replicas."""
        if self.count == 1:
            return value
        return self._context.all_reduce(tf.distribute.ReduceOp.SUM, value)


class Alone:
    """One replica that needs nobody else."""

    count = 1
    index = 0

    def gather(self, value: tf.Tensor) -> tf.Tensor:
        """The same."""
        return value

    def sum(self, value: tf.Tensor) -> tf.Tensor:
        """The same."""
        return value
