"""The training of theta_A: the adversary first, then theta_A with the adversary frozen."""

import dataclasses

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from urfr_tf import keys
from urfr_tf.keras2 import keras
from urfr_tf.layers.cpu.fused_forward import fused_forward
from urfr_tf.losses import attribute_loss, confusion
from urfr_tf.models.attribute_network import FEATURES
from urfr_tf.models.gradients import Optimizer, make_slots, reduce_and_apply, scaled


@dataclasses.dataclass(frozen=True)
class AttributeSettings:
    """What the train step reads besides the network.

    Attributes:
        confusion_weight: of the confusion term in theta_A's loss.
        clip_norm: bound on the global norm of the gradient; 0 for none.
        class_weights: float [2, A], weights of class 0 and 1 of each attribute; None for 1.
    """

    confusion_weight: float = 0.0
    clip_norm: float = 0.0
    class_weights: npt.NDArray[np.float32] | None = None


class AttributeTrainer(keras.Model):
    """The attribute network in training (method, section 5).

    An adversary, one linear layer, learns to read the identity (or the domain) from the features;
    theta_A learns its attributes and to leave the adversary at chance.

    Args:
        network: see `attribute_network`.
        settings: what else the step reads.
        adversary: a built linear layer over the features [B, 512], or None.
    """

    def __init__(
        self,
        network: keras.Model,
        settings: AttributeSettings,
        adversary: keras.layers.Dense | None = None,
    ) -> None:
        super().__init__(network.input, network.output, name="attribute_training")
        self.settings = settings
        self.theta = list(self.trainable_variables)
        self.adversary = adversary
        self.second_optimizer: Optimizer | None = None
        names = ["loss", "attribute", "accuracy", "gradient_norm"]
        names += ["confusion", "adversary_loss", "adversary_accuracy"] if adversary else []
        self.means = {name: keras.metrics.Mean(name=name) for name in names}

    def compile(self, optimizer: Optimizer, second_optimizer: Optimizer | None = None) -> None:
        """Sets the optimizers of theta_A and of the adversary."""
        super().compile(optimizer=optimizer)
        self.second_optimizer = second_optimizer

    @property
    def step(self) -> tf.Variable:
        """The number of updates so far."""
        return self.optimizer.iterations

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """Everything that starts anew at each epoch."""
        return list(self.means.values())

    def make_slots(self) -> None:
        """Makes what the optimizers keep for what learns now; in the strategy's scope."""
        make_slots(self.optimizer, self.theta)
        if self.adversary is not None:
            make_slots(self.second_optimizer, self.adversary.trainable_variables)

    @tf.autograph.experimental.do_not_convert
    def train_step(self, data: tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]) -> dict[str, tf.Tensor]:
        """Makes one update of the adversary and one of theta_A.

        Args:
            data: inputs `image` and `label` (what the adversary reads, int [B]); targets `variation` [B, A]
                and, where not all images count, `labelled` [B].
        """
        inputs, targets = data
        replicas = self.distribute_strategy.num_replicas_in_sync
        values: dict[str, tf.Tensor] = {}
        with tf.GradientTape() as tape:
            outputs = fused_forward(self, {keys.IMAGE: inputs[keys.IMAGE]}, training=True)
            logits, features = outputs[keys.ATTRIBUTE], outputs[FEATURES]
            wanted = targets[keys.VARIATION]
            known = targets.get(keys.LABELED, tf.ones_like(logits[:, 0]))
            losses = attribute_loss(logits, wanted, self.settings.class_weights) * known
            values["attribute"] = loss = tf.reduce_mean(losses)
            if self.adversary is not None:
                with tape.stop_recording():
                    values.update(self._update_adversary(self.adversary, features, inputs[keys.LABEL]))
                kernel, bias = (tf.stop_gradient(v) for v in self.adversary.trainable_variables)
                values["confusion"] = tf.reduce_mean(confusion(features @ kernel + bias))
                loss += self.settings.confusion_weight * values["confusion"]
            share = scaled(self.optimizer, loss / replicas)
        gradients = tape.gradient(share, self.theta)
        values["gradient_norm"] = reduce_and_apply(
            self.optimizer, gradients, self.theta, clip_norm=self.settings.clip_norm
        )
        values["loss"] = loss
        values["accuracy"] = tf.equal(logits > 0, wanted > 0.5)
        for name, value in values.items():
            weights = known[:, None] if name == "accuracy" else None
            self.means[name].update_state(value, sample_weight=weights)
        return {name: mean.result() for name, mean in self.means.items()}

    def _update_adversary(
        self, adversary: keras.layers.Dense, features: tf.Tensor, labels: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        variables = adversary.trainable_variables
        features = tf.stop_gradient(features)
        with tf.GradientTape() as tape:
            logits = adversary(features)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
            share = loss / self.distribute_strategy.num_replicas_in_sync
        reduce_and_apply(self.second_optimizer, tape.gradient(share, variables), variables)
        hits = tf.equal(tf.argmax(logits, -1), tf.cast(labels, tf.int64))
        return {"adversary_loss": loss, "adversary_accuracy": hits}

    def log_values(self) -> tuple[dict[str, float], dict[str, float]]:
        """Returns two empty dictionaries: the log holds nothing besides the means."""
        return {}, {}
