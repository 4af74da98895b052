"""Several processes of one training: which is which, who writes the run folder, how they stop together."""

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf

# What a collective operation fails with when another process is gone.
_LOST = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.InternalError,
    tf.errors.UnavailableError,
)
_CHECK_STEPS = 8


class Workers:
    """The processes of TF_CONFIG under MultiWorkerMirroredStrategy; under any other strategy there is one.

    Attributes:
        count: how many.
        index: this one's place; 0 is the chief.
        check_steps: in how many steps they ask one another whether to stop.
    """

    def __init__(self, strategy: tf.distribute.Strategy) -> None:
        self._strategy = strategy
        self.count, self.index, self.check_steps = 1, 0, 1
        resolver = strategy.cluster_resolver
        if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy) and resolver.task_type:
            cluster = resolver.cluster_spec().as_dict()
            tasks = [(kind, i) for kind in ("chief", "worker") for i in range(len(cluster.get(kind, ())))]
            self.count = len(tasks)
            self.index = tasks.index((resolver.task_type, resolver.task_id))
            self.check_steps = _CHECK_STEPS if self.count > 1 else 1

    @contextlib.contextmanager
    def folder(self, run_dir: Path) -> Iterator[Path]:
        """Where this process writes: the chief into the run folder, the others where it is thrown away.

        All must save, because reading a variable with a value on each replica is a collective operation.
        What the others print on standard output is left out.
        """
        if self.index == 0:
            yield run_dir
            return
        with (
            tempfile.TemporaryDirectory(prefix="urfr-worker-") as folder,
            open(os.devnull, "w", encoding="utf-8") as nowhere,
            contextlib.redirect_stdout(nowhere),
        ):
            yield Path(folder)

    def any(self, asked: bool) -> bool:
        """Whether any process was asked, the same answer in all of them; all must call it."""
        if self.count == 1:
            return asked

        def total() -> Any:
            context = tf.distribute.get_replica_context()
            return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.constant(float(asked)))

        return float(self._strategy.experimental_local_results(self._strategy.run(total))[0]) > 0

    def batches(self, make: Callable[[int, int], tf.data.Dataset]) -> Any:
        """The stream for `fit`.

        Args:
            make: (worker, workers) -> that worker's places of the global batches.
        """
        if self.count == 1:
            return make(0, 1)
        replicas = self._strategy.num_replicas_in_sync // self.count

        def of_worker(context: tf.distribute.InputContext) -> tf.data.Dataset:
            stream = make(self.index, self.count)
            if replicas == 1:
                return stream
            size = tf.nest.flatten(stream.element_spec)[0].shape[0]
            return stream.rebatch(size // replicas, drop_remainder=True)

        return self._strategy.distribute_datasets_from_function(of_worker)

    def lost(self, error: BaseException | None) -> bool:
        """Whether an error of a step says that another process is gone."""
        return self.count > 1 and isinstance(error, _LOST)
