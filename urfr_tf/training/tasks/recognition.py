"""The task `recognition`: URFace training. The CosFace baseline is one of its configurations."""

from functools import partial

import keras
import tensorflow as tf

from urfr_tf import keys
from urfr_tf.config.tree import Experiment
from urfr_tf.data.manifest import Manifest
from urfr_tf.errors import UrfrError
from urfr_tf.layers import VariationClassifier
from urfr_tf.losses import ConfidenceAwareIdentification
from urfr_tf.losses.variation import decorrelation_weights
from urfr_tf.models.frozen_teacher import Teacher
from urfr_tf.models.inference_graph import build_inference, inference_outputs
from urfr_tf.models.layer_groups import layer_rates
from urfr_tf.models.partial_prototypes import PartialPrototypes
from urfr_tf.models.prototype_step import Momentum
from urfr_tf.models.urface import embedding_network, with_logits
from urfr_tf.models.urface_trainer import ADV, CLS, REGULARIZER, TEACHER, URFaceSettings, URFaceTrainer
from urfr_tf.runs.initial_weights import copy_initial_weights
from urfr_tf.training.addons import LearningRate, Scaled
from urfr_tf.training.optimizers import build_optimizer
from urfr_tf.training.strategy import needs_synchronized_norms
from urfr_tf.training.tasks.batches import configured_batches
from urfr_tf.training.tasks.class_means import class_means
from urfr_tf.training.tasks.task import Embed, Task
from urfr_tf.training.validation import verification_measure


def build_task(
    config: Experiment, manifest: Manifest, schedule: LearningRate, strategy: tf.distribute.Strategy
) -> Task:
    """Builds the compiled model and what goes with it."""
    with strategy.scope():
        model, network = build_model(
            config,
            manifest.classes,
            synchronized=needs_synchronized_norms(strategy),
            replicas=strategy.num_replicas_in_sync,
        )
        compile_model(config, model, schedule)
    measure = None
    if config.data.validation:
        measure = verification_measure(config.data.validation, config.model.input_size)
    class_means_start = config.head.start == "class_means"
    return Task(
        model=model,
        inference=keras.Model(network.input, inference_outputs(network)),
        inference_copy=build_inference(config),
        batches=partial(configured_batches, config),
        before_first_step=partial(start_at_class_means, config, model) if class_means_start else None,
        measure=measure,
        freeze_backbone=model.freeze_backbone,
    )


def start_at_class_means(config: Experiment, model: URFaceTrainer, embed: Embed) -> None:
    """Sets the prototypes to the class means of the embeddings as they are now."""
    means = class_means(embed, config.data.train, config.model.input_size, config.model.groups)
    if model.prototypes is None:
        model.get_layer(keys.LOGITS).kernel.assign(means)
    else:
        model.prototypes.assign(model.prototypes.kernel, means)
    print(f"prototypes start as the class means of {len(means)} identities", flush=True)


def build_model(
    config: Experiment, classes: int, *, synchronized: bool, replicas: int = 1, load: bool = True
) -> tuple[URFaceTrainer, keras.Model]:
    """The training model and the embedding network inside it, with the weights of another run unless not `load`."""
    network = embedding_network(config.model, config.confidence, synchronized=synchronized)
    groups = config.model.groups
    fresh = copy_initial_weights(network, config) if config.initial_weights and load else []
    teacher = None
    if config.loss.teacher:
        if keys.EMBEDDING in fresh:
            raise UrfrError(
                "expected an embedding that goes on from the one of initial_weights where loss.teacher weighs the "
                f"distance from it, but {config.initial_weights} has another width"
            )
        teaching = embedding_network(config.model, config.confidence)
        if load:
            teaching.set_weights(network.get_weights())
        teacher = Teacher(teaching)
    partial_head = config.head.partial
    graph = network if partial_head else with_logits(network, classes, groups)
    classifier = None
    if config.decorrelation.enabled:
        classifier = VariationClassifier(
            len(config.variations), groups, config.decorrelation.mask_seed, name=keys.VARIATION_CLASSIFIER
        )
        classifier.build([None, groups, config.model.embedding_dim // groups])
    model = URFaceTrainer(
        graph,
        trainer_settings(config),
        classifier=classifier,
        prototypes=partial_prototypes(config, classes, replicas) if partial_head else None,
        teacher=teacher,
    )
    return model, network


def trainer_settings(config: Experiment) -> URFaceSettings:
    """Returns what the configuration says of the train step."""
    loss = config.loss
    cls, adv = loss.cls, loss.adv
    if config.decorrelation.average:
        cls, adv = decorrelation_weights(cls, adv, len(config.variations))
    return URFaceSettings(
        groups=config.model.groups,
        identification=ConfidenceAwareIdentification(loss.margin, loss.margin_warmup_steps),
        weights={
            # A confidence that is not learned has nothing to regularize.
            REGULARIZER: loss.regularizer if config.confidence.learned else 0.0,
            CLS: cls,
            ADV: adv,
            TEACHER: loss.teacher,
        },
        hold_steps=config.confidence.hold_steps,
        confidence_rate=config.confidence.rate,
        clip_norm=config.optimizer.clip_norm,
        frozen_norms=config.train.freeze_batch_norm,
        accumulate=config.train.accumulate,
    )


def partial_prototypes(config: Experiment, classes: int, replicas: int) -> PartialPrototypes:
    """Sampled or sharded prototypes; must run inside the strategy's scope."""
    head, groups = config.head, config.model.groups
    return PartialPrototypes(
        classes,
        groups,
        config.model.embedding_dim // groups,
        shards=replicas if head.sharded else 1,
        rate=head.sample_rate,
        count=head.sample_count,
        seed=config.seed,
    )


def compile_model(config: Experiment, model: URFaceTrainer, schedule: LearningRate) -> None:
    """Gives the model its optimizers; must run inside the strategy's scope."""
    optimizer = config.optimizer
    second = None
    if model.classifier is not None:
        second = tf.keras.optimizers.legacy.SGD(config.decorrelation.classifier_rate, momentum=0.9)
    rates = optimizer.layer_rates
    model.compile(
        build_optimizer(
            optimizer,
            schedule,
            half_precision=config.runtime.precision == "mixed_float16",
            layer_rates=layer_rates(model, **rates.as_dict()),
        ),
        second,
        Momentum(
            Scaled(schedule, rates.prototypes), optimizer.momentum, optimizer.nesterov, optimizer.weight_decay
        ),
    )
