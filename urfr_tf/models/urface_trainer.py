"""The training of URFace: C_v first, then theta with C_v frozen, in one forward pass (method, section 4).

Losses are averaged over the global batch and gradients summed over replicas before they are clipped,
so the number of replicas does not change the result.
"""

import dataclasses
from collections.abc import Callable, Hashable

import numpy as np
import tensorflow as tf

from urfr_tf import keys
from urfr_tf.keras2 import keras
from urfr_tf.layers import VariationClassifier
from urfr_tf.layers.cpu.fused_forward import fused_forward
from urfr_tf.losses import (
    ConfidenceAwareIdentification,
    confidence_regularizer,
    teacher_distance,
    variation_losses,
)
from urfr_tf.losses.partial_identification import Collectives
from urfr_tf.models.accumulate import Examples, accumulate_gradients
from urfr_tf.models.collectives import Replicas
from urfr_tf.models.frozen_teacher import Teacher
from urfr_tf.models.gradients import (
    Optimizer,
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


@dataclasses.dataclass(frozen=True)
class URFaceSettings:
    """What the train step reads besides the network.

    Attributes:
        groups: K.
        identification: the identification loss; the trainer gives it the step.
        weights: the weight of each other term, by the names of `TERMS[1:]`.
        hold_steps: for so many steps the confidence head stays as it started.
        confidence_rate: factor on the confidence head's learning rate afterwards.
        clip_norm: bound on the global norm of the gradient; 0 for none.
        frozen_norms: batch norms that stay as they are: `none`, of the `backbone`, or `all`.
        accumulate: into how many micro-batches a replica cuts its share of the global batch. Batch norms take
            their statistics from a micro-batch, and C_v is updated at each of them; everything else is as if
            it were one batch.

    Raises:
        ValueError: a key of `weights` is not one of `TERMS[1:]`.
    """

    groups: int
    identification: ConfidenceAwareIdentification
    weights: dict[str, float]
    hold_steps: int = 0
    confidence_rate: float = 1.0
    clip_norm: float = 0.0
    frozen_norms: str = "none"
    accumulate: int = 1

    def __post_init__(self) -> None:
        if unknown := set(self.weights) - set(TERMS[1:]):
            raise ValueError(
                f"expected weights of {', '.join(TERMS[1:])}, but got {', '.join(sorted(unknown))}"
            )


class URFaceTrainer(keras.Model):
    """A functional model with the outputs of keys.py, and the train step of the method, section 4.

    `tf.train.Checkpoint` finds what it stores by the names of the attributes `classifier`, `prototypes`,
    `means`, `moments`, `readable`, `optimizer` and `second_optimizer`.

    Args:
        network: {image} -> {embedding [B, K, d], confidence [B, K]} and, without `prototypes`, logits [B, C].
        settings: what else the step reads.
        classifier: the built C_v, or None without decorrelation.
        prototypes: sampled or sharded prototypes, which are no layer of the network, or None.
        teacher: gives the embedding of an image before augmentation; batches bring `original` then.

    Attributes:
        make_collectives: called in a replica's context; gives what the head needs from the other replicas.
    """

    def __init__(
        self,
        network: keras.Model,
        settings: URFaceSettings,
        *,
        classifier: VariationClassifier | None = None,
        prototypes: PartialPrototypes | None = None,
        teacher: Teacher | None = None,
    ) -> None:
        super().__init__(network.input, network.output, name="urface_training")
        self.settings = settings
        self.classifier = classifier
        self.prototypes = prototypes
        self.teacher = teacher
        self.make_collectives: Callable[[], Collectives] = Replicas
        self.second_optimizer: Optimizer | None = None
        self.momentum: Momentum | None = None
        self.freeze_backbone(False)
        names = ["loss", IDENTIFICATION, REGULARIZER, "accuracy", "gradient_norm"]
        names += [CLS, ADV, "classifier_loss"] if classifier else []
        names += [TEACHER] if teacher else []
        self.means = {name: keras.metrics.Mean(name=name) for name in names}
        self.moments = [
            keras.metrics.MeanTensor(name=f"confidence_{n}", shape=[settings.groups]) for n in (1, 2)
        ]
        variations = classifier.variations if classifier else 1
        self.readable = keras.metrics.MeanTensor(name="readable", shape=[variations, variations])

    def compile(
        self,
        optimizer: Optimizer,
        second_optimizer: Optimizer | None = None,
        momentum: Momentum | None = None,
    ) -> None:
        """Sets what moves the variables.

        Args:
            optimizer: of theta.
            second_optimizer: of C_v.
            momentum: of `prototypes`, which no optimizer sees.
        """
        super().compile(optimizer=optimizer)
        self.second_optimizer = second_optimizer
        self.momentum = momentum
        self.settings.identification.step = self.step

    @property
    def step(self) -> tf.Variable:
        """The number of updates so far."""
        return self.optimizer.iterations

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """Everything that starts anew at each epoch."""
        return [*self.means.values(), *self.moments, self.readable]

    @property
    def theta(self) -> list[tf.Variable]:
        """What learns now besides C_v and sampled prototypes.

        Not an attribute: Keras would put the list into the checkpoint, and it changes with the freezing.
        """
        layers = [layer for layer in self.layers if layer is not self.classifier]
        return [variable for layer in layers for variable in layer.trainable_variables]

    def freeze_backbone(self, frozen: bool) -> None:
        """Sets whether the heads learn alone, from the next call of `fit` on.

        The backbone then has no gradient, its batch norms use their stored statistics, and the optimizer
        neither decays its weights nor touches its slots.
        """
        freeze(self, backbone=frozen, norms=self.settings.frozen_norms)
        # Keras keeps the step that it traced, and `fit` restores what was trainable in `compile`.
        self._reset_compile_cache()

    def make_slots(self) -> None:
        """Makes what the optimizers keep for what learns now; in the strategy's scope."""
        make_slots(self.optimizer, self.theta)
        if self.classifier is not None:
            make_slots(self.second_optimizer, self.classifier.trainable_variables)

    @tf.autograph.experimental.do_not_convert
    def train_step(self, data: tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]) -> dict[str, tf.Tensor]:
        """Makes one update of theta by the global batch, and one of C_v by each micro-batch."""
        examples, theta, head = self.examples(data), self.theta, None
        if self.prototypes is not None:
            head = PrototypeStep(
                self.prototypes, self.momentum, examples.labels, self.step, self.make_collectives()
            )
        gradients = accumulate_gradients(
            lambda micro_batch, number: self.gradients(theta, micro_batch, head, number),
            examples,
            self.settings.accumulate,
        )
        norm = self._reduce_and_apply(gradients, theta, head)
        self._count_norm(norm)
        return {name: mean.result() for name, mean in self.means.items()}

    def examples(self, data: tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]) -> Examples:
        """Takes from a batch of the pipeline what `gradients` reads."""
        inputs, targets = data
        originals = inputs[keys.ORIGINAL] if self.teacher is not None else None
        return Examples(inputs[keys.IMAGE], inputs[keys.LABEL], targets[keys.VARIATION], originals)

    def gradients(
        self,
        theta: list[tf.Variable],
        examples: Examples,
        head: PrototypeStep | None = None,
        number: int = 0,
    ) -> list[tf.Tensor]:
        """Makes one update of C_v, and this micro-batch's share of the gradient, from one forward pass.

        Args:
            theta: the variables.
            examples: the micro-batch.
            head: sampled or sharded prototypes in this step.
            number: which micro-batch this is.

        Returns:
            By theta and then by the rows of `head`. The sum over micro-batches and replicas is the gradient
            of the global batch's mean loss.
        """
        sources = theta if head is None else [*theta, head.rows.kernel]
        with tf.GradientTape() as tape:
            if head is not None:
                tape.watch(head.rows.kernel)
            outputs = fused_forward(self, {keys.IMAGE: examples.images}, training=True)
            terms, hits = self._identify(outputs, examples.labels, head, number)
            terms[REGULARIZER] = confidence_regularizer(outputs[keys.CONFIDENCE])
            if self.classifier is not None:
                with tape.stop_recording():
                    self._update_classifier(self.classifier, outputs[keys.EMBEDDING], examples.variations)
                logits = self.classifier(outputs[keys.EMBEDDING], frozen=True)
                _, terms[CLS], terms[ADV] = variation_losses(logits, examples.variations)
            if self.teacher is not None:
                with tape.stop_recording():
                    target = self.teacher(examples.originals)
                terms[TEACHER] = teacher_distance(outputs[keys.EMBEDDING], target)
            means = {name: tf.reduce_mean(term) for name, term in terms.items()}
            loss = means[IDENTIFICATION] + tf.add_n(
                [self.settings.weights[name] * means[name] for name in means if name != IDENTIFICATION]
            )
            replicas = self.distribute_strategy.num_replicas_in_sync
            share = scaled(self.optimizer, loss / (replicas * self.settings.accumulate))
        self._count({**means, "loss": loss, "accuracy": hits}, outputs[keys.CONFIDENCE])
        gradients: list[tf.Tensor] = tape.gradient(share, sources)
        return gradients

    def _identify(
        self, outputs: dict[str, tf.Tensor], labels: tf.Tensor, head: PrototypeStep | None, number: int
    ) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        """Returns the identification term {name: [b]}, and whether the right identity came first, [b]."""
        loss = self.settings.identification
        if head is None:
            logits = outputs[keys.LOGITS]
            hits = tf.equal(tf.argmax(logits, -1), tf.cast(labels, tf.int64))
            return {IDENTIFICATION: loss.call(labels, logits)}, hits
        term, hits = head.identification(
            outputs[keys.EMBEDDING],
            outputs[keys.CONFIDENCE],
            loss.current_margin(),
            number,
            self.settings.accumulate,
        )
        return {IDENTIFICATION: term}, hits

    def _update_classifier(
        self, classifier: VariationClassifier, embedding: tf.Tensor, variations: tf.Tensor
    ) -> None:
        variables = classifier.trainable_variables
        embedding = tf.stop_gradient(embedding)
        with tf.GradientTape() as tape:
            logits = classifier(embedding)
            loss = tf.reduce_mean(variation_losses(logits, variations)[0])
            share = loss / self.distribute_strategy.num_replicas_in_sync
        reduce_and_apply(self.second_optimizer, tape.gradient(share, variables), variables)
        self.means["classifier_loss"].update_state(loss)
        right = tf.equal(logits > 0, variations[:, tf.newaxis, :] > 0.5)
        self.readable.update_state(tf.reduce_mean(tf.cast(right, tf.float32), 0))

    def _reduce_and_apply(
        self, gradients: list[tf.Tensor], theta: list[tf.Variable], head: PrototypeStep | None
    ) -> tf.Tensor:
        """Moves theta and the rows of `head`, whose gradient is the last one; returns the global norm."""
        optimizer, clip_norm = self.optimizer, self.settings.clip_norm
        if head is None:
            gradients, norm = reduce_and_clip(optimizer, gradients, clip_norm=clip_norm)
        else:
            shared, sharded = (gradients[:-1], gradients[-1:]) if head.sharded else (gradients, [])
            [*gradients, of_rows], norm = reduce_and_clip(
                optimizer, shared, clip_norm=clip_norm, sharded=sharded
            )
            if scales_loss(optimizer):
                gradients = spread_overflow(gradients, norm)
                head.apply_if_finite(of_rows, norm)
            else:
                head.apply(of_rows)
        apply_gradients(optimizer, gradients, theta, self._rates())
        return norm

    def _rates(self) -> dict[Hashable, tf.Tensor]:
        free = tf.cast(self.step >= self.settings.hold_steps, tf.float32)
        confidence = self.get_layer(keys.CONFIDENCE).trainable_variables
        return {variable.ref(): free * self.settings.confidence_rate for variable in confidence}

    def _count(self, values: dict[str, tf.Tensor], confidence: tf.Tensor) -> None:
        for name, value in values.items():
            self.means[name].update_state(value)
        self.moments[0].update_state(tf.reduce_mean(confidence, 0))
        self.moments[1].update_state(tf.reduce_mean(tf.square(confidence), 0))

    def _count_norm(self, norm: tf.Tensor) -> None:
        # Where loss scaling skips a step that overflowed, training goes on.
        counted = tf.math.is_finite(norm) if scales_loss(self.optimizer) else True
        self.means["gradient_norm"].update_state(
            tf.where(counted, norm, 0.0), sample_weight=tf.cast(counted, tf.float32)
        )

    def log_values(self) -> tuple[dict[str, float], dict[str, float]]:
        """Returns what the log says of the epoch besides the means: (scalars, columns of single groups)."""
        first, second = (metric.result().numpy() for metric in self.moments)
        spread = np.sqrt(np.maximum(second - first**2, 0.0))
        scalars = {
            "confidence_mean": float(first.mean()),
            "confidence_std": float(np.sqrt(max(second.mean() - first.mean() ** 2, 0.0))),
            "margin": float(self.settings.identification.current_margin()),
        }
        columns = {f"confidence_mean_{k}": float(v) for k, v in enumerate(first)}
        columns.update({f"confidence_std_{k}": float(v) for k, v in enumerate(spread)})
        columns.update(
            {f"weight_{name}": self.settings.weights[name] for name in TERMS[1:] if name in self.means}
        )
        if self.classifier is not None:
            for (t, u), value in np.ndenumerate(self.readable.result().numpy()):
                columns[f"readable_{t}_{u}"] = float(value)
        return scalars, columns
