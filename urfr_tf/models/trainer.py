"""The URFace model with its train step: C_v first, then theta with C_v frozen, in one forward pass.

Losses are averaged over the global batch and gradients summed over replicas before they are clipped,
so the number of replicas does not change the result.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from urfr_tf import heads
from urfr_tf.layers import VariationClassifier
from urfr_tf.layers.partial_prototypes import PartialPrototypes
from urfr_tf.losses import ConfidenceAwareIdentification, confidence_regularizer, variation_losses
from urfr_tf.models.exchange import Replicas
from urfr_tf.models.gradients import apply_summed, scaled
from urfr_tf.models.prototype_step import Momentum, PrototypeStep

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
        prototypes: PartialPrototypes | None = None,
    ) -> None:
        """Settings of the train step that are not losses.

        Args:
            groups: K.
            classifier: C_v, or None without decorrelation.
            hold_steps: so many steps the confidence head stays as it started.
            confidence_rate: factor on the confidence head's learning rate afterwards.
            clip_norm: bound on the global norm of the gradient; 0 for none.
            prototypes: sampled or sharded ones, beside the graph, or None where the graph gives logits.
        """
        self.classifier = classifier
        self.prototypes = prototypes
        self.hold_steps = hold_steps
        self.confidence_rate = confidence_rate
        self.clip_norm = clip_norm
        self.exchange: Callable[[], Any] = Replicas
        frozen = {v.ref() for v in classifier.trainable_variables} if classifier else set()
        self.theta = [v for v in self.trainable_variables if v.ref() not in frozen]
        names = ["loss", IDENTIFICATION, REGULARIZER, "accuracy", "gradient_norm"]
        names += [CLS, ADV, "classifier_loss"] if classifier else []
        self.means = {name: keras.metrics.Mean(name=name) for name in names}
        self.moments = [keras.metrics.MeanTensor(name=f"confidence_{n}", shape=[groups]) for n in (1, 2)]
        variations = classifier.variations if classifier else 1
        self.readable = keras.metrics.MeanTensor(name="readable", shape=[variations, variations])

    def compile(  # type: ignore[override]
        self,
        optimizer: Any,
        identification: ConfidenceAwareIdentification,
        weights: dict[str, float],
        second_optimizer: Any = None,
        momentum: Momentum | None = None,
        **kwargs: Any,
    ) -> None:
        """Sets the optimizers, the identification loss, and the weight of each other term.

        `momentum` moves `prototypes`, which no optimizer sees.

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
        self.second_optimizer = second_optimizer
        self.momentum = momentum
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
        head = None
        if self.prototypes is not None:
            head = PrototypeStep(self.prototypes, self.momentum, labels, self.step, self.exchange())
        sources = self.theta if head is None else [*self.theta, head.rows.kernel]
        with tf.GradientTape() as tape:
            if head is not None:
                tape.watch(head.rows.kernel)
            outputs = self({heads.IMAGE: inputs[heads.IMAGE]}, training=True)
            embedding, confidence = outputs[heads.EMBEDDING], outputs[heads.CONFIDENCE]
            if head is None:
                identification = self.identification.call(labels, outputs[heads.LOGITS])
                hits = tf.equal(tf.argmax(outputs[heads.LOGITS], -1), tf.cast(labels, tf.int64))
            else:
                margin = self.identification.current_margin()
                identification, hits = head.identification(embedding, confidence, margin)
            terms = {IDENTIFICATION: identification, REGULARIZER: confidence_regularizer(confidence)}
            if self.classifier is not None:
                with tape.stop_recording():
                    self._update_classifier(self.classifier, tf.stop_gradient(embedding), variation, replicas)
                logits = self.classifier(embedding, frozen=True)
                _, terms[CLS], terms[ADV] = variation_losses(logits, variation)
            means = {name: tf.reduce_mean(term) for name, term in terms.items()}
            loss = means[IDENTIFICATION] + tf.add_n(
                [self.term_weights[name] * means[name] for name in means if name != IDENTIFICATION]
            )
            share = scaled(self.optimizer, loss / replicas)
        norm = apply_summed(
            self.optimizer,
            tape.gradient(share, sources),
            self.theta,
            clip_norm=self.clip_norm,
            rates=self._rates(),
            prototypes=head,
        )
        for name, value in {**means, "loss": loss, "gradient_norm": norm, "accuracy": hits}.items():
            self.means[name].update_state(value)
        self.moments[0].update_state(tf.reduce_mean(confidence, 0))
        self.moments[1].update_state(tf.reduce_mean(tf.square(confidence), 0))
        return {name: mean.result() for name, mean in self.means.items()}

    def _rates(self) -> dict[Any, tf.Tensor]:
        free = tf.cast(self.step >= self.hold_steps, tf.float32)
        head = self.get_layer(heads.CONFIDENCE).trainable_variables
        return {variable.ref(): free * self.confidence_rate for variable in head}

    def _update_classifier(
        self, classifier: VariationClassifier, embedding: tf.Tensor, variation: tf.Tensor, replicas: int
    ) -> None:
        variables = classifier.trainable_variables
        with tf.GradientTape() as tape:
            logits = classifier(embedding)
            loss = tf.reduce_mean(variation_losses(logits, variation)[0])
            share = loss / replicas
        apply_summed(self.second_optimizer, tape.gradient(share, variables), variables)
        self.means["classifier_loss"].update_state(loss)
        right = tf.equal(logits > 0, variation[:, tf.newaxis, :] > 0.5)
        self.readable.update_state(tf.reduce_mean(tf.cast(right, tf.float32), 0))

    def log_values(self) -> tuple[dict[str, float], dict[str, float]]:
        """What the log says of the epoch so far besides the means: (scalars, columns of single groups)."""
        first, second = (metric.result().numpy() for metric in self.moments)
        spread = np.sqrt(np.maximum(second - first**2, 0.0))
        scalars = {
            "confidence_mean": float(first.mean()),
            "confidence_std": float(np.sqrt(max(second.mean() - first.mean() ** 2, 0.0))),
            "margin": float(self.identification.current_margin()),
        }
        columns = {f"confidence_mean_{k}": float(v) for k, v in enumerate(first)}
        columns.update({f"confidence_std_{k}": float(v) for k, v in enumerate(spread)})
        columns.update(
            {f"weight_{name}": self.term_weights[name] for name in TERMS[1:] if name in self.means}
        )
        if self.classifier is not None:
            for (t, u), value in np.ndenumerate(self.readable.result().numpy()):
                columns[f"readable_{t}_{u}"] = float(value)
        return scalars, columns
