"""Folds every batch norm around a convolution into it, exactly.

A batch norm *after* a convolution is a factor and an offset of its kernel. One *before* a convolution that
pads with zeros is not: pad(s x + t) is zero at the border, s pad(x) + t is not. But s x + t = s (x + u) with
u = t / s, so where the tensor x + u is kept in place of x, the factor goes into the kernel and zero padding
stays what it was. A sum of two tensors is moved by u for nothing: the offset goes into the bias of the
convolution that ends one of its branches. So no batch norm of an IR unit is left, where int8 would run it as
a MUL and an ADD over the whole map.
"""

from collections import defaultdict
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike, NDArray

from urfr_tf.keras2 import keras

LARGEST_SHIFT = 8.0
"""Largest |offset / gamma| of a batch norm that is folded backwards: a shift beyond it would cost
precision.
"""

KerasTensor: TypeAlias = tf.Tensor
"""A symbolic tensor of a functional model."""
Doubles: TypeAlias = NDArray[np.float64]

_CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)
_BETWEEN = (keras.layers.Add, keras.layers.PReLU, keras.layers.ZeroPadding2D)


FOLDED = "_folded"
"""Suffix of the name of a convolution with a folded batch norm."""
PRELUS = ("one", "sum", "maximum")
"""How a PReLU can be written."""


def fold_batch_norm(network: keras.Model, *, prelu: str = "one", dtype: str = "float32") -> keras.Model:
    """Gives the same function with fewer operators. The given network is not changed.

    Args:
        network: functional, {image [B, S, S, 3]} -> outputs.
        prelu: how PReLU of slope a is written. `one`: as one operator. `sum`: x + max((a - 1) x, 0), which
            XNNPACK has in int8 (the product with its max as one operator), where it has neither PRELU nor
            MAXIMUM.
            `maximum`: max(x, a x), two operators in place of Keras's five. The last two are PReLU for a <= 1;
                a
            layer with a larger slope stays as it is.
        dtype: of the convolutions and of what stands between them, weights included: `float32` or `bfloat16`.
            What remains (normalization of pixels, a batch norm that stays, the heads) is float32.

    Returns:
        A functional model with the same inputs and outputs, which are equal up to rounding.
    """
    return _Folding(network, prelu, dtype).run()


