"""The processes of one training: their order, who writes the run folder, and how they agree to stop."""

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import tensorflow as tf

from urfr_tf.system.folder_lock import lock_folder

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
    """The processes of TF_CONFIG under MultiWorkerMirroredStrategy, or this one under any other strategy.

    Args:
        strategy: the distribution strategy.

    Attributes:
        count: number of processes.
        index: the place of this process among them; 0 is the chief.
        check_steps: every so many steps they ask one another whether to stop.
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
    def write_dir(self, run_dir: Path) -> Iterator[Path]:
        """Gives the folder that this process writes into: the run folder to the chief, else a temporary one.

        The chief keeps other trainings out of the run folder, and removes what is left there empty.

        All must save, because reading a variable with a value on each replica is a collective operation.
        The standard output of the others is discarded.

        Raises:
            UrfrError: another training writes into the run folder.
        """
        if self.index == 0:
            with lock_folder(run_dir, "another urfr train"):
                try:
                    yield run_dir
                finally:
                    with contextlib.suppress(OSError):
                        (run_dir / "checkpoints").rmdir()
            return
        with (
            tempfile.TemporaryDirectory(prefix="urfr-worker-") as folder,
            open(os.devnull, "w", encoding="utf-8") as devnull,
            contextlib.redirect_stdout(devnull),
        ):
            yield Path(folder)

    def any_true(self, value: bool) -> bool:
        """Returns whether `value` is true in any process, the same answer in all; all must call it."""
        if self.count == 1:
            return value

        def total() -> tf.Tensor:
            context = tf.distribute.get_replica_context()
            return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.constant(float(value)))

        return float(self._strategy.experimental_local_results(self._strategy.run(total))[0]) > 0

    def distribute(
        self, make_batches: Callable[[int, int], tf.data.Dataset]
    ) -> tf.data.Dataset | tf.distribute.DistributedDataset:
        """Returns the stream for `fit`.

        Args:
            make_batches: (worker, workers) -> that worker's places of the global batches.
        """
        if self.count == 1:
            return make_batches(0, 1)
        replicas = self._strategy.num_replicas_in_sync // self.count

        def batches_of_worker(context: tf.distribute.InputContext) -> tf.data.Dataset:
            stream = make_batches(self.index, self.count)
            if replicas == 1:
                return stream
            size = tf.nest.flatten(stream.element_spec)[0].shape[0]
            return stream.rebatch(size // replicas, drop_remainder=True)

        return self._strategy.distribute_datasets_from_function(batches_of_worker)

    def is_loss(self, error: BaseException) -> bool:
        """Returns whether an error of a step means that another process is gone."""
        return self.count > 1 and isinstance(error, _LOST)
