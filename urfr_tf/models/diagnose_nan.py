"""After a step that was not finite: which layer it began in."""

from collections.abc import Sequence

import tensorflow as tf

from urfr_tf import keys
from urfr_tf.keras2 import keras


def describe_non_finite(model: keras.Model, batch: tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]) -> str:
    """Says in a few words what is not finite when the model sees a batch with its weights as they are.

    The step that failed left the weights finite (`reduce_and_clip`) and its batch can be made again, so the
    question can be put to it: the weights, then the outputs in the order of the graph, then, where the loss
    does it, the gradients from the loss backwards.

    Args:
        model: a functional model in training; with a method `gradients` as URFaceTrainer has it, or without.
        batch: ({image, label}, {variation}), the global batch, as the pipeline gives it.
    """
    for layer in model.layers:
        if not all_finite(layer.weights):
            return f"the weights of layer {layer.name} are not finite"
    images = tf.convert_to_tensor(batch[0][keys.IMAGE])
    layers = [layer for layer in model.layers if _has_output(layer)]
    probe = keras.Model(model.input, [layer.output for layer in layers])
    strategy = model.distribute_strategy

    def first(values: tf.Tensor) -> tf.Tensor:
        return strategy.experimental_local_results(values)[0]

    outputs = strategy.run(tf.function(lambda x: probe({keys.IMAGE: x}, training=True)), args=(images,))
    largest = float(tf.reduce_max(tf.abs(images)))
    for layer, output in zip(layers, outputs, strict=True):
        value = first(output)
        if not all_finite([value]):
            return f"the output of layer {layer.name} is not finite (largest value before it {largest:.3g})"
        largest = float(tf.reduce_max(tf.abs(tf.cast(value, tf.float32))))
    if not hasattr(model, "gradients") or model.prototypes is not None:
        return "every layer's output is finite"
    theta = model.theta

    def gradients() -> list[tf.Tensor]:
        by_theta: list[tf.Tensor] = model.gradients(theta, model.examples(batch).map(tf.convert_to_tensor))
        return by_theta

    values = [first(value) for value in strategy.run(tf.function(gradients))]
    by_layer = {v.name.split("/")[0]: g for v, g in zip(theta, values, strict=True) if not all_finite([g])}
    for layer in reversed(model.layers):
        if layer.name in by_layer:
            return f"every layer's output is finite, but the gradient of layer {layer.name} is not"
    return "every layer's output and gradient is finite"


def all_finite(values: Sequence[tf.Tensor]) -> bool:
    """Whether tensors hold no NaN and no infinity."""
    return all(bool(tf.reduce_all(tf.math.is_finite(tf.cast(value, tf.float32)))) for value in values)


def _has_output(layer: keras.layers.Layer) -> bool:
    return bool(layer._inbound_nodes) and not isinstance(layer, keras.layers.InputLayer)
