"""What a plan is made for, and its form: words for people, JSON for programs."""

import dataclasses
from pathlib import Path
from typing import Any

import tensorflow as tf

from urfr_tf.config.tree import Experiment
from urfr_tf.data.manifest import load_manifest
from urfr_tf.data.stream.settings import Sampling, WorkerShare
from urfr_tf.data.stream.training_stream import steps_per_pass
from urfr_tf.data.stream.worker_shares import select_share
from urfr_tf.errors import UrfrError
from urfr_tf.planning.estimate import Data, Plan
from urfr_tf.planning.room import Room
from urfr_tf.system.memory import spell as spell_bytes
from urfr_tf.training.description import describe_batch


def replicas_of(config: Experiment, wanted: int | None, workers: int = 1) -> tuple[int, int]:
    """(GPUs of this machine, R): what was asked for, `runtime.replicas`, or one a GPU of each worker.

    Raises:
        UrfrError: R is below 1 or does not divide the batch, or the workers do not divide it or
            `data.worker_shares`.
    """
    gpus = len(tf.config.list_physical_devices("GPU"))
    here = max(1, gpus) * workers if config.runtime.strategy != "off" else 1
    replicas = (config.runtime.replicas or here) if wanted is None else wanted
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


def facts_of_data(config: Experiment, classes: int | None, images: int | None) -> Data:
    """What the shards say; where they are not here, what was told.

    Raises:
        UrfrError: shards that are damaged, or numbers beside shards that are here.
    """
    folder = config.data.train
    if not folder or not (Path(folder) / "manifest.json").is_file():
        batches = images // config.data.batch_size if images else None
        return Data(classes=classes, images=images, steps=batches)
    if classes or images:
        raise UrfrError(f"expected no --classes and no --images, because {folder} says them")
    manifest = load_manifest(folder)
    groups = config.uncertainty.grouping if config.task == "uncertainty" else {}
    return Data(
        classes=manifest.classes,
        images=manifest.images,
        image_size=manifest.image_size,
        shard_bytes=sum(path.stat().st_size for path in manifest.shard_paths),
        steps=steps_per_pass(folder, Sampling(config.data.batch_size, **groups), config.data.worker_shares),
    )


def hours(planned: Plan, rate: float | None) -> float | None:
    """Hours of training at so many images a second, or None where images or rate are not known.

    Raises:
        UrfrError: the rate is not above 0.
    """
    if rate is not None and not rate > 0:
        raise UrfrError(f"expected a --rate above 0 images a second, but got {rate}")
    return planned.images_seen / rate / 3600 if rate and planned.images_seen else None


def as_json(planned: Plan, room: Room, rate: float | None) -> dict[str, Any]:
    """The plan as one object; docs/scale.md has the keys. Memory is in bytes, what is not known is null."""
    steps = planned.steps_per_epoch
    return {
        "name": planned.config.name,
        "replicas": planned.replicas,
        "workers": planned.workers,
        "parameters": planned.parameters if planned.data.classes else None,
        "head_parameters": planned.head_parameters if planned.data.classes else None,
        "memory": {
            **dataclasses.asdict(planned.memory),
            "replica": planned.memory.of_replica(),
            "process": planned.memory.of_process(planned.replicas // planned.workers),
        },
        "needed": room.needed(planned),
        "available": room.size,
        "fits": room.fits(planned),
        "data": {**dataclasses.asdict(planned.data), "worker_shard_bytes": worker_shard_bytes(planned)},
        "steps": steps * planned.config.train.epochs if steps else None,
        "images_seen": planned.images_seen,
        "hours": hours(planned, rate),
    }


def spell(planned: Plan, room: Room, rate: float | None) -> str:
    """The plan in lines, with what could not be known named."""
    config, data, held = planned.config, planned.data, planned.memory
    parts = [
        ("weights", held.weights),
        ("head", held.head),
        ("optimizer", held.optimizer),
        ("activations", held.activations),
        ("copy at a checkpoint", held.checkpoint),
    ]
    without = planned.parameters - planned.head_parameters
    counted = f"{planned.parameters:,} parameters, of the head {planned.head_parameters:,}"
    if data.classes is None:
        counted = f"{without:,} parameters without the head"
    lines = [_title(planned), f"  {counted}"]
    lines += [f"  {name:24} {spell_bytes(size):>10}  a replica" for name, size in parts]
    shared = [("program", held.base), ("inference copy", held.inference_copy), ("input", held.pipeline)]
    lines += [f"  {name:24} {spell_bytes(size):>10}  the process" for name, size in shared]
    whole = "a replica" if room.each else f"the process, {planned.replicas // planned.workers} replica(s)"
    there = "unknown" if room.size is None else spell_bytes(room.size)
    lines.append(f"  {'peak':24} {spell_bytes(room.needed(planned)):>10}  {whole}; available: {there}")
    if data.classes is None:
        lines.append(
            f"  unknown: identities and so the head; {config.data.train or 'data.train'} is not here (--classes C)"
        )
    if data.shard_bytes is not None:
        lines.append(f"  {'shards':24} {spell_bytes(data.shard_bytes):>10}  {data.images:,} images")
        if (share := worker_shard_bytes(planned)) != data.shard_bytes:
            lines.append(f"  {'shards of a worker':24} {spell_bytes(share or 0):>10}  at most")
    return "\n".join([*lines, *_length(planned, rate)])


def worker_shard_bytes(planned: Plan) -> int | None:
    """Bytes of the files that a worker reads, the largest share; None where the shards are not here."""
    config, workers = planned.config, planned.workers
    if workers == 1 or planned.data.shard_bytes is None:
        return planned.data.shard_bytes
    manifest, shares = load_manifest(config.data.train), config.data.worker_shares
    sizes = [
        sum(path.stat().st_size for path in select_share(manifest, WorkerShare(share, shares)).shard_paths)
        for share in range(shares)
    ]
    each = shares // workers
    return max(sum(sizes[first : first + each]) for first in range(0, shares, each))


def _title(planned: Plan) -> str:
    config = planned.config
    if planned.data.classes is None:
        what = f"{config.name}: {config.task} at {config.model.input_size} px"
    else:
        what = f"{config.name}: {config.task} of {planned.data.classes:,} identities at {config.model.input_size} px"
    return (
        f"{what}, {config.runtime.precision}, {planned.workers} worker(s), "
        f"{describe_batch(config, planned.replicas)}"
    )


def _length(planned: Plan, rate: float | None) -> list[str]:
    steps, epochs = planned.steps_per_epoch, planned.config.train.epochs
    if not steps:
        return [f"  unknown: steps of each of the {epochs} epochs (--images N)"]
    lines = [f"  {epochs} epochs of {steps:,} steps: {planned.images_seen:,} images"]
    time = hours(planned, rate)
    lines.append("  unknown: hours (--rate)" if time is None else f"  {time:.1f} hours at {rate:g} images/s")
    return lines
