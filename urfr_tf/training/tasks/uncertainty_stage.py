"""The task `uncertainty`: fine-tunes the confidence head alone, and proves it (method, section 6)."""

import hashlib
from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from urfr_tf import keys
from urfr_tf.config.tree import Experiment
from urfr_tf.data.manifest import Manifest
from urfr_tf.errors import UrfrError
from urfr_tf.losses import mutual_likelihood
from urfr_tf.models.inference_graph import build_inference, inference_outputs
from urfr_tf.models.uncertainty_trainer import UncertaintyModel
from urfr_tf.models.urface import FEATURES, embedding_network
from urfr_tf.runs.initial_weights import copy_initial_weights
from urfr_tf.training.optimizers import build_optimizer
from urfr_tf.training.tasks.batches import configured_batches
from urfr_tf.training.tasks.task import Parts
from urfr_tf.training.validation import labelled_images


def build(config: Experiment, manifest: Manifest, schedule: Any, strategy: tf.distribute.Strategy) -> Parts:
    """The confidence head in training over a network that does not move."""
    del manifest
    with strategy.scope():
        model, network = build_model(config, schedule)
        copy_initial_weights(network, config)
    learned = {variable.ref() for variable in model.theta}
    fixed = [variable for variable in network.weights if variable.ref() not in learned]
    checksum = digest(fixed)

    def prove() -> None:
        if digest(fixed) != checksum:
            raise UrfrError(
                "weights outside the confidence head moved in the uncertainty stage; this is a defect"
            )
        print(f"{len(fixed)} weights outside the confidence head are unchanged: sha256 {checksum[:16]}")

    measure = None
    if config.data.validation:
        measure = pair_likelihood(config.data.validation, config.model.input_size, config.model.groups)
    return Parts(
        model=model,
        shared=keras.Model(network.input, inference_outputs(network)),
        fresh=build_inference(config),
        batches=partial(configured_batches, config, **config.uncertainty.grouping),
        measure=measure,
        measure_first=True,
        after=prove,
    )


def build_model(config: Experiment, schedule: Any) -> tuple[UncertaintyModel, keras.Model]:
    """The compiled training model and the embedding network inside it; inside the strategy's scope."""
    network = embedding_network(config.model, config.confidence)
    features = network.get_layer(FEATURES).output
    outputs = {keys.EMBEDDING: network.output[keys.EMBEDDING], FEATURES: features}
    model = UncertaintyModel(network.input, outputs, name="uncertainty_training")
    model.configure(head=network.get_layer(keys.CONFIDENCE), clip_norm=config.optimizer.clip_norm)
    half = config.runtime.precision == "mixed_float16"
    model.compile(build_optimizer(config.optimizer, schedule, half_precision=half))
    return model, network


def digest(variables: list[tf.Variable]) -> str:
    """sha256 (hex) over the values of variables, in their order."""
    total = hashlib.sha256()
    for variable in variables:
        total.update(np.ascontiguousarray(variable.numpy()).tobytes())
    return total.hexdigest()


def pair_likelihood(
    shards: str, crop_size: int, groups: int
) -> Callable[[Callable[..., Any]], dict[str, float]]:
    """The mean negative mutual likelihood of genuine pairs of people outside training."""

    def measure(embed: Callable[..., Any]) -> dict[str, float]:
        embedding, variance, labels = [], [], []
        for images, of_batch in labelled_images(shards, crop_size):
            output = embed(images)
            embedding.append(output[keys.EMBEDDING])
            variance.append(output[keys.VARIANCE])
            labels.append(of_batch)
        joined = np.concatenate(embedding)
        unit = joined.reshape(len(joined), groups, -1) * groups**0.5
        return {
            "negative_mutual_likelihood": genuine_mean(unit, np.concatenate(variance), np.concatenate(labels))
        }

    return measure


def genuine_mean(embedding: np.ndarray, variance: np.ndarray, labels: np.ndarray) -> float:
    """Mean over all genuine pairs, person by person: no [N, N] array exists.

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
