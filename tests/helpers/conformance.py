"""Every public layer and loss with inputs for it, for `tests/layers/test_conformance.py`."""

import numpy as np
import tensorflow as tf

from urfr_tf import layers, losses
from urfr_tf.keras2 import keras
from urfr_tf.models.collectives import Alone, Replicas
from urfr_tf.models.inference_graph import JoinGroups, Reciprocal

B, CLASSES, K, DIM, T = 8, 5, 4, 3, 3

# name -> (makes the layer, shapes of its inputs without the batch)
LAYERS = {
    "SubEmbedding": (lambda: layers.SubEmbedding(K, DIM, synchronized=True), [[10]]),
    "Confidence": (lambda: layers.Confidence(K, initial=9.0, minimum=0.5, maximum=80.0), [[10]]),
    "ConfidenceNorm": (lambda: layers.Confidence(K, initial=9.0, minimum=0.5, norm=True), [[10]]),
    "Prototypes": (lambda: layers.Prototypes(CLASSES, K), [[K, DIM], [K]]),
    "VariationClassifier": (lambda: layers.VariationClassifier(T, K, mask_seed=2), [[K, DIM]]),
    # The inference graph gives these two their type, whatever the policy.
    "JoinGroups": (lambda: JoinGroups(dtype="float32"), [[K, DIM]]),
    "Reciprocal": (lambda: Reciprocal(dtype="float32"), [[K]]),
}


def labels_of(tensor):
    """Identities 0, 0, 1, 1, ..., which go on from replica to replica; no pair is cut in two."""
    replica = tf.distribute.get_replica_context().replica_id_in_sync_group
    count = tf.shape(tensor)[0]
    return (replica * count + tf.range(count)) // 2


def soft_labels_of(tensor):
    """Variation labels float32 [B, T] between 0 and 1."""
    count = tf.shape(tensor)[0]
    return tf.reshape(tf.cast(tf.range(count * T) % 4, tf.float32) / 3.0, [count, T])


def partial(embedding, confidence, kernel):
    """Over all prototypes, on one replica."""
    targets = labels_of(embedding)
    return losses.partial_identification(embedding, confidence, kernel, targets, tf.constant(2.0), Alone())[0]


