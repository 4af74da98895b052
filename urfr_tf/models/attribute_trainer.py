"""theta_A with its train step: the adversary first, then theta_A with the adversary frozen."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from urfr_tf import keys
from urfr_tf.layers.cpu.fused_forward import fused_forward
from urfr_tf.losses import attribute_loss, confusion
from urfr_tf.models.attribute_network import FEATURES
from urfr_tf.models.gradients import make_slots, reduce_and_apply, scaled


class AttributeModel(keras.Model):
    """The attribute network in training (method, section 5).

    An adversary, one linear layer, learns to read the identity (or the domain) from the features;
    theta_A learns its attributes and to leave the adversary at chance.
    """

    def configure(
        self,
        *,
        adversary: keras.layers.Dense | None,
        weight: float,
        clip_norm: float,
        class_weights: np.ndarray | None = None,
    ) -> None:
        """Settings of the train step.

        Args:
            adversary: a built linear layer over the features [B, 512], or None.
            weight: of the confusion term in theta_A's loss.
            clip_norm: bound on the global norm of the gradient; 0 for none.
            class_weights: float [2, A], weights of class 0 and 1 of each attribute; None for 1.
        """
        self.class_weights = class_weights
        self.adversary = adversary
        self.weight = weight
        self.clip_norm = clip_norm
        apart = {v.ref() for v in adversary.trainable_variables} if adversary else set()
        self.theta = [v for v in self.trainable_variables if v.ref() not in apart]
        names = ["loss", "attribute", "accuracy", "gradient_norm"]
        names += ["confusion", "adversary_loss", "adversary_accuracy"] if adversary else []
        self.means = {name: keras.metrics.Mean(name=name) for name in names}

    def compile(self, optimizer: Any, second_optimizer: Any = None, **kwargs: Any) -> None:
        """Sets the optimizers of theta_A and of the adversary."""
        super().compile(optimizer=optimizer, **kwargs)
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
        """What the optimizers keep for what learns now; in the strategy's scope."""
        make_slots(self.optimizer, self.theta)
        if self.adversary is not None:
            make_slots(self.second_optimizer, self.adversary.trainable_variables)

    @tf.autograph.experimental.do_not_convert
    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        """inputs: image and `label` (what the adversary reads, int [B]); targets [B, A], and which count [B]."""
        inputs, targets = data
        replicas = self.distribute_strategy.num_replicas_in_sync
        values: dict[str, tf.Tensor] = {}
        with tf.GradientTape() as tape:
            outputs = fused_forward(self, {keys.IMAGE: inputs[keys.IMAGE]}, training=True)
            logits, features = outputs[keys.ATTRIBUTE], outputs[FEATURES]
            wanted = targets[keys.VARIATION]
            known = targets.get(keys.LABELED, tf.ones_like(logits[:, 0]))
            losses = attribute_loss(logits, wanted, self.class_weights) * known
            values["attribute"] = loss = tf.reduce_mean(losses)
            if self.adversary is not None:
                with tape.stop_recording():
                    values.update(
                        self._update_adversary(
                            self.adversary, tf.stop_gradient(features), inputs[keys.LABEL], replicas
                        )
                    )
                kernel, bias = (tf.stop_gradient(v) for v in self.adversary.trainable_variables)
                values["confusion"] = tf.reduce_mean(confusion(features @ kernel + bias))
                loss += self.weight * values["confusion"]
            share = scaled(self.optimizer, loss / replicas)
        gradients = tape.gradient(share, self.theta)
        values["gradient_norm"] = reduce_and_apply(
            self.optimizer, gradients, self.theta, clip_norm=self.clip_norm
        )
        values["loss"] = loss
        values["accuracy"] = tf.equal(logits > 0, wanted > 0.5)
        for name, value in values.items():
            weights = known[:, None] if name == "accuracy" else None
            self.means[name].update_state(value, sample_weight=weights)
        return {name: mean.result() for name, mean in self.means.items()}

    def _update_adversary(
        self, adversary: keras.layers.Dense, features: tf.Tensor, labels: tf.Tensor, replicas: int
    ) -> dict[str, tf.Tensor]:
        variables = adversary.trainable_variables
        with tf.GradientTape() as tape:
            logits = adversary(features)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
            share = loss / replicas
        reduce_and_apply(self.second_optimizer, tape.gradient(share, variables), variables)
        hits = tf.equal(tf.argmax(logits, -1), tf.cast(labels, tf.int64))
        return {"adversary_loss": loss, "adversary_accuracy": hits}

    def log_values(self) -> tuple[dict[str, float], dict[str, float]]:
        """Nothing besides the means."""
        return {}, {}
