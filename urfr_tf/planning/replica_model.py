"""The model of a configuration as one of R replicas has it, built on a machine without the others."""

import functools
import math

import tensorflow as tf

from urfr_tf import keys
from urfr_tf.config.tree import Experiment
from urfr_tf.keras2 import keras
from urfr_tf.models.attribute_network import attribute_network
from urfr_tf.models.gradients import make_slots
from urfr_tf.models.inference_graph import build_inference
from urfr_tf.planning.trace import BatchSpec, trace_variables, variable_bytes
from urfr_tf.training.addons import LearningRate
from urfr_tf.training.optimizers import build_schedule
from urfr_tf.training.tasks import attributes, recognition, uncertainty_stage
from urfr_tf.training.tasks.task import TrainingModel

# Layers whose gradient needs what they read.
_NEED_INPUT = (
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.BatchNormalization,
    keras.layers.PReLU,
)


class AbsentReplicas:
    """Stands in for the collectives with R - 1 absent replicas: gives tensors of the right size.

    Args:
        count: R.

    Attributes:
        count: R.
        index: 0, the shard that is never smaller than another.
    """

    index = 0

    def __init__(self, count: int) -> None:
        self.count = count

    def gather(self, value: tf.Tensor) -> tf.Tensor:
        """Returns [R * n, ...] for [n, ...]."""
        return tf.concat([value] * self.count, axis=0)

    def sum(self, value: tf.Tensor) -> tf.Tensor:
        """Returns a tensor of the same shape."""
        return value


def build_replica_model(config: Experiment, classes: int, replicas: int) -> TrainingModel:
    """Builds the compiled model of one replica with its optimizer's slots, without weights of other runs."""
    # The number of steps only moves the learning rate.
    schedule = build_schedule(config.optimizer, 1)
    synchronized = replicas > 1
    if config.task == "attributes":
        model: TrainingModel
        model, _ = attributes.build_attribute_model(config, classes, schedule, synchronized=synchronized)
    elif config.task == "uncertainty":
        model, _ = uncertainty_stage.build_uncertainty_model(config, schedule)
    else:
        model = _build_recognition(config, classes, schedule, replicas)
    # The first step would make them outside of its graph, where an average has no weight to start from.
    make_slots(getattr(model.optimizer, "inner_optimizer", model.optimizer), model.theta)
    return model


def _build_recognition(
    config: Experiment, classes: int, schedule: LearningRate, replicas: int
) -> TrainingModel:
    model, _ = recognition.build_recognition_model(
        config, classes, synchronized=replicas > 1, replicas=replicas, load=False
    )
    recognition.compile_model(config, model, schedule)
    if replicas > 1:
        model.make_collectives = functools.partial(AbsentReplicas, replicas)
    if config.train.freeze_backbone_epochs >= config.train.epochs:
        model.freeze_backbone(True)
    return model


def kept_per_image(model: TrainingModel) -> int:
    """Computes the bytes of feature maps that a step needs: what convolutions, norms and PReLUs read.

    Their gradients need it, so at the end of the forward pass all of it is in memory at once. It is 0 where
    the backbone does not learn.
    """
    learning = [layer for layer in model.layers if isinstance(layer, _NEED_INPUT) and layer.trainable]
    read = {id(layer.input): layer.input for layer in learning if layer.trainable_weights}
    return sum(math.prod(tensor.shape[1:]) * tensor.dtype.size for tensor in read.values())


def inference_bytes(config: Experiment) -> int:
    """Computes the bytes of the weights of the inference network."""
    if config.task == "attributes":
        count, size = len(config.attribute_targets), config.model.input_size
        variables = trace_variables(lambda: attribute_network(count, size, config.model.zero_pixel))
    else:
        variables = trace_variables(lambda: build_inference(config))
    return sum(variable_bytes(variable) for variable in variables)


def batch_spec(config: Experiment, replicas: int) -> BatchSpec:
    """Returns shapes and types of the batch that one replica's `train_step` takes."""
    batch, side = config.data.batch_size // replicas, config.model.input_size
    features = {
        keys.IMAGE: tf.TensorSpec([batch, side, side, 3]),
        keys.LABEL: tf.TensorSpec([batch], tf.int64),
    }
    if config.task == "attributes":
        targets = {keys.VARIATION: tf.TensorSpec([batch, len(config.attribute_targets)])}
        if config.attributes.adversary == "domain":
            targets[keys.LABELED] = tf.TensorSpec([batch])
        return features, targets
    if config.loss.teacher:
        features[keys.ORIGINAL] = tf.TensorSpec([batch, side, side, 3], tf.uint8)
    return features, {keys.VARIATION: tf.TensorSpec([batch, len(config.variations)])}
