"""The train step: nothing crosses the wrong way, variable by variable; s is held; keys are checked."""

import numpy as np
import pytest
import tensorflow as tf
from one_unit import MODEL
from stepping import step_of

from urfr_tf import keys
from urfr_tf.config.load_config import from_dict
from urfr_tf.keras2 import keras
from urfr_tf.losses import ConfidenceAwareIdentification
from urfr_tf.models.urface_trainer import URFaceSettings
from urfr_tf.training.optimizers import build_schedule
from urfr_tf.training.tasks.recognition import build_recognition_model, compile_model

B, CLASSES = 6, 5


def experiment(**changes):
    tree = {
        "model": MODEL,
        "augment": {"blur": 0.3, "occlusion": 0.3},
        "confidence": {"initial": 10.0},
        "loss": {"margin": 2.0},
        "decorrelation": {"enabled": True},
        "optimizer": {"learning_rate": {"type": "constant", "constant": {"learning_rate": 0.05}}},
        "runtime": {"precision": "float32"},
    }
    for key, value in changes.items():
        tree[key] = {**tree[key], **value}
    return from_dict(tree, "test")


def stepped(config, steps=2):
    """Weights of theta and of C_v by name, before and after some steps, and the logs of the first."""
    keras.utils.set_random_seed(0)
    model, _ = build_recognition_model(config, CLASSES, synchronized=False)
    compile_model(config, model, build_schedule(config.optimizer, 10))
    random = np.random.default_rng(0)
    data = (
        {
            keys.IMAGE: tf.constant(random.uniform(0, 255, [B, 32, 32, 3]), tf.float32),
            keys.LABEL: tf.constant(random.integers(0, CLASSES, B)),
        },
        {keys.VARIATION: tf.constant(random.integers(0, 2, [B, 2]), tf.float32)},
    )
    classifier = model.classifier.trainable_variables if model.classifier else []
    before = [v.numpy() for v in model.theta], [v.numpy() for v in classifier]
    step = step_of(model)
    logs, *_ = [step(data) for _ in range(steps)]
    after = [v.numpy() for v in model.theta], [v.numpy() for v in classifier]
    return model, before, after, {name: float(value) for name, value in logs.items()}


def test_the_classifiers_loss_does_not_reach_theta():
    """With L_cls and L_adv weighted 0, theta moves as it does without any decorrelation."""
    _, _, (theta, _), _ = stepped(experiment(loss={"cls": 0.0, "adv": 0.0}))
    _, _, (plain, _), _ = stepped(experiment(decorrelation={"enabled": False}))
    assert len(theta) == len(plain)
    for ours, theirs in zip(theta, plain, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_cls_and_adv_do_not_reach_the_classifier():
    """With its own learning rate at 0 the classifier stays, whatever L_cls and L_adv weigh."""
    _, (_, before), (_, after), _ = stepped(experiment(decorrelation={"classifier_rate": 0.0}))
    for ours, theirs in zip(before, after, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_both_learn_otherwise():
    model, before, after, logs = stepped(experiment())
    for old, new in zip(before, after, strict=True):
        assert all(not np.array_equal(a, b) for a, b in zip(old, new, strict=True))
    assert set(logs) == {
        "loss", "identification", "regularizer", "cls", "adv", "classifier_loss", "accuracy", "gradient_norm",
    }  # fmt: skip
    np.testing.assert_array_equal(model.classifier.masks.numpy().sum(1), [2, 2])
    scalars, columns = model.log_values()
    assert set(scalars) == {"confidence_mean", "confidence_std", "margin"}
    kinds = {f"confidence_{what}_{k}" for what in ("mean", "std") for k in range(4)}
    kinds |= {f"readable_{t}_{u}" for t in range(2) for u in range(2)}
    assert set(columns) == kinds | {"weight_regularizer", "weight_cls", "weight_adv"}
    assert columns["weight_adv"] == 2.0
    assert all(0.0 <= columns[f"readable_{t}_{u}"] <= 1.0 for t in range(2) for u in range(2))


def test_averaged_decorrelation_weighs_less():
    """T = 2: the means of 2 and of 2 terms, so half the weight of the sums; they are what the loss holds."""
    model, _, _, logs = stepped(experiment(decorrelation={"average": True}), steps=1)
    _, columns = model.log_values()
    assert (columns["weight_cls"], columns["weight_adv"]) == (1.0, 1.0)
    total = logs["identification"] + columns["weight_regularizer"] * logs["regularizer"]
    np.testing.assert_allclose(logs["loss"], total + logs["cls"] + logs["adv"], rtol=1e-5)


@pytest.fixture(scope="module")
def exact():
    """The first step's terms in float32."""
    return stepped(experiment(), steps=1)[-1]


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_decorrelation_in_half_precision_stays_near_float32(precision, exact):
    """The first step's terms differ by the backbone's rounding only; later ones stay finite."""
    keras.mixed_precision.set_global_policy(precision)
    try:
        model, before, after, logs = stepped(experiment(runtime={"precision": precision}), steps=3)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    # bfloat16 has 8 bits: a cosine is off by about 2^-8 in a network of ten layers, at s = 10 that is 0.04.
    for term in ("identification", "cls", "adv", "classifier_loss"):
        assert logs[term] == pytest.approx(exact[term], abs=0.1), term
    assert all(v.dtype == tf.float32 for v in [*model.theta, *model.classifier.trainable_variables])
    for old, new in zip([*before[0], *before[1]], [*after[0], *after[1]], strict=True):
        assert np.isfinite(new).all()
        assert not np.array_equal(old, new)


def test_confidence_is_held_then_released():
    held, before, after, _ = stepped(experiment(confidence={"hold_steps": 2}), steps=2)
    names = [v.ref() in {w.ref() for w in held.get_layer(keys.CONFIDENCE).weights} for v in held.theta]
    assert sum(names) == 2
    for is_head, old, new in zip(names, before[0], after[0], strict=True):
        assert np.array_equal(old, new) == is_head
    _, before, after, _ = stepped(experiment(confidence={"hold_steps": 2}), steps=3)
    assert all(not np.array_equal(a, b) for a, b in zip(before[0], after[0], strict=True))


def test_a_misspelt_weight_is_refused():
    with pytest.raises(ValueError, match="regularizer, cls, adv"):
        URFaceSettings(
            groups=4, identification=ConfidenceAwareIdentification(2.0), weights={"regulariser": 1.0}
        )


def test_weight_decay_spares_batch_norms_slopes_and_biases():
    """Zero gradient, one step: w (1 - rate * decay / (1 - momentum)) = w (1 - 0.1 * 0.01 / 0.1) = 0.99 w."""
    from urfr_tf.training.addons import sgdw

    optimizer = sgdw(0.1, momentum=0.9, nesterov=False, weight_decay=0.01)
    names = ("conv/kernel", "bn/gamma", "bn/beta", "prelu/alpha", "dense/bias")
    variables = [tf.Variable([2.0], name=name) for name in names]
    optimizer.apply_gradients([(tf.zeros([1]), v) for v in variables])
    np.testing.assert_allclose([v.numpy()[0] for v in variables], [1.98, 2, 2, 2, 2], rtol=1e-6)
