"""What a training will need, from its configuration: memory by part, steps, bytes on disk.

Intermediate tensors are counted on the traced step (`liveness.py`); the rest is added up. Two constants were
measured, see docs/scale.md.
"""

import dataclasses
import math
from typing import Any

import keras
import tensorflow as tf

from urfr_tf import keys
from urfr_tf.config.tree import Experiment
from urfr_tf.planning.build import build_model, inference_bytes, inputs, kept_per_image
from urfr_tf.planning.liveness import peak_bytes
from urfr_tf.planning.trace import Traced, trace, variable_bytes
from urfr_tf.system import memory
from urfr_tf.system.cores import count_cores

# Executors, threads, compiled kernels and the optimised graph of a process that trains on CPUs.
_RUNTIME = 150 * 2**20
# TensorFlow's CPU allocator gives memory out in regions and rounds blocks up.
_ROUNDING = 1.05
# Batches of pixels that each of the pipeline's threads holds at once, with poses too, and those that wait.
_IN_WORK, _IN_WORK_POSE, _WAITING = 4, 8, 2
_POSE = 50 * 2**20  # its compiler and what it compiled


@dataclasses.dataclass(frozen=True)
class Data:
    """What is known of the training data; None where it is not.

    Attributes:
        classes: C.
        images: N.
        image_size: of the stored images.
        shard_bytes: all shards.
        steps: full batches in a pass.
    """

    classes: int | None = None
    images: int | None = None
    image_size: int | None = None
    shard_bytes: int | None = None
    steps: int | None = None


@dataclasses.dataclass(frozen=True)
class Memory:
    """Bytes by part; all but `base`, `pipeline` and `inference_copy` are of one replica.

    Attributes:
        base: the process before it has built anything, and what running adds on CPUs.
        weights: without the head.
        head: the prototypes.
        optimizer: momentum, averages and everything else that an optimizer keeps for every weight.
        inference_copy: the network that validates and is saved.
        activations: intermediate tensors and gradients at the worst moment of a step.
        pipeline: batches in work, shuffled records, cached images.
        start: what drawing the largest weight needs beside the weights.
        checkpoint: the copy of everything that is saved.
    """

    base: int
    weights: int
    head: int
    optimizer: int
    inference_copy: int
    activations: int
    pipeline: int
    start: int
    checkpoint: int

    def of_replica(self) -> int:
        """The peak of one replica: of a step, of the start, or of a checkpoint."""
        held = self.weights + self.head + self.optimizer
        most = max(held + self.activations, held + self.checkpoint, self.weights + self.head + self.start)
        return int(most * _ROUNDING)

    def of_process(self, replicas: int) -> int:
        """The peak of a process whose replicas share its memory."""
        return self.base + self.inference_copy + self.pipeline + replicas * self.of_replica()


@dataclasses.dataclass(frozen=True)
class Plan:
    """The estimate of one configuration.

    Attributes:
        config: the experiment.
        data: what is known of its data.
        replicas: R, of all workers together.
        parameters: that learn.
        head_parameters: those of the prototypes among them.
        memory: bytes by part.
        workers: processes that share the replicas, the batch and the shards.
        kept_per_image: bytes that every image of a micro-batch certainly needs.
    """

    config: Experiment
    data: Data
    replicas: int
    parameters: int
    head_parameters: int
    memory: Memory
    workers: int = 1
    kept_per_image: int = 0

    @property
    def steps_per_epoch(self) -> int | None:
        """Steps of an epoch, or None where the data are not known."""
        return self.config.train.steps_per_epoch or self.data.steps

    @property
    def images_seen(self) -> int | None:
        """Images of the whole training, repeated ones counted again."""
        steps = self.steps_per_epoch
        return steps * self.config.train.epochs * self.config.data.batch_size if steps else None


def plan(config: Experiment, data: Data, replicas: int, workers: int = 1) -> Plan:
    """Builds and traces the step of one replica without memory for its variables, and adds up.

    Args:
        config: the experiment.
        data: unknown classes count as the fewest that train, 2.
        replicas: R; the global batch is shared out among them.
        workers: the processes that they lie in.
    """
    base = memory.resident()
    classes = data.classes or 2
    policy = keras.mixed_precision.global_policy()
    keras.mixed_precision.set_global_policy(config.runtime.precision)
    try:
        step = trace(lambda: build_model(config, classes, replicas), inputs(config, replicas))
        inference_copy = inference_bytes(config)
    finally:
        keras.mixed_precision.set_global_policy(policy)
    model = step.model
    prototypes = getattr(model, "prototypes", None)
    head = _head(model, prototypes)
    own = {v.ref(): v for v in [*model.theta, *model.trainable_variables, *head]}
    kept = {v.ref(): v for v in [*model.weights, *own.values()]}
    held = sum(variable_bytes(v) for v in step.variables)
    head_bytes = sum(variable_bytes(v) for v in head)
    weights = sum(variable_bytes(v) for v in kept.values()) - head_bytes
    largest = max(variable_bytes(v) for v in kept.values() if prototypes is None or v is not head[0])
    head_parameters = sum(math.prod(v.shape) for v in head)
    return Plan(
        config=config,
        data=data,
        replicas=replicas,
        parameters=sum(math.prod(v.shape) for v in own.values()),
        head_parameters=head_parameters,
        memory=Memory(
            base=base + _RUNTIME,
            weights=weights,
            head=head_bytes,
            optimizer=held - head_bytes - weights,
            inference_copy=inference_copy,
            activations=_activations(step, config, classes, replicas),
            pipeline=pipeline_bytes(config, data, workers),
            start=2 * largest,
            checkpoint=held,
        ),
        workers=workers,
        kept_per_image=kept_per_image(model) if hasattr(model, "layers") else 0,
    )


def pipeline_bytes(config: Experiment, data: Data, workers: int = 1) -> int:
    """Batches in work and waiting, records in the shuffle buffers, cached pixels; of one of the workers."""
    side = config.model.input_size
    batch = config.data.batch_size // workers * side * side * 3 * 4
    pose = "pose" in config.augmentations
    in_work = (_IN_WORK_POSE if pose else _IN_WORK) * count_cores()
    total = batch * (in_work + _WAITING) + (_POSE if pose else 0)
    images = -(-(data.images or 0) // workers)
    if data.images and data.shard_bytes:
        buffers = config.data.shuffle_buffer * (config.data.worker_shares // workers)
        total += min(buffers, images) * data.shard_bytes // data.images
    if config.data.cache and data.image_size:
        total += images * data.image_size**2 * 3
    return total


def _activations(step: Traced, config: Experiment, classes: int, replicas: int) -> int:
    """With several replicas the summed gradients are one more copy of the weights that they share."""
    prototypes = getattr(step.model, "prototypes", None)
    rows = 1
    if prototypes is not None:
        others = prototypes.others(0)
        rows = classes if others is None else min(classes, others + config.data.batch_size)
    most = peak_bytes(step.graph, step.bytes_by_handle(), unknown=rows)
    if replicas > 1:
        most += sum(variable_bytes(v) for v in step.model.theta)
    return most


def _head(model: Any, prototypes: Any) -> list[tf.Variable]:
    """The prototypes' kernel, if there are prototypes."""
    if prototypes is not None:
        return [prototypes.kernel]
    names = {layer.name for layer in model.layers}
    return [model.get_layer(keys.LOGITS).kernel] if keys.LOGITS in names else []
