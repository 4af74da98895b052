"""The task `uncertainty`: fine-tunes the confidence head alone, and proves that nothing else moved.

See method, section 6.
"""

import hashlib
from functools import partial

import numpy as np
import tensorflow as tf

from urfr_tf import keys
from urfr_tf.config.tree import Experiment
from urfr_tf.data.manifest import Manifest
from urfr_tf.errors import UrfrError
from urfr_tf.keras2 import keras
from urfr_tf.losses import mutual_likelihood
from urfr_tf.metrics.arrays import Float32s, Ints
from urfr_tf.metrics.groups import split_groups
from urfr_tf.models.inference_graph import build_inference, inference_outputs
from urfr_tf.models.uncertainty_trainer import UncertaintyTrainer
from urfr_tf.models.urface import embedding_network
from urfr_tf.runs.initial_weights import copy_initial_weights
from urfr_tf.training.addons import LearningRate
from urfr_tf.training.optimizers import build_optimizer
from urfr_tf.training.tasks.batches import configured_batches
from urfr_tf.training.tasks.task import Embed, Measure, Task
from urfr_tf.training.validation import read_image_batches


def build_task(
    config: Experiment, manifest: Manifest, schedule: LearningRate, strategy: tf.distribute.Strategy
) -> Task:
    """Builds the training of the confidence head over a network that does not move."""
    del manifest
    with strategy.scope():
        model, network = build_uncertainty_model(config, schedule)
        copy_initial_weights(network, config)
    learned = {variable.ref() for variable in model.theta}
    fixed = [variable for variable in network.weights if variable.ref() not in learned]
    measure = None
    if config.data.validation:
        measure = likelihood_measure(config.data.validation, config.model.input_size, config.model.groups)
    return Task(
        model=model,
        inference=keras.Model(network.input, inference_outputs(network)),
        inference_copy=build_inference(config),
        batches=partial(configured_batches, config, **config.uncertainty.grouping),
        measure=measure,
        measure_first=True,
        after_last_step=partial(check_unchanged, fixed, digest_variables(fixed)),
    )


def check_unchanged(variables: list[tf.Variable], checksum: str) -> None:
    """Prints that the weights outside the confidence head are unchanged.

    Args:
        variables: those weights.
        checksum: their digest before training.

    Raises:
        UrfrError: one of them moved.
    """
    if digest_variables(variables) != checksum:
        raise UrfrError(
            "weights outside the confidence head changed in the uncertainty stage; this is an error in "
            "urfr_tf, please report it"
        )
    print(f"{len(variables)} weights outside the confidence head are unchanged: sha256 {checksum[:16]}")


def build_uncertainty_model(
    config: Experiment, schedule: LearningRate
) -> tuple[UncertaintyTrainer, keras.Model]:
    """Builds the compiled training model and the embedding network inside it, in the strategy's scope."""
    network = embedding_network(config.model, config.confidence)
    model = UncertaintyTrainer(network, config.optimizer.clip_norm)
    half = config.runtime.precision == "mixed_float16"
    model.compile(build_optimizer(config.optimizer, schedule, half_precision=half))
    return model, network


def digest_variables(variables: list[tf.Variable]) -> str:
    """Computes the SHA-256 (hex) of the values of variables, in their order."""
    total = hashlib.sha256()
    for variable in variables:
        total.update(np.ascontiguousarray(variable.numpy()).tobytes())
    return total.hexdigest()


def likelihood_measure(shards: str, crop_size: int, groups: int) -> Measure:
    """Returns a measure: the mean negative mutual likelihood of genuine pairs of people outside training."""

    def measure(embed: Embed) -> dict[str, float]:
        embedding, variance, labels = [], [], []
        for images, batch_labels in read_image_batches(shards, crop_size):
            output = embed(images)
            embedding.append(output[keys.EMBEDDING])
            variance.append(output[keys.VARIANCE])
            labels.append(batch_labels)
        joined = np.concatenate(embedding)
        unit = split_groups(joined, groups)
        return {
            "negative_mutual_likelihood": genuine_mean(unit, np.concatenate(variance), np.concatenate(labels))
        }

    return measure


def genuine_mean(embedding: Float32s, variance: Float32s, labels: Ints) -> float:
    """Computes the mean negative mutual likelihood of all genuine pairs.

    It goes person by person, so that no [N, N] array is needed.

    Args:
        embedding: float [N, K, d].
        variance: float [N, K].
        labels: int [N].

    Raises:
        UrfrError: no person has two images.
    """
    order = np.argsort(labels, kind="stable")
    starts = np.flatnonzero(np.diff(labels[order], prepend=labels[order][0] - 1))
    total, count = 0.0, 0
    for person in np.split(order, starts[1:]):
        pairs = mutual_likelihood(
            embedding[person], variance[person], np.zeros(len(person), np.int64)
        ).numpy()
        total += float(pairs.sum(dtype=np.float64))
        count += len(pairs)
    if not count:
        raise UrfrError("expected a person with two images in data.validation, but every person has one")
    return total / count
