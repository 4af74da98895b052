"""A URFace model without a backbone, for tests of its head; and a training of a few steps."""

import functools

import numpy as np
import tensorflow as tf

from urfr_tf import keys
from urfr_tf.keras2 import keras
from urfr_tf.layers import Confidence, SubEmbedding
from urfr_tf.losses import ConfidenceAwareIdentification
from urfr_tf.models.partial_prototypes import PartialPrototypes
from urfr_tf.models.prototype_step import Momentum
from urfr_tf.models.urface import with_logits
from urfr_tf.models.urface_trainer import URFaceSettings, URFaceTrainer
from urfr_tf.training.addons import sgdw

B, K, WIDTH, CLASSES, RATE, DECAY = 8, 2, 8, 13, 0.5, 0.01


def small_urface(classes=CLASSES, *, clip=1.0, wrap=None, accumulate=1, **partial):
    """Compiled; with `shards`, `rate`, `count` the prototypes are no layer of the network."""
    image = keras.Input([6], name=keys.IMAGE)
    # A batch norm would have to be synchronised; a backbone does not matter to the head.
    features = keras.layers.Dense(10, kernel_initializer=keras.initializers.GlorotNormal(seed=1))(image)
    embedding = SubEmbedding(K, WIDTH // K, batch_norm=False, name=keys.EMBEDDING)(features)
    scores = Confidence(K, 6.0, name=keys.CONFIDENCE)(features)
    network = keras.Model({keys.IMAGE: image}, {keys.EMBEDDING: embedding, keys.CONFIDENCE: scores})
    if not partial:
        network = with_logits(network, classes, K)
    prototypes = PartialPrototypes(classes, K, WIDTH // K, seed=5, **partial) if partial else None
    settings = URFaceSettings(
        groups=K,
        identification=ConfidenceAwareIdentification(2.0),
        weights={"regularizer": 0.001},
        clip_norm=clip,
        accumulate=accumulate,
    )
    model = URFaceTrainer(network, settings, prototypes=prototypes)
    optimizer = sgdw(RATE, momentum=0.9, nesterov=False, weight_decay=DECAY)
    model.compile(
        optimizer if wrap is None else wrap(optimizer),
        momentum=Momentum(RATE, 0.9, False, DECAY),
    )
    return model


def start_alike(model, classes=CLASSES):
    """The same numbers in every variable, whatever the kind of head and the number of replicas."""
    random = np.random.default_rng(1)
    for variable in model.theta:
        if "logits" not in variable.name:
            variable.assign(random.normal(size=variable.shape) * 0.3)
    kernel = random.normal(size=[classes, WIDTH]).astype(np.float32)
    if model.prototypes is None:
        model.get_layer(keys.LOGITS).kernel.assign(kernel)
    else:
        model.prototypes.assign(model.prototypes.kernel, kernel)


def batches(steps, classes=CLASSES, labels=None):
    """Distinct random batches, always the same."""
    random = np.random.default_rng(2)
    images = random.normal(size=[steps * B, 6]).astype(np.float32)
    drawn = random.integers(0, classes, steps * B) if labels is None else np.resize(labels, steps * B)
    variation = np.zeros([steps * B, 0], np.float32)
    inputs = {keys.IMAGE: images, keys.LABEL: drawn.astype(np.int64)}
    return tf.data.Dataset.from_tensor_slices((inputs, {keys.VARIATION: variation})).batch(B, True)


def head_of(model):
    """Kernel and momentum whole, [C, D]."""
    if model.prototypes is not None:
        return [
            model.prototypes.values(v).numpy() for v in (model.prototypes.kernel, model.prototypes.momentum)
        ]
    kernel = model.get_layer(keys.LOGITS).kernel
    return [kernel.numpy(), model.optimizer.get_slot(kernel, "momentum").numpy()]


def theta_of(model):
    """Every other weight."""
    return [v.numpy() for v in model.theta if "logits" not in v.name]


def trained(model, data, callbacks=()):
    """Means of the log over one fit, then kernel and momentum, then theta."""
    with model.distribute_strategy.scope():
        model.make_slots()
    logs = model.fit(data, callbacks=list(callbacks), verbose=0).history
    means = [logs[name][0] for name in ("loss", "identification", "gradient_norm", "accuracy")]
    return means, head_of(model), theta_of(model)


def difference(ours, theirs):
    """The greatest absolute difference between two results of `trained`."""
    pairs = zip(tf.nest.flatten(ours), tf.nest.flatten(theirs), strict=True)
    return max(float(np.abs(np.asarray(a) - np.asarray(b)).max()) for a, b in pairs)


@functools.lru_cache  # Two strategies of one process would number their collectives alike.
def mirrored(count):
    return tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(count)])


def partial_model(replicas, **settings):
    with mirrored(replicas).scope():
        model = small_urface(**settings)
        start_alike(model)
    return model


def restored(path, replicas):
    """A model with one shard a replica, from the checkpoint of a step before the last."""
    with mirrored(replicas).scope():
        model = small_urface(shards=replicas)
    checkpoint = tf.train.Checkpoint(model=model, optimizer=model.optimizer)
    checkpoint.restore(path).assert_existing_objects_matched()
    return model


class SavedAfterTwoSteps(keras.callbacks.Callback):
    """A checkpoint inside the training, for its third step on 1, 2 and other numbers of replicas."""

    def __init__(self, path):
        super().__init__()
        self.path = path

    def on_train_batch_end(self, batch, logs=None):
        if batch == 1:
            checkpoint = tf.train.Checkpoint(model=self.model, optimizer=self.model.optimizer)
            self.path = checkpoint.save(self.path)


def compare(replicas, path):
    """Comparisons with the dense layer; one number of replicas a process, as collectives want it."""
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * replicas
    )
    keras.utils.set_random_seed(0)
    dense = small_urface()
    start_alike(dense)
    reference = trained(dense, batches(3))
    sharded = partial_model(replicas, shards=replicas)
    saved = SavedAfterTwoSteps(path) if replicas == 2 else None
    result = {
        "sharded": difference(trained(sharded, batches(3), [saved] if saved else []), reference),
        "rows": [int(v.shape[0]) for v in sharded.prototypes.momentum.values],
    }
    result["path"] = path = saved.path if saved else path
    for count in (replicas, *([1] if replicas == 2 else [])):
        weights = trained(restored(path, count), batches(3).skip(2))[1:]
        result[f"restored_{count}"] = difference(weights, reference[1:])
    # A rate that rounds to every row, so that rows are gathered and scattered: both ways together.
    both = partial_model(replicas, shards=replicas, rate=0.99)
    result["sharded_gathered"] = difference(trained(both, batches(3)), reference)
    # All three ways at once: each replica takes its images one by one.
    slow = partial_model(replicas, shards=replicas, rate=0.99, accumulate=B // replicas)
    result["sharded_accumulated"] = difference(trained(slow, batches(3)), reference)
    if replicas == 2:
        copies = partial_model(2, shards=1, rate=0.99)
        result["copied_gathered"] = difference(trained(copies, batches(3)), reference)
        first, second = (v.numpy() for v in copies.prototypes.kernel.values)
        result["copies_differ"] = float(np.abs(first - second).max())
        # Two other rows in each shard: only rows of labels and of the draw move, in kernel and momentum.
        drawn = partial_model(2, shards=2, count=4)
        before = head_of(drawn)
        trained(drawn, batches(1, labels=[0, 12, 5]))
        changed = [(a != b).any(1) for a, b in zip(before, head_of(drawn), strict=True)]
        result["moved"] = [np.flatnonzero(rows).tolist() for rows in changed]
    return result
