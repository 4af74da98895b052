"""The confidence-aware identification loss (method, section 2; supplement, A.1 and A.2)."""

import tensorflow as tf

from urfr_tf.keras2 import keras


def identification(labels: tf.Tensor, logits: tf.Tensor, margin: float | tf.Tensor) -> tf.Tensor:
    """-log softmax of the right identity, whose logit has lost the margin.

    The margin is in logit units: it is subtracted after the multiplication by s.

    Args:
        labels: int [B], class of each image, 0 <= label < C.
        logits: a, float [B, C].
        margin: m >= 0, a scalar.

    Returns:
        float32 [B].
    """
    logits = tf.cast(logits, tf.float32)
    # int64: a label in half precision or int16 would break beyond 65,504 classes.
    labels = tf.cast(tf.reshape(labels, [-1]), tf.int64)
    positions = tf.stack([tf.range(tf.size(labels, tf.int64), dtype=tf.int64), labels], axis=1)
    taken = tf.fill(tf.shape(labels), -tf.cast(margin, tf.float32))
    logits = tf.tensor_scatter_nd_add(logits, positions, taken)
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)


@keras.saving.register_keras_serializable(package="urfr_tf")
class ConfidenceAwareIdentification(keras.losses.Loss):
    """y_true int [B], y_pred logits a [B, C] -> [B]; with K = 1 and constant s this is CosFace.

    Args:
        margin: m, in logit units (30 in the paper's scale; CosFace's margin times s).
        warmup_steps: the margin rises linearly from 0 over so many steps of `step`.

    Attributes:
        step: the variable that counts steps, given by the trainer; without it the margin is full.
    """

    def __init__(
        self,
        margin: float,
        warmup_steps: int = 0,
        reduction: str = keras.losses.Reduction.AUTO,
        name: str = "identification",
    ) -> None:
        super().__init__(reduction=reduction, name=name)
        self.margin = margin
        self.warmup_steps = warmup_steps
        self.step: tf.Variable | None = None

    def current_margin(self) -> tf.Tensor:
        """The margin at `step`, a float32 scalar."""
        if self.step is None or self.warmup_steps == 0:
            return tf.constant(self.margin, tf.float32)
        share = tf.cast(self.step, tf.float32) / float(self.warmup_steps)
        return self.margin * tf.minimum(1.0, share)

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """[B], [B, C] -> [B]."""
        return identification(y_true, y_pred, self.current_margin())

    def get_config(self) -> dict[str, object]:
        """The constructor's arguments."""
        return {**super().get_config(), "margin": self.margin, "warmup_steps": self.warmup_steps}
