"""Quantization-aware training of the backbone, for networks that int8 hurts.

The network learns, with the rounding of int8 in its convolutions and between them (the wrappers of TensorFlow
Model Optimization), to give the embeddings and confidences that it gives without: it is its own teacher, so
that neither labels nor prototypes are needed. The heads do not learn: the file computes them in float.
"""

import numpy as np
import tensorflow as tf

from urfr_tf import keys
from urfr_tf.export.equalize import EQUALIZED_ON, equalize_channels
from urfr_tf.export.fold_batch_norm import Shift, fold_batch_norm
from urfr_tf.export.images import Images
from urfr_tf.keras2 import keep_tf_keras, keras

with keep_tf_keras():
    import tensorflow_model_optimization as tfmot

BATCH = 16


def train_for_int8(
    network: keras.Model, images: Images, steps: int, *, rate: float = 1e-5, seed: int = 0
) -> keras.Model:
    """Trains the convolutions of the folded network for int8.

    Args:
        network: {image [B, S, S, 3]} -> {embedding, confidence, variance}; it is not changed.
        images: float32 [N, S, S, 3], RGB, 0..255.
        steps: of `BATCH` images each, drawn at random.
        rate: of Adam, falling to 0 as a cosine.
        seed: of the draws.

    Returns:
        The folded network with its new weights, in float: the converter rounds it as it rounds any other.
    """
    folded = fold_batch_norm(network)
    equalize_channels(folded, images[:EQUALIZED_ON])
    flatten = next(layer for layer in folded.layers if isinstance(layer, keras.layers.Flatten))
    backbone = keras.Model(folded.input[keys.IMAGE], flatten.output)
    tail = keras.Model(flatten.output, folded.output)
    annotated = keras.models.clone_model(backbone, clone_function=_annotated)
    with tfmot.quantization.keras.quantize_scope({"_Rounded": _Rounded, "Shift": Shift}):
        rounded = tfmot.quantization.keras.quantize_apply(annotated)
    for layer in rounded.layers:
        if isinstance(
            layer, keras.layers.BatchNormalization
        ):  # one that could not be folded keeps its statistics
            layer.trainable = False
    learned = rounded.trainable_variables
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(rate, steps))
    optimizer.build(learned)

    @tf.function(autograph=False)
    def step(batch: tf.Tensor) -> tf.Tensor:
        target = network({keys.IMAGE: batch}, training=False)
        with tf.GradientTape() as tape:
            # training=True lets the ranges follow.
            loss = _distance(target, tail(rounded(batch, training=True), training=False))
        optimizer.apply_gradients(zip(tape.gradient(loss, learned), learned, strict=True))
        return loss

    random = np.random.default_rng(seed)
    for _ in range(steps):
        step(tf.constant(images[random.integers(0, len(images), BATCH)]))
    _copy_weights(rounded, backbone)
    return folded


def _distance(target: dict[str, tf.Tensor], outputs: dict[str, tf.Tensor]) -> tf.Tensor:
    """Mean of 1 - cosine over the sub-embeddings, and of the squared relative error of the confidences."""
    groups = target[keys.CONFIDENCE].shape[-1]
    a, b = (tf.reshape(each[keys.EMBEDDING], [BATCH, groups, -1]) for each in (target, outputs))
    cosine = tf.reduce_sum(a * b, -1) * float(groups)  # each sub-embedding has norm 1/sqrt(K)
    error = tf.math.log(outputs[keys.CONFIDENCE]) - tf.math.log(target[keys.CONFIDENCE])
    return tf.reduce_mean(1.0 - cosine) + tf.reduce_mean(tf.square(error))


class _Rounded(tfmot.quantization.keras.QuantizeConfig):
    """Rounds what a layer gives to the range of the batch, and the kernel of a convolution channel by
    channel.
    """

    def get_weights_and_quantizers(self, layer: keras.layers.Layer) -> list[tuple[tf.Variable, "_Kernel"]]:
        return [(layer.kernel, _Kernel())] if isinstance(layer, keras.layers.Conv2D) else []

    def get_activations_and_quantizers(self, layer: keras.layers.Layer) -> list[object]:
        return []

    def set_quantize_weights(self, layer: keras.layers.Layer, quantize_weights: list[tf.Tensor]) -> None:
        if quantize_weights:
            layer.kernel = quantize_weights[0]

    def set_quantize_activations(
        self, layer: keras.layers.Layer, quantize_activations: list[tf.Tensor]
    ) -> None:
        pass

    def get_output_quantizers(self, layer: keras.layers.Layer) -> list[object]:
        # The moving average of the default scheme starts at +-6 and takes thousands of steps to get anywhere.
        quantizers = tfmot.quantization.keras.quantizers
        return [quantizers.LastValueQuantizer(8, per_axis=False, symmetric=False, narrow_range=False)]

    def get_config(self) -> dict[str, object]:
        return {}

    @classmethod
    def from_config(cls, config: dict[str, object]) -> "_Rounded":
        return cls()


class _Kernel(tfmot.quantization.keras.quantizers.LastValueQuantizer):
    """Symmetric, -127 to 127, with a range for each output channel, as TFLite's convolutions have it."""

    def __init__(self) -> None:
        super().__init__(8, per_axis=True, symmetric=True, narrow_range=True)

    def build(
        self, tensor_shape: tf.TensorShape, name: str, layer: keras.layers.Layer
    ) -> dict[str, tf.Variable]:
        return {
            f"{end}_var": layer.add_weight(f"{name}_{end}", shape=[tensor_shape[-1]], trainable=False)
            for end in ("min", "max")
        }


def _annotated(layer: keras.layers.Layer) -> keras.layers.Layer:
    """What int8 rounds; depthwise convolutions stay float."""
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        return layer
    if isinstance(layer, keras.layers.Conv2D | keras.layers.PReLU | keras.layers.Add | Shift):
        return tfmot.quantization.keras.quantize_annotate_layer(layer, _Rounded())
    return layer


def _copy_weights(rounded: keras.Model, backbone: keras.Model) -> None:
    """Gives the layers of the float backbone the weights that their wrapped copies learned."""
    by_name = {variable.name.split(":")[0]: variable for variable in rounded.trainable_variables}
    for layer in backbone.layers:
        for variable in layer.trainable_weights:
            name = variable.name.split(":")[0]
            learned = by_name.get(f"quant_{name}", by_name.get(name))
            if learned is not None:
                variable.assign(learned)
