"""One step of sampled or sharded prototypes: which rows, their loss, their update."""

import dataclasses
from collections.abc import Callable

import tensorflow as tf

from urfr_tf.losses import partial_identification
from urfr_tf.losses.partial_identification import Collectives
from urfr_tf.models.collectives import Alone
from urfr_tf.models.partial_prototypes import PartialPrototypes


@dataclasses.dataclass(frozen=True)
class Momentum:
    """SGD with momentum and decoupled weight decay, as `urfr_tf.training.addons.sgdw` has it.

    Attributes:
        schedule: learning rate, a number or a function of the step.
        momentum: 0 <= momentum < 1.
        nesterov: whether the momentum looks ahead.
        weight_decay: in coupled units.
    """

    schedule: Callable[[tf.Tensor], tf.Tensor] | float
    momentum: float
    nesterov: bool
    weight_decay: float


class PrototypeStep:
    """To be made in a replica's context, before the forward pass.

    Attributes:
        rows: of this step.
        sharded: whether replicas hold different rows, so that nobody else adds to their gradient.
    """

    def __init__(
        self,
        prototypes: PartialPrototypes,
        optimizer: Momentum | None,
        labels: tf.Tensor,
        step: tf.Tensor,
        collectives: Collectives,
    ) -> None:
        """`labels` int [b] are this replica's; `collectives` are between all replicas."""
        if optimizer is None:
            raise ValueError("expected a momentum for the prototypes in compile, but got none")
        self._prototypes = prototypes
        self._optimizer = optimizer
        # Read now: the optimizer counts up before or after the prototypes move, in no fixed order.
        self._step = tf.identity(step)
        self.sharded = prototypes.shards > 1
        everybody = collectives.gather(tf.cast(tf.reshape(labels, [-1]), tf.int64))
        shard = collectives.index if self.sharded else 0
        self.rows = prototypes.rows(everybody, self._step, shard)
        self._collectives = collectives
        self._targets = tf.reshape(self.rows.targets, [collectives.count, -1])
        if not self.sharded and collectives.count > 1:
            # Everybody has these rows: the loss of one's own images needs nobody else.
            self._collectives = Alone()
            self._targets = self._targets[collectives.index : collectives.index + 1]

    def identification(
        self,
        embedding: tf.Tensor,
        confidence: tf.Tensor,
        margin: tf.Tensor,
        number: int = 0,
        count: int = 1,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the loss of each image, float32 [b], and whether the right identity came first, bool [b].

        Args:
            embedding: float [b, K, d], of one micro-batch of this replica.
            confidence: float [b, K].
            margin: m, a float32 scalar.
            number: which micro-batch it is.
            count: how many micro-batches the replica has.
        """
        targets = tf.reshape(self._targets, [self._collectives.count, count, -1])[:, number]
        return partial_identification(
            embedding, confidence, self.rows.kernel, tf.reshape(targets, [-1]), margin, self._collectives
        )

    def apply(self, gradient: tf.Tensor) -> None:
        """Moves the rows by their gradient, float32 [S, D], summed over all images of the global batch."""
        optimizer = self._optimizer
        rate = optimizer.schedule(self._step) if callable(optimizer.schedule) else optimizer.schedule
        rate = tf.cast(rate, tf.float32)
        self._prototypes.update(
            self.rows,
            gradient,
            rate=rate,
            decay=rate * (optimizer.weight_decay / (1.0 - optimizer.momentum)),
            momentum=optimizer.momentum,
            nesterov=optimizer.nesterov,
        )

    def apply_if_finite(self, gradient: tf.Tensor, norm: tf.Tensor) -> None:
        """Does `apply`, but leaves the rows as they are where the global norm is not finite."""
        tf.cond(tf.math.is_finite(norm), lambda: self.apply(gradient), lambda: None)
