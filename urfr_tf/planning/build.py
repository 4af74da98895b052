"""The model of a configuration as one of R replicas has it, for a plan on a machine without them."""

import functools
import math
from typing import Any

import keras
import tensorflow as tf

from urfr_tf import keys
from urfr_tf.config.tree import Experiment
from urfr_tf.models.attribute_network import attribute_network
from urfr_tf.models.inference_graph import build_inference
from urfr_tf.planning.trace import variable_bytes, variables_of
from urfr_tf.training.optimizers import build_schedule
from urfr_tf.training.tasks import attributes, recognition
from urfr_tf.training.tasks import uncertainty_stage as uncertainty

_NEED_INPUT = (
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.BatchNormalization,
    keras.layers.PReLU,
)


class Exchanged:
    """What a replica gets from R - 1 others that are not there: tensors of the right size.

    Attributes:
        count: R.
        index: 0, the shard that is never smaller than another.
    """

    index = 0

    def __init__(self, count: int) -> None:
        self.count = count

    def gather(self, value: tf.Tensor) -> tf.Tensor:
        """[n, ...] -> [R * n, ...]."""
        return tf.concat([value] * self.count, axis=0)

    def sum(self, value: tf.Tensor) -> tf.Tensor:
        """The same shape."""
        return value


def build_model(config: Experiment, classes: int, replicas: int) -> Any:
    """The compiled model of one replica with its optimizer's slots, without weights of other runs."""
    # The number of steps only moves the learning rate.
    schedule = build_schedule(config.optimizer, 1)
    synchronized = replicas > 1
    if config.task == "attributes":
        model: Any = attributes.build_model(config, classes, schedule, synchronized=synchronized)[0]
    elif config.task == "uncertainty":
        model = uncertainty.build_model(config, schedule)[0]
    else:
        model, _ = recognition.build_model(
            config, classes, synchronized=synchronized, replicas=replicas, load=False
        )
        recognition.compile_model(config, model, schedule)
        if replicas > 1:
            model.exchange = functools.partial(Exchanged, replicas)
    if config.train.freeze_backbone_epochs >= config.train.epochs:
        model.freeze_backbone(True)
    # The first step would make them outside of its graph, where an average has no weight to start from.
    getattr(model.optimizer, "inner_optimizer", model.optimizer)._create_all_weights(model.theta)
    return model


def kept_per_image(model: Any) -> int:
    """Bytes of feature maps that a step cannot do without: what convolutions, norms and PReLUs read.

    Their gradients need it, so at the end of the forward pass all of it is there at once. 0 where the backbone
    does not learn.
    """
    learning = [layer for layer in model.layers if isinstance(layer, _NEED_INPUT) and layer.trainable]
    read = {id(layer.input): layer.input for layer in learning if layer.trainable_weights}
    return sum(math.prod(tensor.shape[1:]) * tensor.dtype.size for tensor in read.values())


def inference_bytes(config: Experiment) -> int:
    """Bytes of the inference network's own weights."""
    if config.task == "attributes":
        count, size = len(config.attribute_targets), config.model.input_size
        made = variables_of(lambda: attribute_network(count, size))
    else:
        made = variables_of(lambda: build_inference(config))
    return sum(variable_bytes(v) for v in made)


def inputs(config: Experiment, replicas: int) -> Any:
    """What one replica's `train_step` is given, as a structure of `tf.TensorSpec`."""
    batch, side = config.data.batch_size // replicas, config.model.input_size
    features = {
        keys.IMAGE: tf.TensorSpec([batch, side, side, 3]),
        keys.LABEL: tf.TensorSpec([batch], tf.int64),
    }
    if config.task == "attributes":
        targets = {keys.VARIATION: tf.TensorSpec([batch, len(config.attribute_targets)])}
        if config.attributes.adversary == "domain":
            targets[keys.LABELLED] = tf.TensorSpec([batch])
        return features, targets
    if config.loss.teacher:
        features[keys.ORIGINAL] = tf.TensorSpec([batch, side, side, 3], tf.uint8)
    return features, {keys.VARIATION: tf.TensorSpec([batch, len(config.variations)])}
