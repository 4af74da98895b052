"""The URFace model with its train step: C_v first, then theta with C_v frozen, in one forward pass.

Losses are averaged over the global batch and gradients summed over replicas before they are clipped,
so the number of replicas does not change the result.
"""

from typing import Any

import keras
import tensorflow as tf

from urfr_tf import heads
from urfr_tf.layers import VariationClassifier
from urfr_tf.losses import ConfidenceAwareIdentification, confidence_regularizer, variation_losses

IDENTIFICATION, REGULARIZER, CLS, ADV = "identification", "regularizer", "cls", "adv"
TERMS = (IDENTIFICATION, REGULARIZER, CLS, ADV)


class URFace(keras.Model):
    """A functional model with the outputs of heads.py, and the train step of method.md, section 4."""

    def configure(
        self,
        *,
        groups: int,
        classifier: VariationClassifier | None = None,
        hold_steps: int = 0,
        confidence_rate: float = 1.0,
        clip_norm: float = 0.0,
    ) -> None:
        """Settings of the train step that are not losses.

        Args:
            groups: K.
            classifier: C_v, or None without decorrelation.
            hold_steps: so many steps the confidence head stays as it started.
            confidence_rate: factor on the confidence head's learning rate afterwards.
            clip_norm: bound on the global norm of the gradient; 0 for none.
        """
        self.classifier = classifier
        self.hold_steps = hold_steps
        self.confidence_rate = confidence_rate
        self.clip_norm = clip_norm
        confidence = self.get_layer(heads.CONFIDENCE)
        self._confidence_refs = {variable.ref() for variable in confidence.trainable_variables}
        frozen = {v.ref() for v in classifier.trainable_variables} if classifier else set()
        self.theta = [v for v in self.trainable_variables if v.ref() not in frozen]
        self.means = {
            name: keras.metrics.Mean(name=name)
            for name in ("loss", *TERMS, "classifier_loss", "accuracy", "gradient_norm")
        }
        self.moments = [keras.metrics.MeanTensor(name=f"confidence_{n}", shape=[groups]) for n in (1, 2)]
        variations = classifier.variations if classifier else 1
        self.readable = keras.metrics.MeanTensor(name="readable", shape=[variations, variations])

    def compile(  # type: ignore[override]
        self,
        optimizer: Any,
        identification: ConfidenceAwareIdentification,
        weights: dict[str, float],
        classifier_optimizer: Any = None,
        **kwargs: Any,
    ) -> None:
        """Sets the optimizers, the identification loss, and the weight of each other term.

        Raises:
            ValueError: a key of `weights` is not one of regularizer, cls, adv (Keras would say nothing).
        """
        if unknown := set(weights) - set(TERMS[1:]):
            raise ValueError(
                f"expected weights of {', '.join(TERMS[1:])}, but got {', '.join(sorted(unknown))}"
            )
        super().compile(optimizer=optimizer, **kwargs)
        self.identification = identification
        self.term_weights = weights
        self.classifier_optimizer = classifier_optimizer
        identification.step = self.step

    @property
    def step(self) -> tf.Variable:
        """The number of updates so far."""
        return self.optimizer.iterations

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """Everything that starts anew at each epoch."""
        return [*self.means.values(), *self.moments, self.readable]

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        """One update of C_v, then of theta, from one forward pass."""
        inputs, targets = data
        labels, variation = inputs[heads.LABEL], targets[heads.VARIATION]
        replicas = self.distribute_strategy.num_replicas_in_sync
        with tf.GradientTape() as tape:
            outputs = self({heads.IMAGE: inputs[heads.IMAGE]}, training=True)
            embedding, confidence = outputs[heads.EMBEDDING], outputs[heads.CONFIDENCE]
            terms = {
                IDENTIFICATION: self.identification.call(labels, outputs[heads.LOGITS]),
                REGULARIZER: confidence_regularizer(confidence),
            }
            if self.classifier is not None:
                with tape.stop_recording():
                    self._update_classifier(tf.stop_gradient(embedding), variation, replicas)
                logits = self.classifier(embedding, frozen=True)
                _, terms[CLS], terms[ADV] = variation_losses(logits, variation)
            means = {name: tf.reduce_mean(term) for name, term in terms.items()}
            loss = means[IDENTIFICATION] + tf.add_n(
                [self.term_weights[name] * means[name] for name in means if name != IDENTIFICATION]
            )
            share = loss / replicas
            if self._scales_loss:
                share = self.optimizer.get_scaled_loss(share)
        gradients = tape.gradient(share, self.theta)
        if self._scales_loss:
            gradients = self.optimizer.get_unscaled_gradients(gradients)
        norm = self._apply(gradients)
        hits = tf.equal(tf.argmax(outputs[heads.LOGITS], -1), tf.cast(labels, tf.int64))
        for name, value in {**means, "loss": loss, "gradient_norm": norm, "accuracy": hits}.items():
            self.means[name].update_state(value)
        self.moments[0].update_state(tf.reduce_mean(confidence, 0))
        self.moments[1].update_state(tf.reduce_mean(tf.square(confidence), 0))
        return self._logs(means)

    def _apply(self, gradients: list[tf.Tensor]) -> tf.Tensor:
        gradients = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, gradients)
        norm = tf.linalg.global_norm(gradients)
        if self.clip_norm:
            gradients, _ = tf.clip_by_global_norm(gradients, self.clip_norm, use_norm=norm)
        held = tf.cast(self.step < self.hold_steps, tf.float32)
        rate = (1.0 - held) * self.confidence_rate
        gradients = [
            gradient * tf.cast(rate, gradient.dtype) if variable.ref() in self._confidence_refs else gradient
            for gradient, variable in zip(gradients, self.theta, strict=True)
        ]
        self.optimizer.apply_gradients(
            zip(gradients, self.theta, strict=True), experimental_aggregate_gradients=False
        )
        return norm

    def _update_classifier(self, embedding: tf.Tensor, variation: tf.Tensor, replicas: int) -> None:
        variables = self.classifier.trainable_variables
        with tf.GradientTape() as tape:
            logits = self.classifier(embedding)
            loss = tf.reduce_mean(variation_losses(logits, variation)[0])
            share = loss / replicas
        gradients = tape.gradient(share, variables)
        self.classifier_optimizer.apply_gradients(zip(gradients, variables, strict=True))
        self.means["classifier_loss"].update_state(loss)
        right = tf.equal(logits > 0, variation[:, tf.newaxis, :] > 0.5)
        self.readable.update_state(tf.reduce_mean(tf.cast(right, tf.float32), 0))

    @property
    def _scales_loss(self) -> bool:
        return isinstance(self.optimizer, tf.keras.mixed_precision.LossScaleOptimizer)

    def _logs(self, means: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        names = ["loss", *means, "accuracy", "gradient_norm"]
        if self.classifier is not None:
            names.append("classifier_loss")
        return {name: self.means[name].result() for name in names}