class _Folding:
    """One pass over the graph in the order of its layers; tensors are known by their ids."""

    def __init__(self, network: keras.Model, prelu: str, dtype: str) -> None:
        self.network = network
        self.dtype = dtype
        self.prelu = prelu
        self.consumers: dict[int, list[keras.layers.Layer]] = defaultdict(list)
        self.producer: dict[int, keras.layers.Layer] = {}
        for layer in network.layers:
            for tensor in tf.nest.flatten(layer.input):
                self.consumers[id(tensor)].append(layer)
            self.producer[id(layer.output)] = layer
        self.moved: dict[int, Doubles] = {}
        """Tensor -> u: what stands in its place is the tensor plus u."""
        self.new: dict[int, KerasTensor] = {}

    def run(self) -> keras.Model:
        """Plans the shifts, then builds."""
        leading = [layer for layer in self.network.layers if self._leads(layer)]
        for layer in leading:
            scale, offset = _affine(layer)
            self.moved[id(layer.input)] = offset / scale
        self._move_sums()
        inputs = {
            name: keras.Input(tensor.shape[1:], name=name, dtype=tensor.dtype)
            for name, tensor in self.network.input.items()
        }
        for name, tensor in self.network.input.items():
            self.new[id(tensor)] = inputs[name]
        for layer in self.network.layers:
            if not isinstance(layer, keras.layers.InputLayer):
                self.new[id(layer.output)] = self._build(layer)
        outputs = tf.nest.map_structure(lambda tensor: self.new[id(tensor)], self.network.output)
        return keras.Model(inputs, outputs, name=self.network.name)

    def _follows(self, layer: keras.layers.Layer) -> keras.layers.Layer | None:
        """The only layer that reads this one's output, or None."""
        readers = self.consumers[id(layer.output)]
        return readers[0] if len(readers) == 1 else None

    def _leads(self, layer: keras.layers.Layer) -> bool:
        """Whether it is a batch norm that can be folded into the convolution after it."""
        if not isinstance(layer, keras.layers.BatchNormalization):
            return False
        after = self._follows(layer)
        if isinstance(after, keras.layers.ZeroPadding2D):
            after = self._follows(after)
        if not isinstance(after, _CONVOLUTIONS) or isinstance(self.producer[id(layer.input)], _CONVOLUTIONS):
            return False
        scale, offset = _affine(layer)
        deviation = np.sqrt(layer.moving_variance.numpy().astype(np.float64) + layer.epsilon)
        shift = np.abs(offset) / np.maximum(np.abs(scale) * deviation, 1e-30)
        center = np.abs(layer.moving_mean.numpy()) / deviation
        if np.max(shift) > LARGEST_SHIFT + np.max(center):
            return False
        others = (reader for reader in self.consumers[id(layer.input)] if reader is not layer)
        return all(isinstance(other, keras.layers.Add) or _pointwise(other) for other in others)

    def _move_sums(self) -> None:
        """Gives each sum's convolutional branch the shift that its result and its other branch leave over."""
        for layer in self.network.layers:
            if not isinstance(layer, keras.layers.Add):
                continue
            wanted = self.moved.get(id(layer.output), 0.0)
            present = sum(self.moved.get(id(tensor), 0.0) for tensor in layer.input)
            for tensor in layer.input:
                if self._ends_convolution(self.producer[id(tensor)]):
                    self.moved[id(tensor)] = np.asarray(wanted - present)
                    break
            else:
                if np.any(wanted != present):
                    raise ValueError(f"{layer.name} has no branch that ends in a convolution")

    def _ends_convolution(self, layer: keras.layers.Layer) -> bool:
        return (
            isinstance(layer, keras.layers.BatchNormalization)
            and isinstance(self.producer[id(layer.input)], _CONVOLUTIONS)
            and self._follows(layer) is not None
        )

    def _build(self, layer: keras.layers.Layer) -> KerasTensor:
        inputs = tf.nest.map_structure(lambda tensor: self.new[id(tensor)], layer.input)
        if isinstance(layer, _CONVOLUTIONS):
            after = self._follows(layer)
            # Built together with the batch norm after it.
            return inputs if _is_norm(after) else self._convolution(layer, None, inputs)
        if _is_norm(layer):
            before = self.producer[id(layer.input)]
            if isinstance(before, _CONVOLUTIONS) and self._follows(before) is layer:
                return self._convolution(before, layer, inputs)
            if self._leads(layer):
                return inputs
        elif isinstance(layer, keras.layers.Add):
            return self._copy(layer)(inputs)
        elif isinstance(layer, keras.layers.PReLU) and self.prelu != "one" and layer.alpha.numpy().max() <= 1:
            return self._moved_here(layer, self._two_operators(layer, inputs))
        copy = self._copy(layer)
        output = copy(inputs)
        copy.set_weights(layer.get_weights())
        return self._moved_here(layer, output)

    def _two_operators(self, layer: keras.layers.Layer, x: KerasTensor) -> KerasTensor:
        slope = layer.alpha.numpy()
        if self.prelu == "maximum":
            lower = Scale(slope, dtype=self.dtype, name=f"{layer.name}_scale")(x)
            return keras.layers.Maximum(name=f"{layer.name}_maximum", dtype=self.dtype)([x, lower])
        left = Scale(slope - 1, dtype=self.dtype, name=f"{layer.name}_scale")(x)
        left = keras.layers.ReLU(name=f"{layer.name}_relu", dtype=self.dtype)(left)
        return keras.layers.Add(name=f"{layer.name}_sum", dtype=self.dtype)([x, left])

    def _moved_here(self, layer: keras.layers.Layer, output: KerasTensor) -> KerasTensor:
        """Adds the shift where no convolution can take it: after the first PReLU of an IR network."""
        shift = self.moved.get(id(layer.output))
        return output if shift is None else Shift(shift, dtype=self.dtype)(output)

    def _convolution(
        self, layer: keras.layers.Layer, norm: keras.layers.Layer | None, inputs: KerasTensor
    ) -> KerasTensor:
        weights = [np.asarray(weight, np.float64) for weight in layer.get_weights()]
        kernel = weights[0]
        depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
        filters = kernel.shape[2] * kernel.shape[3] if depthwise else kernel.shape[3]
        bias = weights[1] if layer.use_bias else np.zeros(filters)
        source = layer.input
        before = self.producer[id(source)]
        if isinstance(before, keras.layers.ZeroPadding2D):
            source = before.input
            before = self.producer[id(source)]
        if _is_norm(before) and self._leads(before):
            kernel = kernel * _affine(before)[0][:, None]
        elif id(source) in self.moved:
            bias = bias - np.einsum("hwio,i->o", kernel, self.moved[id(source)])
        result = layer.output
        if norm is not None:
            scale, offset = _affine(norm)
            kernel = kernel * (scale.reshape(kernel.shape[2:]) if depthwise else scale)
            bias, result = bias * scale + offset, norm.output
        bias = bias + self.moved.get(id(result), 0.0)
        folded = self._copy(layer, use_bias=True, name=f"{layer.name.removesuffix(FOLDED)}{FOLDED}")
        output = folded(inputs)
        folded.set_weights([kernel.astype(np.float32), bias.astype(np.float32)])
        return output

    def _copy(self, layer: keras.layers.Layer, **changes: object) -> keras.layers.Layer:
        """A layer of its own: a shared one would have two places in two graphs."""
        if isinstance(layer, keras.layers.Lambda):  # whose function does not survive its configuration
            return layer
        if isinstance(layer, (*_CONVOLUTIONS, *_BETWEEN)):
            changes["dtype"] = self.dtype
        return type(layer).from_config({**layer.get_config(), **changes})


