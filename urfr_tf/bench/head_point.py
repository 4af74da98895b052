"""One point of `urfr bench head`, in a separate process, since a peak of memory cannot be reset.

Run as `python -m urfr_tf.bench.head_point JSON`; it prints JSON. The step is that of the trainer, with
nothing in front of the head but a fully connected layer; other images and labels come at every step.
"""

import json
import sys
import time
from typing import TypeAlias, TypedDict

import numpy as np
import tensorflow as tf

from urfr_tf import keys
from urfr_tf.bench.head import HeadPoint, HeadSettings
from urfr_tf.keras2 import keras
from urfr_tf.layers import Confidence, SubEmbedding
from urfr_tf.losses import ConfidenceAwareIdentification
from urfr_tf.models.partial_prototypes import PartialPrototypes
from urfr_tf.models.prototype_step import Momentum
from urfr_tf.models.urface import with_logits
from urfr_tf.models.urface_trainer import URFaceSettings, URFaceTrainer
from urfr_tf.system import memory
from urfr_tf.training.addons import sgdw

Batch: TypeAlias = tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]
_RATE, _MOMENTUM, _DECAY = 0.01, 0.9, 5e-4


class HeadJob(TypedDict):
    """What is measured."""

    classes: int
    batch: int
    groups: int
    dim: int
    replicas: int
    rounds: int
    head: HeadSettings


def build_head_model(classes: int, groups: int, dim: int, replicas: int, head: HeadSettings) -> URFaceTrainer:
    """Builds a compiled trainer of a head alone; inside the strategy's scope.

    Args:
        classes: C.
        groups: K.
        dim: d.
        replicas: R.
        head: keys of the configuration's `head`: sharded, sample_rate, sample_count; empty for the dense one.
    """
    features = keras.Input([groups * dim], name=keys.IMAGE)
    embedding = SubEmbedding(groups, dim, batch_norm=False, name=keys.EMBEDDING)(features)
    confidence = Confidence(groups, name=keys.CONFIDENCE)(features)
    network = keras.Model({keys.IMAGE: features}, {keys.EMBEDDING: embedding, keys.CONFIDENCE: confidence})
    prototypes = None
    if not head:
        network = with_logits(network, classes, groups)
    else:
        prototypes = PartialPrototypes(
            classes,
            groups,
            dim,
            shards=replicas if head.get("sharded") else 1,
            rate=head.get("sample_rate", 1.0),
            count=head.get("sample_count", 0),
        )
    settings = URFaceSettings(groups, ConfidenceAwareIdentification(30.0), {"regularizer": 0.001})
    model = URFaceTrainer(network, settings, prototypes=prototypes)
    model.compile(
        sgdw(_RATE, momentum=_MOMENTUM, nesterov=False, weight_decay=_DECAY),
        momentum=Momentum(_RATE, _MOMENTUM, False, _DECAY),
    )
    return model


def count_head_bytes(model: URFaceTrainer) -> list[int]:
    """Counts the bytes of the prototypes and their momentum on each replica, from the variables."""
    if model.prototypes is None:
        kernel = model.get_layer(keys.LOGITS).kernel
        variables = [(kernel, model.optimizer.get_slot(kernel, "momentum"))]
    else:
        variables = model.prototypes.of_replicas()
    return [sum(int(np.prod(v.shape)) * v.dtype.size for v in each) for each in variables]


def measure_point(job: HeadJob) -> HeadPoint:
    """Measures the seconds of each step after the first two, and bytes."""
    replicas = job["replicas"]
    strategy = tf.distribute.get_strategy()
    if replicas > 1:
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * replicas)
        strategy = tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(replicas)])
    before = memory.resident()
    with strategy.scope():
        model = build_head_model(job["classes"], job["groups"], job["dim"], replicas, job["head"])
    step = tf.function(lambda data: strategy.run(model.train_step, args=(data,)))
    seconds = []
    for number in range(job["rounds"] + 2):
        data = _batch(strategy, job, number)
        start = time.perf_counter()
        logs = step(data)
        loss = strategy.experimental_local_results(logs["loss"])[0].numpy()
        seconds.append(time.perf_counter() - start)
        if not np.isfinite(loss):
            raise ValueError(f"expected a finite loss, but got {loss}")
    return {
        "seconds": seconds[2:],
        "peak_bytes": memory.peak() - before,
        "head_bytes": count_head_bytes(model),
    }


def _batch(strategy: tf.distribute.Strategy, job: HeadJob, number: int) -> tf.distribute.DistributedValues:
    size = job["batch"] // job["replicas"]

    def of_replica(context: tf.distribute.experimental.ValueContext) -> Batch:
        random = np.random.default_rng([number, context.replica_id_in_sync_group])
        features = random.standard_normal([size, job["groups"] * job["dim"]], np.float32)
        labels = random.integers(0, job["classes"], size)
        inputs = {keys.IMAGE: tf.constant(features), keys.LABEL: tf.constant(labels)}
        return inputs, {keys.VARIATION: tf.zeros([size, 0])}

    return strategy.experimental_distribute_values_from_function(of_replica)


if __name__ == "__main__":
    print(json.dumps(measure_point(json.loads(sys.argv[1]))))
