"""Fine-tuning: what is frozen does not move, what has a rate of its own moves by that much."""

import numpy as np
import pytest
import tensorflow as tf
from one_unit import MODEL

from urfr_tf import keys
from urfr_tf.config.load_config import from_dict
from urfr_tf.errors import UrfrError
from urfr_tf.keras2 import keras
from urfr_tf.models.layer_groups import backbone_layers, layer_rates
from urfr_tf.models.urface_trainer import URFaceTrainer
from urfr_tf.training.optimizers import build_schedule
from urfr_tf.training.tasks.recognition import build_recognition_model, compile_model

B, CLASSES, RATE = 6, 5, 0.05


def experiment(optimizer=None, train=None, **groups):
    schedule = {"type": "constant", "constant": {"learning_rate": RATE}}
    tree = {
        "model": MODEL,
        "confidence": {"initial": 10.0},
        "loss": {"margin": 2.0},
        "optimizer": {"learning_rate": schedule, **(optimizer or {})},
        "train": train or {},
        **groups,
    }
    return from_dict(tree, "test")


def built(config):
    keras.utils.set_random_seed(0)
    model, _ = build_recognition_model(config, CLASSES, synchronized=False)
    compile_model(config, model, build_schedule(config.optimizer, 10))
    return model


def batches(variations=0):
    random = np.random.default_rng(0)
    images = random.uniform(0, 255, [B, 32, 32, 3]).astype(np.float32)
    inputs = {keys.IMAGE: images, keys.LABEL: random.integers(0, CLASSES, B)}
    return tf.data.Dataset.from_tensors(
        (inputs, {keys.VARIATION: np.zeros([B, variations], np.float32)})
    ).repeat()


def values(model):
    """Name -> value of every weight, batch norms' statistics included."""
    return {v.name: v.numpy() for layer in model.layers for v in layer.weights}


def fit(model, steps, variations=0):
    model.make_slots()  # As `urfr train` does before each call of fit.
    model.fit(batches(variations), steps_per_epoch=steps, verbose=0)


def moved(before, after):
    return {name for name in before if not np.array_equal(before[name], after[name])}


def group(name):
    layer = name.split("/")[0]
    return layer if layer in (keys.EMBEDDING, keys.CONFIDENCE, keys.LOGITS) else "backbone"


def test_names_of_variables_start_with_their_layer():
    """What the optimizer goes by."""
    model = built(experiment())
    for layer in model.layers:
        assert all(v.name.split("/")[0] == layer.name for v in layer.weights), layer.name
    assert len(values(model)) == len([v for layer in model.layers for v in layer.weights])


def test_a_frozen_backbone_stays_with_its_statistics_and_slots_then_moves():
    model = built(experiment({"ema_decay": 0.9, "weight_decay": 0.1}, {"freeze_backbone_epochs": 1}))
    model.freeze_backbone(True)
    start = values(model)
    fit(model, 2)
    frozen = values(model)
    assert {group(name) for name in moved(start, frozen)} == {keys.EMBEDDING, keys.CONFIDENCE, keys.LOGITS}
    assert any(
        "moving_mean" in name for name in moved(start, frozen)
    )  # the embedding's own batch norm learns
    slots = {v.name for v in model.optimizer.variables() if "momentum" in v.name or "average" in v.name}
    assert {group(name) for name in slots} == {
        keys.EMBEDDING,
        keys.CONFIDENCE,
        keys.LOGITS,
    }

    model.freeze_backbone(False)
    fit(model, 1)
    free = values(model)
    assert moved(frozen, free) == set(free)
    # The first step of a momentum from zero: v = -rate g; the average starts at the weight before it.
    kernel = model.get_layer("conv1").kernel
    velocity = model.optimizer._optimizer.get_slot(kernel, "momentum").numpy()
    decayed = start[kernel.name] * (1 - RATE * 0.1 / (1 - 0.9))
    np.testing.assert_allclose(free[kernel.name], decayed + velocity, rtol=1e-5, atol=1e-7)
    # Two steps are behind: the decay of the average is min(0.9, (1 + 2) / (10 + 2)) = 1/4.
    average = model.optimizer.get_slot(kernel, "average").numpy()
    np.testing.assert_allclose(
        average, 0.25 * start[kernel.name] + 0.75 * free[kernel.name], rtol=1e-5, atol=1e-7
    )


