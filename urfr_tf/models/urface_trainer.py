"""The URFace model with its train step: C_v first, then theta with C_v frozen, in one forward pass.

Losses are averaged over the global batch and gradients summed over replicas before they are clipped,
so the number of replicas does not change the result.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from urfr_tf import keys
from urfr_tf.layers import VariationClassifier
from urfr_tf.layers.cpu.fused_forward import fused_forward
from urfr_tf.losses import (
    ConfidenceAwareIdentification,
    confidence_regularizer,
    teacher_distance,
    variation_losses,
)
from urfr_tf.models.collectives import Replicas
from urfr_tf.models.gradients import (
    apply_gradients,
    make_slots,
    reduce_and_apply,
    reduce_and_clip,
    scaled,
    scales_loss,
    spread_overflow,
)
from urfr_tf.models.layer_groups import freeze
from urfr_tf.models.partial_prototypes import PartialPrototypes
from urfr_tf.models.prototype_step import Momentum, PrototypeStep

IDENTIFICATION, REGULARIZER, CLS, ADV, TEACHER = "identification", "regularizer", "cls", "adv", "teacher"
TERMS = (IDENTIFICATION, REGULARIZER, CLS, ADV, TEACHER)


class Teacher:
    """A network that does not learn; hidden from Keras, which would put its weights into every checkpoint.

    It computes as training does where nothing learns: each batch norm with its stored statistics, in one pass with its PReLU.
    """

    def __init__(self, network: keras.Model) -> None:
        self.network = network
        network.trainable = False

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        """Images of any type [B, S, S, 3] in 0..255 -> sub-embeddings float32 [B, K, d]."""
        inputs = {keys.IMAGE: tf.cast(images, tf.float32)}
        return tf.stop_gradient(fused_forward(self.network, inputs, training=True)[keys.EMBEDDING])


class URFace(keras.Model):
    """A functional model with the outputs of keys.py, and the train step of method.md, section 4."""

    def configure(
        self,
        *,
        groups: int,
        classifier: VariationClassifier | None = None,
        hold_steps: int = 0,
        confidence_rate: float = 1.0,
        clip_norm: float = 0.0,
        prototypes: PartialPrototypes | None = None,
        frozen_norms: str = "none",
        accumulate: int = 1,
        teacher: Teacher | None = None,
    ) -> None:
        """Settings of the train step that are not losses.

        Args:
            groups: K.
            classifier: C_v, or None without decorrelation.
            hold_steps: so many steps the confidence head stays as it started.
            confidence_rate: factor on the confidence head's learning rate afterwards.
            clip_norm: bound on the global norm of the gradient; 0 for none.
            prototypes: sampled or sharded ones, beside the graph, or None where the graph gives logits.
            frozen_norms: batch norms that stay as they are: `none`, of the `backbone`, or `all`.
            accumulate: in how many micro-batches a replica takes its part of the global batch. Batch norms
                take their statistics from a micro-batch, and C_v is updated at each of them; everything else
                is as if it were one.
            teacher: gives the embedding of an image before augmentation; batches bring `original` then.
        """
        self.teacher = teacher
        self.accumulate = accumulate
        self.classifier = classifier
        self.prototypes = prototypes
        self.hold_steps = hold_steps
        self.confidence_rate = confidence_rate
        self.clip_norm = clip_norm
        self.exchange: Callable[[], Any] = Replicas
        self.frozen_norms = frozen_norms
        self.freeze_backbone(False)
        names = ["loss", IDENTIFICATION, REGULARIZER, "accuracy", "gradient_norm"]
        names += [CLS, ADV, "classifier_loss"] if classifier else []
        names += [TEACHER] if teacher else []
        self.means = {name: keras.metrics.Mean(name=name) for name in names}
        self.moments = [keras.metrics.MeanTensor(name=f"confidence_{n}", shape=[groups]) for n in (1, 2)]
        variations = classifier.variations if classifier else 1
        self.readable = keras.metrics.MeanTensor(name="readable", shape=[variations, variations])

    def freeze_backbone(self, frozen: bool) -> None:
        """From the next call of `fit` on, whether the heads learn alone.

        The backbone then has no gradient, its batch norms use their stored statistics, and the optimizer
        neither decays its weights nor touches its slots.
        """
        freeze(self, backbone=frozen, norms=self.frozen_norms)
        # Keras keeps the step that it traced, and `fit` restores what was trainable in `compile`.
        self._reset_compile_cache()

    @property
    def theta(self) -> list[tf.Variable]:
        """What learns now besides C_v and sampled prototypes.

        Not an attribute: Keras would put the list into the checkpoint, and it changes with the freezing.
        """
        layers = [layer for layer in self.layers if layer is not self.classifier]
        return [variable for layer in layers for variable in layer.trainable_variables]

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
            ValueError: a key of `weights` is not one of `TERMS[1:]` (Keras would say nothing).
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

    def make_slots(self) -> None:
        """What the optimizers keep for what learns now; in the strategy's scope."""
        make_slots(self.optimizer, self.theta)
        if self.classifier is not None:
            make_slots(self.second_optimizer, self.classifier.trainable_variables)

    @tf.autograph.experimental.do_not_convert
    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        """One update of theta by the global batch, in `accumulate` micro-batches one after the other."""
        batch, parts = self.examples(data), self.accumulate
        labels = batch[1]
        head = None
        if self.prototypes is not None:
            head = PrototypeStep(self.prototypes, self.momentum, labels, self.step, self.exchange())
        theta = self.theta
        gradients = self.gradients(theta, head, 0, *(_part(tensor, 0, parts) for tensor in batch))
        for part in range(1, parts):
            # Not before the one before is done: its activations are gone then. Nothing of it, for much of the
            # head's work is on the prototypes alone, and would be done for all micro-batches at the start.
            with tf.control_dependencies(gradients):
                micro_batch = [tf.identity(_part(tensor, part, parts)) for tensor in batch]
                further = self.gradients(theta, head, part, *micro_batch)
            gradients = [total + gradient for total, gradient in zip(gradients, further, strict=True)]
        norm = self._apply(gradients, theta, head)
        # Where loss scaling skips a step that overflowed, training goes on.
        skipped = isinstance(self.optimizer, tf.keras.mixed_precision.LossScaleOptimizer)
        counted = tf.math.is_finite(norm) if skipped else True
        self.means["gradient_norm"].update_state(
            tf.where(counted, norm, 0.0), sample_weight=tf.cast(counted, tf.float32)
        )
        return {name: mean.result() for name, mean in self.means.items()}

    def examples(self, data: Any) -> tuple[tf.Tensor, ...]:
        """Of a batch of the pipeline what `gradients` takes: images, labels, variations and perhaps originals."""
        inputs, targets = data
        taught = (inputs[keys.ORIGINAL],) if self.teacher is not None else ()
        return (inputs[keys.IMAGE], inputs[keys.LABEL], targets[keys.VARIATION], *taught)

    def gradients(
        self,
        theta: list[tf.Variable],
        head: PrototypeStep | None,
        part: int,
        images: tf.Tensor,
        labels: tf.Tensor,
        variation: tf.Tensor,
        original: tf.Tensor | None = None,
    ) -> list[tf.Tensor]:
        """One update of C_v, and this micro-batch's share of the gradient, from one forward pass.

        The sum over micro-batches and replicas is the gradient of the global batch's mean loss, by theta and
        then by the rows of `head`.
        """
        replicas = self.distribute_strategy.num_replicas_in_sync
        sources = theta if head is None else [*theta, head.rows.kernel]
        with tf.GradientTape() as tape:
            if head is not None:
                tape.watch(head.rows.kernel)
            outputs = fused_forward(self, {keys.IMAGE: images}, training=True)
            embedding, confidence = outputs[keys.EMBEDDING], outputs[keys.CONFIDENCE]
            if head is None:
                identification = self.identification.call(labels, outputs[keys.LOGITS])
                hits = tf.equal(tf.argmax(outputs[keys.LOGITS], -1), tf.cast(labels, tf.int64))
            else:
                margin = self.identification.current_margin()
                identification, hits = head.identification(
                    embedding, confidence, margin, part, self.accumulate
                )
            terms = {IDENTIFICATION: identification, REGULARIZER: confidence_regularizer(confidence)}
            if self.classifier is not None:
                with tape.stop_recording():
                    self._update_classifier(self.classifier, tf.stop_gradient(embedding), variation, replicas)
                logits = self.classifier(embedding, frozen=True)
                _, terms[CLS], terms[ADV] = variation_losses(logits, variation)
            if self.teacher is not None:
                with tape.stop_recording():
                    target = self.teacher(original)
                terms[TEACHER] = teacher_distance(embedding, target)
            means = {name: tf.reduce_mean(term) for name, term in terms.items()}
            loss = means[IDENTIFICATION] + tf.add_n(
                [self.term_weights[name] * means[name] for name in means if name != IDENTIFICATION]
            )
            share = scaled(self.optimizer, loss / (replicas * self.accumulate))
        for name, value in {**means, "loss": loss, "accuracy": hits}.items():
            self.means[name].update_state(value)
        self.moments[0].update_state(tf.reduce_mean(confidence, 0))
        self.moments[1].update_state(tf.reduce_mean(tf.square(confidence), 0))
        return tape.gradient(share, sources)

    def _apply(
        self, gradients: list[tf.Tensor], theta: list[tf.Variable], head: PrototypeStep | None
    ) -> tf.Tensor:
        """Moves theta and the rows of `head`, whose gradient is the last one; returns the global norm."""
        shared, sharded = (gradients[:-1], gradients[-1:]) if head and head.sharded else (gradients, [])
        gradients, norm = reduce_and_clip(self.optimizer, shared, clip_norm=self.clip_norm, sharded=sharded)
        if head is not None:
            *gradients, of_rows = gradients
            if scales_loss(self.optimizer):
                gradients = spread_overflow(gradients, norm)
                head.apply_if_finite(of_rows, norm)
            else:
                head.apply(of_rows)
        apply_gradients(self.optimizer, gradients, theta, self._rates())
        return norm

    def _rates(self) -> dict[Any, tf.Tensor]:
        free = tf.cast(self.step >= self.hold_steps, tf.float32)
        head = self.get_layer(keys.CONFIDENCE).trainable_variables
        return {variable.ref(): free * self.confidence_rate for variable in head}

    def _update_classifier(
        self, classifier: VariationClassifier, embedding: tf.Tensor, variation: tf.Tensor, replicas: int
    ) -> None:
        variables = classifier.trainable_variables
        with tf.GradientTape() as tape:
            logits = classifier(embedding)
            loss = tf.reduce_mean(variation_losses(logits, variation)[0])
            share = loss / replicas
        reduce_and_apply(self.second_optimizer, tape.gradient(share, variables), variables)
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


def _part(tensor: tf.Tensor, part: int, parts: int) -> tf.Tensor:
    return tensor if parts == 1 else tf.split(tensor, parts)[part]
