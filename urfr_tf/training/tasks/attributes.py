"""The task `attributes`: theta_A, whose soft predictions become further variation labels."""

from functools import partial

import numpy as np
import tensorflow as tf

from urfr_tf import keys
from urfr_tf.config.tree import Experiment
from urfr_tf.data.manifest import Manifest, load_manifest
from urfr_tf.data.stream.evaluation_stream import evaluation_batches
from urfr_tf.data.stream.record_store import Tensors
from urfr_tf.data.stream.soft_labels import check_soft_labels
from urfr_tf.keras2 import keras
from urfr_tf.metrics.arrays import Float32s
from urfr_tf.models.attribute_network import FEATURES, attribute_network
from urfr_tf.models.attribute_trainer import AttributeSettings, AttributeTrainer
from urfr_tf.training.addons import LearningRate
from urfr_tf.training.optimizers import build_optimizer
from urfr_tf.training.strategy import needs_synchronized_norms
from urfr_tf.training.tasks.batches import configured_batches
from urfr_tf.training.tasks.task import Batch, Embed, Measure, Task


def build_task(
    config: Experiment, manifest: Manifest, schedule: LearningRate, strategy: tf.distribute.Strategy
) -> Task:
    """Builds the compiled attribute network, its adversary, and its measure on people outside training."""
    names = config.attribute_targets
    size = config.model.input_size
    weights = class_weights(read_training_labels(config)) if config.attributes.balanced else None
    with strategy.scope():
        model, network = build_attribute_model(
            config,
            manifest.classes,
            schedule,
            synchronized=needs_synchronized_norms(strategy),
            weights=weights,
        )
    measure = accuracy_measure(config.data.validation, names, size) if config.data.validation else None
    return Task(
        model=model,
        inference=network,
        inference_copy=attribute_network(len(names), size, config.model.zero_pixel),
        batches=partial(attribute_batches, config),
        measure=measure,
    )


def build_attribute_model(
    config: Experiment,
    classes: int,
    schedule: LearningRate,
    *,
    synchronized: bool,
    weights: Float32s | None = None,
) -> tuple[AttributeTrainer, keras.Model]:
    """Builds the compiled training model and the attribute network inside it, in the strategy's scope.

    Args:
        config: the experiment.
        classes: the number of identities, which the adversary `identity` tells apart.
        schedule: the learning rate.
        synchronized: whether batch norms are synchronized over replicas.
        weights: float32 [2, A], the weights of class 0 and 1 of each attribute; None for 1.
    """
    network = attribute_network(
        len(config.attribute_targets),
        config.model.input_size,
        config.model.zero_pixel,
        synchronized=synchronized,
    )
    adversary, second = None, None
    if config.attributes.adversary != "none":
        adversary = keras.layers.Dense(
            classes if config.attributes.adversary == "identity" else 2, dtype="float32", name="adversary"
        )
        adversary.build(network.output[FEATURES].shape)
        second = keras.optimizers.legacy.SGD(config.attributes.adversary_rate, momentum=0.9)
    settings = AttributeSettings(config.attributes.adversary_weight, config.optimizer.clip_norm, weights)
    model = AttributeTrainer(network, settings, adversary)
    half = config.runtime.precision == "mixed_float16"
    model.compile(build_optimizer(config.optimizer, schedule, half_precision=half), second)
    return model, network


def attribute_batches(
    config: Experiment, start_step: int, worker: int = 0, workers: int = 1
) -> tf.data.Dataset:
    """Returns the batches of recognition, changed for the adversary `domain`.

    With that adversary the label is the domain instead of the identity, and the domain is no target. The
    targets also say which images have attributes, as `labeled` float32 [B], 0 or 1.
    """
    stream = configured_batches(config, start_step, worker, workers)
    if config.attributes.adversary != "domain":
        return stream
    names = config.data.soft_labels
    column = names.index(config.attributes.domain)
    others = [index for index, name in enumerate(names) if name in config.attribute_targets]

    def label_by_domain(inputs: Tensors, targets: Tensors) -> Batch:
        values = targets[keys.VARIATION]
        domain = values[:, column] > 0.5
        targets = {
            keys.VARIATION: tf.gather(values, others, axis=1),
            keys.LABELED: tf.cast(~domain, tf.float32),
        }
        return {**inputs, keys.LABEL: tf.cast(domain, tf.int64)}, targets

    return stream.map(label_by_domain, num_parallel_calls=tf.data.AUTOTUNE)


def read_training_labels(config: Experiment) -> Float32s:
    """Reads the targets of the training images that have them, float32 [N, A]."""
    values = read_soft_labels(config.data.train, config.attribute_targets)
    if config.attributes.adversary == "domain":
        values = values[read_soft_labels(config.data.train, [config.attributes.domain])[:, 0] <= 0.5]
    return values


def read_soft_labels(shards: str, names: list[str]) -> Float32s:
    """Reads soft labels from a folder of shards, float32 [N, A] in the order of the records."""
    manifest = load_manifest(shards)
    columns = [
        np.concatenate([np.fromfile(path, "<f4") for path in check_soft_labels(manifest, name)])
        for name in names
    ]
    return np.stack(columns, axis=1)


def class_weights(labels: Float32s) -> Float32s:
    """Returns weights that make both classes of each attribute count alike: 1 / (2 share), float32 [2, A]."""
    positive = np.clip(labels.mean(axis=0), 1e-3, 1 - 1e-3)
    weights: Float32s = np.stack([0.5 / (1 - positive), 0.5 / positive]).astype(np.float32)
    return weights


def accuracy_measure(shards: str, names: list[str], crop_size: int) -> Measure:
    """Returns a measure: `attribute_accuracy` on the images of labeled shards."""
    truth = read_soft_labels(shards, names)

    def measure(predict: Embed) -> dict[str, float]:
        logits = [
            predict(batch[keys.IMAGE])[keys.ATTRIBUTE]
            for batch in evaluation_batches(shards, batch_size=64, crop_size=crop_size)
        ]
        return attribute_accuracy(np.concatenate(logits), truth, names)

    return measure


def attribute_accuracy(logits: Float32s, truth: Float32s, names: list[str]) -> dict[str, float]:
    """Computes the accuracy of each attribute: overall, of class 0 and of class 1, and their mean (balanced).

    Args:
        logits: float [N, A].
        truth: float [N, A]; above 0.5 is class 1.
        names: the A attributes.
    """
    values: dict[str, float] = {}
    for column, name in enumerate(names):
        expected, predicted = truth[:, column] > 0.5, logits[:, column] > 0
        values[f"{name}_accuracy"] = float(np.mean(expected == predicted))
        shares = []
        for value in (0, 1):
            of_class = expected == bool(value)
            if of_class.any():
                shares.append(float(np.mean(predicted[of_class] == bool(value))))
                values[f"{name}_accuracy_{value}"] = shares[-1]
        values[f"{name}_balanced"] = float(np.mean(shares))
    return values
