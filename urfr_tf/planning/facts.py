"""What a plan is for: the number of replicas, and what is known of the training data."""

import dataclasses
from pathlib import Path

import tensorflow as tf

from urfr_tf.config.tree import Experiment
from urfr_tf.data.manifest import load_manifest
from urfr_tf.data.stream.settings import Sampling, WorkerShare
from urfr_tf.data.stream.training_stream import steps_per_pass
from urfr_tf.data.stream.worker_shares import select_share
from urfr_tf.errors import UrfrError


@dataclasses.dataclass(frozen=True)
class DataFacts:
    """What is known of the training data; None where it is not known.

    Attributes:
        classes: C.
        images: N.
        image_size: side of the stored images in pixels.
        shard_bytes: bytes of all shards.
        steps: full batches in a pass.
    """

    classes: int | None = None
    images: int | None = None
    image_size: int | None = None
    shard_bytes: int | None = None
    steps: int | None = None


def count_replicas(config: Experiment, requested: int | None, workers: int = 1) -> tuple[int, int]:
    """Counts the GPUs of this machine and the replicas of the training.

    Args:
        config: the experiment.
        requested: the number of replicas. None takes `runtime.replicas`, or else one for each GPU of each
            worker.
        workers: number of processes.

    Returns:
        (GPUs, R).

    Raises:
        UrfrError: R is below 1 or does not divide the batch, or the workers do not divide R or
            `data.worker_shares`.
    """
    gpus = len(tf.config.list_physical_devices("GPU"))
    detected = max(1, gpus) * workers if config.runtime.strategy != "off" else 1
    replicas = (config.runtime.replicas or detected) if requested is None else requested
    if replicas < 1 or config.data.batch_size % replicas:
        raise UrfrError(
            f"expected a number of replicas that divides data.batch_size: {config.data.batch_size}, "
            f"but got {replicas}"
        )
    if workers < 1 or replicas % workers or config.data.worker_shares % workers:
        raise UrfrError(
            f"expected a number of workers that divides the replicas and data.worker_shares: {replicas} and "
            f"{config.data.worker_shares}, but got {workers}"
        )
    return 0 if config.runtime.replicas else gpus, replicas


def read_data_facts(config: Experiment, classes: int | None, images: int | None) -> DataFacts:
    """Reads what the shards say; without shards, takes the numbers that were given.

    Raises:
        UrfrError: the shards are damaged, or numbers are given although there are shards.
    """
    folder = config.data.train
    if not folder or not (Path(folder) / "manifest.json").is_file():
        batches = images // config.data.batch_size if images else None
        return DataFacts(classes=classes, images=images, steps=batches)
    if classes or images:
        raise UrfrError(f"expected no --classes and no --images, because {folder} says them")
    manifest = load_manifest(folder)
    groups = config.uncertainty.grouping if config.task == "uncertainty" else {}
    return DataFacts(
        classes=manifest.classes,
        images=manifest.images,
        image_size=manifest.image_size,
        shard_bytes=sum(path.stat().st_size for path in manifest.shard_paths),
        steps=steps_per_pass(folder, Sampling(config.data.batch_size, **groups), config.data.worker_shares),
    )


def worker_shard_bytes(config: Experiment, data: DataFacts, workers: int) -> int | None:
    """Computes the bytes of the files that the worker with the most of them reads.

    None where there are no shards.
    """
    if workers == 1 or data.shard_bytes is None:
        return data.shard_bytes
    manifest, shares = load_manifest(config.data.train), config.data.worker_shares
    sizes = [
        sum(path.stat().st_size for path in select_share(manifest, WorkerShare(share, shares)).shard_paths)
        for share in range(shares)
    ]
    per_worker = shares // workers
    return max(sum(sizes[first : first + per_worker]) for first in range(0, shares, per_worker))
