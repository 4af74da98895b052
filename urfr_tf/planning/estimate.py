"""What a training will need, from its configuration: memory by kind, steps, bytes on disk.

Intermediate tensors are counted on the traced step (`liveness.py`), and the rest is added up. Two constants
were measured, see docs/lab/scale.md.
"""

import dataclasses
import math

import tensorflow as tf

from urfr_tf import keys
from urfr_tf.config.tree import Experiment
from urfr_tf.keras2 import keras
from urfr_tf.models.partial_prototypes import PartialPrototypes
from urfr_tf.planning.facts import DataFacts
from urfr_tf.planning.liveness import peak_bytes
from urfr_tf.planning.replica_model import (
    batch_spec,
    build_replica_model,
    inference_bytes,
    kept_per_image,
)
from urfr_tf.planning.trace import TracedStep, trace_step, variable_bytes
from urfr_tf.system import memory
from urfr_tf.system.cores import count_cores
from urfr_tf.training.tasks.task import TrainingModel

# Executors, threads, compiled kernels and the optimized graph of a process that trains on CPUs.
_RUNTIME = 150 * 2**20
# TensorFlow's CPU allocator gives memory out in regions and rounds blocks up.
_ROUNDING = 1.05
# Batches of pixels that each thread of the pipeline holds at once, the same with poses, and those that wait.
_IN_WORK, _IN_WORK_POSE, _WAITING = 4, 8, 2
_POSE = 50 * 2**20  # its compiler and what it compiled


