"""The task `recognition`: URFace training. The CosFace baseline is one of its configurations."""

from collections.abc import Sequence
from functools import partial

import tensorflow as tf

from urfr_tf import keys
from urfr_tf.config.tree import Experiment
from urfr_tf.data.manifest import Manifest
from urfr_tf.errors import UrfrError
from urfr_tf.keras2 import keras
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
        model, network = build_recognition_model(
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


def build_recognition_model(
    config: Experiment, classes: int, *, synchronized: bool, replicas: int = 1, load: bool = True
) -> tuple[URFaceTrainer, keras.Model]:
    """Builds the training model and the embedding network inside it, in the strategy's scope.

    Args:
        config: the experiment.
        classes: C.
        synchronized: whether batch norms are synchronized over replicas.
        replicas: the number of replicas, which can share the prototypes.
        load: whether `initial_weights` are loaded.
    """
    network = embedding_network(config.model, config.confidence, synchronized=synchronized)
    fresh_layers = copy_initial_weights(network, config) if config.initial_weights and load else []
    teacher = build_teacher(config, network, fresh_layers, load=load) if config.loss.teacher else None
    sampled_or_sharded = config.head.partial
    model = URFaceTrainer(
        network if sampled_or_sharded else with_logits(network, classes, config.model.groups),
        trainer_settings(config),
        classifier=build_classifier(config) if config.decorrelation.enabled else None,
        prototypes=build_prototypes(config, classes, replicas) if sampled_or_sharded else None,
        teacher=teacher,
    )
    return model, network


def build_teacher(
    config: Experiment, network: keras.Model, fresh_layers: Sequence[str], *, load: bool
) -> Teacher:
    """Builds a frozen copy of the network as it starts.

    Args:
        config: the experiment.
        network: the embedding network in training.
        fresh_layers: names of its layers that `initial_weights` did not fill.
        load: whether the weights are copied.

    Raises:
        UrfrError: the embedding does not come from `initial_weights`.
    """
    if keys.EMBEDDING in fresh_layers:
        raise UrfrError(
            "expected an embedding that continues the one of initial_weights, because loss.teacher weighs "
            f"the distance from it, but {config.initial_weights} has another width"
        )
    teacher = embedding_network(config.model, config.confidence)
    if load:
        teacher.set_weights(network.get_weights())
    return Teacher(teacher)


def build_classifier(config: Experiment) -> VariationClassifier:
    """Builds C_v, which reads the variations from the sub-embeddings."""
    groups = config.model.groups
    classifier = VariationClassifier(
        len(config.variations), groups, config.decorrelation.mask_seed, name=keys.VARIATION_CLASSIFIER
    )
    classifier.build([None, groups, config.model.embedding_dim // groups])
    return classifier


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


def build_prototypes(config: Experiment, classes: int, replicas: int) -> PartialPrototypes:
    """Builds sampled or sharded prototypes, in the strategy's scope."""
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
    """Gives the model its optimizers, in the strategy's scope."""
    optimizer = config.optimizer
    second = None
    if model.classifier is not None:
        second = keras.optimizers.legacy.SGD(config.decorrelation.classifier_rate, momentum=0.9)
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