def sharded(embedding, confidence, kernel):
    """The same, each of the replicas holding some rows of the kernel."""
    replicas = Replicas()
    rows = -(-CLASSES // replicas.count)
    start = replicas.index * rows
    count = tf.shape(embedding)[0] * replicas.count
    targets = tf.range(count) // 2 - start
    mine = kernel[start : start + rows]
    targets = tf.where((targets >= 0) & (targets < mine.shape[0]), targets, -1)
    return losses.partial_identification(embedding, confidence, mine, targets, tf.constant(2.0), replicas)[0]


# name -> (differentiable inputs -> one value an image, or several such; shapes of the inputs without batch)
LOSSES = {
    "ConfidenceAwareIdentification": (
        lambda logits: losses.ConfidenceAwareIdentification(2.0).call(labels_of(logits), logits),
        [[CLASSES]],
    ),
    "identification": (
        lambda logits: losses.identification(labels_of(logits), logits, 2.0),
        [[CLASSES]],
    ),
    "partial_identification": (partial, [[K, DIM], [K]]),
    "confidence_regularizer": (losses.confidence_regularizer, [[K]]),
    "variation_losses": (lambda logits: losses.variation_losses(logits, soft_labels_of(logits)), [[T, T]]),
    "attribute_loss": (lambda logits: losses.attribute_loss(logits, soft_labels_of(logits)), [[T]]),
    "confusion": (losses.confusion, [[CLASSES]]),
    "teacher_distance": (lambda embedding: losses.teacher_distance(embedding, 1.0 - embedding), [[K, DIM]]),
    "mutual_likelihood": (
        lambda embedding, variance: losses.mutual_likelihood(embedding, variance, labels_of(embedding)),
        [[K, DIM], [K]],
    ),
}
LOSS_CLASSES = ("ConfidenceAwareIdentification",)
OF_PAIRS = ("mutual_likelihood",)


def draw(shapes, batch=B):
    """The same random inputs at every call, float32 between 0.1 and 1."""
    random = np.random.default_rng(0)
    return [random.uniform(0.1, 1, [batch, *shape]).astype(np.float32) for shape in shapes]


KERNEL = np.random.default_rng(1).normal(size=[CLASSES, K * DIM]).astype(np.float32)


def loss_values(name, inputs, partial_loss=partial):
    """The values of a loss as a list of tensors."""
    if name == "partial_identification":
        return [partial_loss(*inputs, tf.constant(KERNEL))]
    result = LOSSES[name][0](*inputs)
    return list(result) if isinstance(result, tuple) else [result]


def model_of(name):
    """A functional model of one layer."""
    make, shapes = LAYERS[name]
    inputs = [keras.Input(shape) for shape in shapes]
    return keras.Model(inputs, make()(inputs if len(inputs) > 1 else inputs[0]))


def set_weights(model):
    """Random weights, the same at every call, where they are trainable."""
    random = np.random.default_rng(2)
    for variable in model.trainable_variables:
        variable.assign(random.normal(size=variable.shape) * 0.3)


def run_layer(strategy, name):
    """Output of the global batch, and gradients of the sum of its squares by inputs and by weights."""
    with strategy.scope():
        model = model_of(name)
        set_weights(model)

    def step(*inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            output = model(list(inputs) if len(inputs) > 1 else inputs[0], training=True)
            total = tf.reduce_sum(tf.square(output))
        by_weights, by_inputs = tape.gradient(total, [model.trainable_variables, list(inputs)])
        if by_weights:
            context = tf.distribute.get_replica_context()
            by_weights = context.all_reduce(tf.distribute.ReduceOp.SUM, by_weights)
        return output, by_weights, by_inputs

    return run(strategy, step, draw(LAYERS[name][1]))


def run_loss(strategy, name):
    """Values of the global batch and the gradients of their weighted mean by the inputs."""
    # What one replica computes of all prototypes, several compute of shards.
    partial_loss = partial if strategy.num_replicas_in_sync == 1 else sharded

    def step(*inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            values = loss_values(name, inputs, partial_loss)
            total = tf.add_n([tf.reduce_sum(value) for value in values]) / B
        return values, [], [tf.convert_to_tensor(g) for g in tape.gradient(total, list(inputs))]

    return run(strategy, step, draw(LOSSES[name][1]))


def run(strategy, step, inputs):
    """Runs `step` on equal slices of the inputs; outputs and gradients by inputs are joined again."""
    count = strategy.num_replicas_in_sync

    def slice_of(value):
        slices = np.split(value, count)
        return strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant(slices[context.replica_id_in_sync_group])
        )

    args = tuple(slice_of(value) for value in inputs)
    output, by_weights, by_inputs = strategy.run(tf.function(step, autograph=False), args=args)

    def joined(value):
        return np.concatenate([each.numpy() for each in strategy.experimental_local_results(value)])

    def first(value):
        return strategy.experimental_local_results(value)[0].numpy()

    return [
        *(joined(value) for value in tf.nest.flatten([output, by_inputs])),
        *(first(value) for value in tf.nest.flatten(by_weights)),
    ]


def difference(ours, theirs):
    """The greatest difference of two lists of arrays, relative to the greatest number of an array above 1."""
    pairs = list(zip(ours, theirs, strict=True))
    assert all(one.shape == other.shape for one, other in pairs)
    return max(float(np.abs(one - other).max() / max(1.0, np.abs(other).max())) for one, other in pairs)


def differences():
    """How far outputs and gradients on two replicas are from those on one."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    one = tf.distribute.OneDeviceStrategy("CPU:0")
    two = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    result = {name: difference(run_layer(two, name), run_layer(one, name)) for name in LAYERS}
    return result | {name: difference(run_loss(two, name), run_loss(one, name)) for name in LOSSES}
