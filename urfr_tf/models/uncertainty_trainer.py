"""The uncertainty stage: only the confidence head learns, from genuine pairs (method, section 6)."""

import tensorflow as tf

from urfr_tf import keys
from urfr_tf.keras2 import keras
from urfr_tf.losses import mutual_likelihood
from urfr_tf.models.gradients import Optimizer, make_slots, reduce_and_apply, scaled
from urfr_tf.models.urface import FEATURES


class UncertaintyTrainer(keras.Model):
    """{image} -> {embedding [B, K, d], features [B, F]}, with the confidence head in training.

    `train_step` moves the head alone; the batch norms stay in inference mode.

    Args:
        network: see `embedding_network`.
        clip_norm: bound on the global norm of the gradient; 0 for none.
    """

    def __init__(self, network: keras.Model, clip_norm: float = 0.0) -> None:
        features = network.get_layer(FEATURES).output
        outputs = {keys.EMBEDDING: network.output[keys.EMBEDDING], FEATURES: features}
        super().__init__(network.input, outputs, name="uncertainty_training")
        self.head = network.get_layer(keys.CONFIDENCE)
        self.clip_norm = clip_norm
        self.theta = list(self.head.trainable_variables)
        names = ("loss", "gradient_norm", "confidence_mean", "pairs")
        self.means = {name: keras.metrics.Mean(name=name) for name in names}
        self.second_optimizer: Optimizer | None = None

    @property
    def step(self) -> tf.Variable:
        """The number of updates so far."""
        return self.optimizer.iterations

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """Everything that starts anew at each epoch."""
        return list(self.means.values())

    def make_slots(self) -> None:
        """Makes what the optimizer keeps for what learns; in the strategy's scope."""
        make_slots(self.optimizer, self.theta)

    @tf.autograph.experimental.do_not_convert
    def train_step(self, data: tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]) -> dict[str, tf.Tensor]:
        """Makes one update by the mean negative mutual likelihood of the batch's genuine pairs."""
        inputs, _ = data
        replicas = self.distribute_strategy.num_replicas_in_sync
        outputs = self({keys.IMAGE: inputs[keys.IMAGE]}, training=False)
        with tf.GradientTape() as tape:
            # training=True lets a confidence that left its bounds come back; the head has no batch norm.
            confidence = self.head(outputs[FEATURES], training=True)
            pairs = mutual_likelihood(outputs[keys.EMBEDDING], 1.0 / confidence, inputs[keys.LABEL])
            loss = tf.math.divide_no_nan(tf.reduce_sum(pairs), tf.cast(tf.size(pairs), tf.float32))
            share = scaled(self.optimizer, loss / replicas)
        gradients = tape.gradient(share, self.theta)
        norm = reduce_and_apply(self.optimizer, gradients, self.theta, clip_norm=self.clip_norm)
        for name, value in zip(self.means, (loss, norm, confidence, tf.size(pairs)), strict=True):
            self.means[name].update_state(value)
        return {name: mean.result() for name, mean in self.means.items()}

    def log_values(self) -> tuple[dict[str, float], dict[str, float]]:
        """Returns two empty dictionaries: the log holds nothing besides the means."""
        return {}, {}
