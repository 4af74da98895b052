"""Prototypes of which a step touches some rows only, in shards (Partial FC, An et al., 2021).

Every replica holds `ceil(C / shards)` rows of the kernel and of its momentum, and updates them itself: no
optimizer, no gradient and no copy of all C rows exists. With one shard every replica holds all rows and all
must be given the same update.
"""

import dataclasses
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from urfr_tf.models.prototype_sampling import places, sampled_rows

_BLOCK = 1 << 14  # rows that are drawn at once when the kernel starts


@dataclasses.dataclass(frozen=True)
class Rows:
    """The rows of one shard in one step.

    Attributes:
        kernel: float32 [S, D].
        targets: int32 [B], the place of each label among the rows; -1 where another shard has it.
        indices: int32 [S] rows of the shard, all different; None for all its rows in order.
    """

    kernel: tf.Tensor
    targets: tf.Tensor
    indices: tf.Tensor | None


class PartialPrototypes(tf.__internal__.tracking.Trackable):
    """Kernel and momentum [classes, groups * dim] in shards; to be made inside the strategy's scope.

    A checkpoint holds both whole, so it goes onto any other number of shards.

    Args:
        classes: C.
        groups: K.
        dim: d.
        shards: 1, or the number of replicas.
        rate: share of the other identities that a step draws, 0 < rate <= 1; 1 takes all.
        count: how many others a step draws in all, in place of `rate`; 0 for `rate`.
        seed: of the kernel's start and of the draws, which depend on nothing else but the step and the shard.
    """

    def __init__(
        self,
        classes: int,
        groups: int,
        dim: int,
        *,
        shards: int = 1,
        rate: float = 1.0,
        count: int = 0,
        seed: int = 0,
    ) -> None:
        self.classes = classes
        self.width = groups * dim
        self.shards = shards
        self.rate = rate
        self.count = count
        self.seed = seed
        self.local = -(-classes // shards)
        self._strategy = tf.distribute.get_strategy()
        # ON_READ and NONE: one value a replica, never averaged, never copied from one to the other.
        self.kernel, self.momentum = (
            tf.Variable(
                lambda: tf.zeros([self.local, self.width]),
                trainable=False,
                name=f"prototypes_{name}",
                synchronization=tf.VariableSynchronization.ON_READ,
                aggregation=tf.VariableAggregation.NONE,
            )
            for name in ("kernel", "momentum")
        )
        self._draw(dim**-0.5)

    def bounds(self, shard: int) -> tuple[int, int]:
        """First class of a shard, and how many it has; the last shards may have fewer, or none."""
        start = min(shard * self.local, self.classes)
        return start, min(self.local, self.classes - start)

    def others(self, shard: int) -> int | None:
        """How many rows besides the batch's own identities a step draws from a shard; None for all."""
        _, size = self.bounds(shard)
        if self.count:
            wanted = self.count // self.shards + (shard < self.count % self.shards)
            return min(size, wanted) if self.count < self.classes else None
        return None if self.rate == 1.0 else round(self.rate * size)

    def rows(self, labels: tf.Tensor, step: tf.Tensor, shard: int) -> Rows:
        """The rows of this step, in a replica's context.

        Args:
            labels: int [B], of the global batch, the same on every replica.
            step: int scalar.
            shard: which shard this replica holds.
        """
        start, size = self.bounds(shard)
        others = self.others(shard)
        if others is None:
            where, local = places(labels, start, size)
            targets = tf.fill([tf.size(labels)], -1)
            targets = tf.tensor_scatter_nd_update(targets, where, tf.cast(local, tf.int32))
            kernel = tf.raw_ops.ReadVariableOp(resource=self.kernel.handle, dtype=tf.float32)
            return Rows(tf.ensure_shape(kernel, [self.local, self.width])[:size], targets, None)
        seed = tf.random.experimental.stateless_fold_in(
            tf.constant([self.seed, shard], tf.int64), tf.cast(step, tf.int64)
        )
        indices, targets = sampled_rows(labels, start, size, others, seed)
        return Rows(self._gathered(indices), targets, indices)

    def update(
        self,
        rows: Rows,
        gradient: tf.Tensor,
        *,
        rate: tf.Tensor,
        decay: tf.Tensor,
        momentum: float,
        nesterov: bool,
    ) -> None:
        """Decay, then momentum, of the rows alone; what the optimizer does to a dense kernel.

        w <- (1 - decay) w;  v <- momentum v - rate g;  w <- w + v  (Nesterov: w + momentum v - rate g).

        Args:
            rows: of this step.
            gradient: g, float32 [S, D].
            rate: the learning rate, a float32 scalar.
            decay: of the weights, a float32 scalar in [0, 1).
            momentum: 0 <= momentum < 1.
            nesterov: whether the momentum looks ahead.
        """
        kernel, velocity = self.kernel.handle, self.momentum.handle
        settings = {"lr": rate, "momentum": momentum, "use_nesterov": nesterov}
        if rows.indices is None:
            short = self.local - rows.kernel.shape[0]
            if short:
                gradient = tf.pad(gradient, [[0, short], [0, 0]])
            whole = tf.raw_ops.ReadVariableOp(resource=kernel, dtype=tf.float32)
            with tf.control_dependencies([gradient]):
                tf.raw_ops.AssignSubVariableOp(resource=kernel, value=decay * whole)
                tf.raw_ops.ResourceApplyKerasMomentum(
                    var=kernel, accum=velocity, grad=gradient, use_locking=True, **settings
                )
            return
        # Gathered anew, so that the rows need not live through the backward pass.
        with tf.control_dependencies([gradient]):
            taken = decay * self._gathered(rows.indices)
        tf.raw_ops.ResourceScatterSub(resource=kernel, indices=rows.indices, updates=taken)
        tf.raw_ops.ResourceSparseApplyKerasMomentum(
            var=kernel, accum=velocity, grad=gradient, indices=rows.indices, use_locking=True, **settings
        )

    def of_replicas(self) -> list[tuple[tf.Variable, tf.Variable]]:
        """Kernel and momentum as each replica holds them, float32 [local, D]."""
        kernels, momenta = self._components(self.kernel), self._components(self.momentum)
        return list(zip(kernels, momenta, strict=True))

    def values(self, variable: tf.Variable) -> tf.Tensor:
        """`kernel` or `momentum` whole, float32 [C, D]; outside the replicas' context."""
        components = self._components(variable)[: self.shards]
        if self.shards == 1:  # No copy of what may fill half of the memory.
            return components[0].read_value()
        return tf.concat([c[: self.bounds(i)[1]] for i, c in enumerate(components)], 0)

    def assign(self, variable: tf.Variable, values: tf.Tensor | npt.NDArray[np.float32]) -> None:
        """Sets `kernel` or `momentum` from all C rows."""
        self._each(variable, lambda start, size: tf.convert_to_tensor(values[start : start + size]))

    def _gathered(self, indices: tf.Tensor) -> tf.Tensor:
        gathered = tf.raw_ops.ResourceGather(resource=self.kernel.handle, indices=indices, dtype=tf.float32)
        return tf.ensure_shape(gathered, [None, self.width])

    def _each(self, variable: tf.Variable, rows: Callable[[int, int], tf.Tensor]) -> None:
        for index, component in enumerate(self._components(variable)):
            start, size = self.bounds(index % self.shards)
            values = rows(start, size)
            if size < self.local:
                values = tf.pad(values, [[0, self.local - size], [0, 0]])
            component.assign(values, read_value=False)

    def _draw(self, deviation: float) -> None:
        """Normal numbers by block of classes: the same start whatever the number of shards.

        Each block is written where it belongs; all at once would need three times the kernel's memory.
        """
        for index, component in enumerate(self._components(self.kernel)):
            start, size = self.bounds(index % self.shards)
            for block in range(start // _BLOCK, -(-(start + size) // _BLOCK) if size else 0):
                first = block * _BLOCK
                low, high = max(start, first), min(start + size, first + _BLOCK)
                drawn = tf.random.stateless_normal([_BLOCK, self.width], [self.seed, block], stddev=deviation)
                tf.raw_ops.ResourceScatterUpdate(
                    resource=component.handle,
                    indices=tf.range(low - start, high - start),
                    updates=drawn[low - first : high - first],
                )

    # TensorFlow's protocol of a checkpoint. Whole tensors, because their names and shapes must not depend
    # on the number of shards; several slices of one tensor are lost in restoring (2.15).
    def _serialize_to_tensors(self) -> dict[str, tf.Tensor]:
        return {"kernel": self.values(self.kernel), "momentum": self.values(self.momentum)}

    def _restore_from_tensors(self, restored: dict[str, tf.Tensor]) -> None:
        self.assign(self.kernel, restored["kernel"])
        self.assign(self.momentum, restored["momentum"])

    def _components(self, variable: tf.Variable) -> tuple[tf.Variable, ...]:
        """The variable of each replica; one outside any strategy is its own."""
        return tuple(self._strategy.experimental_local_results(variable))
