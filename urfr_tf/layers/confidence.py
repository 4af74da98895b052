"""The confidence head: one fully connected layer and exp, s = 1 / sigma^2 (method, sections 1, 2)."""

import math
from collections.abc import Callable

import tensorflow as tf

from urfr_tf.keras2 import keras

_NORM_SCALE = 10.0


@tf.custom_gradient
def _bounded(
    value: tf.Tensor, low: tf.Tensor, high: tf.Tensor
) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple[tf.Tensor, None, None]]]:
    """Clips; the gradient is stopped only where it would push further out of the bounds.

    A plain clip has gradient 0 outside, so a confidence that once left would never come back.
    """

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, None, None]:
        # Descent moves against the gradient: upstream > 0 lowers the value.
        stuck = ((value <= low) & (upstream > 0)) | ((value >= high) & (upstream < 0))
        return tf.where(stuck, tf.zeros_like(upstream), upstream), None, None

    return tf.clip_by_value(value, low, high), gradient


@keras.saving.register_keras_serializable(package="urfr_tf")
class Confidence(keras.layers.Layer):
    """Features [B, F] -> confidence s float32 [B, groups], minimum <= s <= maximum.

    The features are divided by their Euclidean norm first. Unnormalized ones spread s without bound in
    fine-tuning (method, section 2), and with F numbers of root mean square 1 a step on the kernel moves
    log s F times as far as the same step on the bias: s then falls within a hundred steps at any
    learning rate that the bias can use (docs/explanation/confidences.md). The kernel starts at 0 and the bias
    at log(initial), so every s starts at `initial`. exp is taken in float32 whatever the policy.

    The norm tells clean from degraded images. With `norm` it comes back as one more input,
    10 log(|x| / sqrt(F)): about -1.6 for clean and -3 for degraded ones in a fine-tuned MobileFaceNet
    (docs/lab/finetuning.md).

    Args:
        groups: K.
        initial: s at the start.
        minimum: lower bound of s, above 0.
        maximum: upper bound of s; e^5.5 = 245 by default.
        norm: whether the head sees the norm of the features.
        learned: False gives s = initial for every image, without weights: with one group this is
            CosFace of scale `initial`.
    """

    def __init__(
        self,
        groups: int,
        initial: float = 48.0,
        minimum: float = 1.0,
        maximum: float = 245.0,
        learned: bool = True,
        norm: bool = False,
        **kwargs: object,
    ) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        if not 0 < minimum <= initial <= maximum:
            raise ValueError(
                f"expected 0 < minimum <= initial <= maximum, but got {minimum}, {initial}, {maximum}"
            )
        self.groups = groups
        self.initial = initial
        self.minimum = minimum
        self.maximum = maximum
        self.learned = learned
        self.norm = norm
        self.dense = keras.layers.Dense(
            groups,
            kernel_initializer="zeros",
            bias_initializer=keras.initializers.Constant(math.log(initial)),
            dtype="float32",
            name="dense",
        )

    def build(self, input_shape: tf.TensorShape) -> None:
        """Builds the fully connected layer for features [B, F]."""
        if self.learned:
            self.dense.build(input_shape)
            if self.norm:
                self.norm_kernel = self.add_weight(
                    name="norm_kernel", shape=[self.groups], initializer="zeros"
                )
        super().build(input_shape)

    def call(self, features: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """[B, F] -> [B, K]."""
        features = tf.cast(features, tf.float32)
        if not self.learned:
            return tf.zeros_like(features[:, :1]) + tf.fill([1, self.groups], float(self.initial))
        square = tf.reduce_sum(tf.square(features), axis=-1, keepdims=True)
        log_confidence = self.dense(features * tf.math.rsqrt(square + 1e-6))
        if self.norm:
            mean_square = square / features.shape[-1] + 1e-6
            log_confidence += _NORM_SCALE * 0.5 * tf.math.log(mean_square) * self.norm_kernel
        low, high = math.log(self.minimum), math.log(self.maximum)
        if training:
            return tf.exp(_bounded(log_confidence, tf.constant(low), tf.constant(high)))
        return tf.exp(tf.clip_by_value(log_confidence, low, high))

    def get_config(self) -> dict[str, object]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "groups": self.groups,
            "initial": self.initial,
            "minimum": self.minimum,
            "maximum": self.maximum,
            "learned": self.learned,
            "norm": self.norm,
        }