@dataclasses.dataclass(frozen=True)
class MemoryEstimate:
    """Bytes by what they are for; all but `base`, `pipeline` and `inference_copy` are of one replica.

    Attributes:
        base: the process before it has built anything, and what running adds on CPUs.
        weights: the weights without the head.
        head: the prototypes.
        optimizer: momentum, averages and everything else that an optimizer keeps for every weight.
        inference_copy: the network that validates and is saved.
        activations: intermediate tensors and gradients at the worst moment of a step.
        pipeline: batches in work, shuffled records, cached images.
        start: what is needed besides the weights while the largest of them is drawn.
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
        """Returns the peak of one replica: of a step, of the start, or of a checkpoint."""
        state = self.weights + self.head + self.optimizer
        peak = max(state + self.activations, state + self.checkpoint, self.weights + self.head + self.start)
        return int(peak * _ROUNDING)

    def of_process(self, replicas: int) -> int:
        """Returns the peak of a process whose replicas share its memory."""
        return self.base + self.inference_copy + self.pipeline + replicas * self.of_replica()


@dataclasses.dataclass(frozen=True)
class Plan:
    """The estimate of one configuration.

    Attributes:
        config: the experiment.
        data: what is known of its data.
        replicas: R, of all workers together.
        parameters: number of parameters that learn.
        head_parameters: number of them in the prototypes.
        memory: bytes by what they are for.
        workers: processes that share the replicas, the batch and the shards.
        kept_per_image: bytes that every image of a micro-batch certainly needs.
    """

    config: Experiment
    data: DataFacts
    replicas: int
    parameters: int
    head_parameters: int
    memory: MemoryEstimate
    workers: int = 1
    kept_per_image: int = 0

    @property
    def replicas_per_worker(self) -> int:
        """The replicas of one process."""
        return self.replicas // self.workers

    @property
    def steps_per_epoch(self) -> int | None:
        """The steps of an epoch, or None where the data are not known."""
        return self.config.train.steps_per_epoch or self.data.steps

    @property
    def images_seen(self) -> int | None:
        """The images of the whole training, repeated ones counted again."""
        steps = self.steps_per_epoch
        return steps * self.config.train.epochs * self.config.data.batch_size if steps else None


def plan_training(config: Experiment, data: DataFacts, replicas: int, workers: int = 1) -> Plan:
    """Builds and traces the step of one replica without memory for its variables, and adds up.

    Args:
        config: the experiment.
        data: unknown classes count as the fewest that train, 2.
        replicas: R; they share the global batch.
        workers: number of processes; they share the replicas.
    """
    base = memory.resident()
    classes = data.classes or 2
    policy = keras.mixed_precision.global_policy()
    keras.mixed_precision.set_global_policy(config.runtime.precision)
    try:
        step = trace_step(
            lambda: build_replica_model(config, classes, replicas), batch_spec(config, replicas)
        )
        inference_copy = inference_bytes(config)
    finally:
        keras.mixed_precision.set_global_policy(policy)
    sizes = _measure_variables(step)
    return Plan(
        config=config,
        data=data,
        replicas=replicas,
        parameters=sizes.parameters,
        head_parameters=sizes.head_parameters,
        memory=MemoryEstimate(
            base=base + _RUNTIME,
            weights=sizes.weights,
            head=sizes.head,
            optimizer=sizes.total - sizes.head - sizes.weights,
            inference_copy=inference_copy,
            activations=_activations(step, config, classes, replicas),
            pipeline=pipeline_bytes(config, data, workers),
            start=2 * sizes.largest,
            checkpoint=sizes.total,
        ),
        workers=workers,
        kept_per_image=kept_per_image(step.model) if hasattr(step.model, "layers") else 0,
    )


@dataclasses.dataclass(frozen=True)
class _VariableSizes:
    """Sizes of the variables of a step.

    Attributes:
        parameters: number of parameters that learn.
        head_parameters: number of them in the prototypes.
        total: bytes of all variables, those of the optimizer and of the metrics too.
        weights: bytes of the model's weights without the head.
        head: bytes of the prototypes.
        largest: bytes of the largest weight that is drawn at the start.
    """

    parameters: int
    head_parameters: int
    total: int
    weights: int
    head: int
    largest: int


def _measure_variables(step: TracedStep) -> _VariableSizes:
    model = step.model
    prototypes = _partial_prototypes(model)
    head = _head_variables(model)
    learned = {v.ref(): v for v in [*model.theta, *model.trainable_variables, *head]}
    weights = {v.ref(): v for v in [*model.weights, *learned.values()]}
    head_bytes = sum(variable_bytes(v) for v in head)
    # Sampled or sharded prototypes are not drawn at once.
    drawn = [v for v in weights.values() if prototypes is None or v is not head[0]]
    return _VariableSizes(
        parameters=sum(math.prod(v.shape) for v in learned.values()),
        head_parameters=sum(math.prod(v.shape) for v in head),
        total=sum(variable_bytes(v) for v in step.variables),
        weights=sum(variable_bytes(v) for v in weights.values()) - head_bytes,
        head=head_bytes,
        largest=max(variable_bytes(v) for v in drawn),
    )


def pipeline_bytes(config: Experiment, data: DataFacts, workers: int = 1) -> int:
    """Computes the bytes of one worker's input.

    These are batches in work and waiting, records in the shuffle buffers, and cached pixels.
    """
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


def _activations(step: TracedStep, config: Experiment, classes: int, replicas: int) -> int:
    """Computes the bytes of intermediate tensors and gradients at the worst moment of a step."""
    prototypes = _partial_prototypes(step.model)
    rows = 1
    if prototypes is not None:
        others = prototypes.others(0)
        rows = classes if others is None else min(classes, others + config.data.batch_size)
    size = peak_bytes(step.graph, step.bytes_by_handle(), unknown=rows)
    if replicas > 1:  # The summed gradients are one more copy of the weights that the replicas share.
        size += sum(variable_bytes(v) for v in step.model.theta)
    return size


def _partial_prototypes(model: TrainingModel) -> PartialPrototypes | None:
    """Returns the sampled or sharded prototypes, which are not in the graph, or None."""
    prototypes: PartialPrototypes | None = getattr(model, "prototypes", None)
    return prototypes


def _head_variables(model: TrainingModel) -> list[tf.Variable]:
    """Returns the kernel of the prototypes, or nothing where there are no prototypes."""
    prototypes = _partial_prototypes(model)
    if prototypes is not None:
        return [prototypes.kernel]
    names = {layer.name for layer in model.layers}
    return [model.get_layer(keys.LOGITS).kernel] if keys.LOGITS in names else []