@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_a_step_whose_slots_are_made_is_traced_once(precision, monkeypatch):
    """In the first trace variables would be made, so TensorFlow would trace the step a second time."""
    traces, step = [], URFaceTrainer.train_step

    def counted(model, data):
        traces.append(data)
        return step(model, data)

    monkeypatch.setattr(URFaceTrainer, "train_step", tf.autograph.experimental.do_not_convert(counted))
    config = experiment(
        {"ema_decay": 0.9},
        augment={"blur": 0.5},
        decorrelation={"enabled": True},
        runtime={"precision": precision},
    )
    model = built(config)
    fit(model, 2, variations=1)
    assert len(traces) == 1


@pytest.mark.parametrize("norms", ["backbone", "all"])
def test_frozen_batch_norms_use_their_stored_statistics(norms):
    model = built(experiment(train={"freeze_batch_norm": norms}))
    random = np.random.default_rng(3)
    for layer in backbone_layers(model):
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.moving_mean.assign(random.normal(size=layer.moving_mean.shape) * 0.1)
    image = next(iter(batches()))[0][keys.IMAGE]
    features = keras.Model(model.input, model.get_layer("bn2").output)
    np.testing.assert_allclose(
        features(image, training=True), features(image, training=False), rtol=1e-4, atol=1e-4
    )
    before = values(model)
    fit(model, 1)
    still = set(before) - moved(before, values(model))
    expected = {
        v.name
        for layer in backbone_layers(model)
        if isinstance(layer, keras.layers.BatchNormalization)
        for v in layer.weights
    }
    if norms == "all":
        expected |= {v.name for v in model.get_layer(keys.EMBEDDING).norm.weights}
    assert still == expected


def test_each_part_moves_by_its_rate():
    """One step from a momentum of zero: the change by gradient and by decay is proportional to the rate."""
    settings = {"weight_decay": 0.1}
    rates = {"backbone": 0.5, "backbone_first": 0.125, "embedding": 0.25, "prototypes": 2.0}
    changes = []
    for chosen in ({}, rates):
        model = built(experiment({**settings, "layer_rates": chosen}))
        before = values(model)
        fit(model, 1)
        changes.append({v.name: v.numpy() - before[v.name] for v in model.trainable_variables})
    plain, scaled = changes
    layers = [layer.name for layer in backbone_layers(model)]
    assert layers[0] == "conv1"
    assert layers[-1] == "bn2"
    for name, change in plain.items():
        layer = name.split("/")[0]
        factor = {keys.EMBEDDING: 0.25, keys.LOGITS: 2.0, keys.CONFIDENCE: 1.0}.get(layer)
        if factor is None:  # 0.125 * 4 ** (place along the backbone)
            factor = 0.125 * 4 ** (layers.index(layer) / (len(layers) - 1))
        # The difference of two float32 weights has their rounding, 6e-8 of the weight.
        np.testing.assert_allclose(scaled[name], factor * change, rtol=1e-3, atol=3e-7, err_msg=name)


def test_no_rate_is_named_where_all_are_one():
    assert layer_rates(built(experiment())) == {}


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"train": {"freeze_batch_norm": "some"}}, "train.freeze_batch_norm is one of none, backbone, all"),
        ({"train": {"freeze_backbone_epochs": -1}}, "must not be negative"),
        ({"optimizer": {"layer_rates": {"backbone": 0.0}}}, "layer_rates.backbone must be above 0"),
        (
            {"task": "attributes", "data": {"soft_labels": ["a"]}, "train": {"freeze_batch_norm": "all"}},
            "belong to task: recognition",
        ),
    ],
)
def test_refused(tree, message):
    with pytest.raises(UrfrError, match=message):
        experiment(**tree)