def _affine(norm: keras.layers.Layer) -> tuple[Doubles, Doubles]:
    """Gives a batch norm in inference as scale x + offset, float64 [C] each."""
    deviation = np.sqrt(norm.moving_variance.numpy().astype(np.float64) + norm.epsilon)
    scale = (norm.gamma.numpy() if norm.scale else 1.0) / deviation
    offset = (norm.beta.numpy() if norm.center else 0.0) - norm.moving_mean.numpy() * scale
    return scale, offset


def _is_norm(layer: keras.layers.Layer | None) -> bool:
    return isinstance(layer, keras.layers.BatchNormalization)


def _pointwise(layer: keras.layers.Layer | None) -> bool:
    return isinstance(layer, keras.layers.Conv2D) and layer.kernel_size == (1, 1)


class _Constant(keras.layers.Layer):
    """A layer that holds a constant, any array; float32 until it is used."""

    def __init__(self, value: ArrayLike, **kwargs: Any) -> None:
        super().__init__(trainable=False, **{key: kwargs[key] for key in kwargs if key != "trainable"})
        self.value = np.asarray(value, np.float32)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "value": self.value.tolist()}


@keras.saving.register_keras_serializable(package="urfr_tf")
class Scale(_Constant):
    """x -> value x."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """[B, H, W, C] -> the same shape."""
        return x * tf.cast(tf.constant(self.value), x.dtype)


@keras.saving.register_keras_serializable(package="urfr_tf")
class Shift(_Constant):
    """x -> x + value, value [C]."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """[B, H, W, C] -> the same shape."""
        return x + tf.cast(tf.constant(self.value), x.dtype)
