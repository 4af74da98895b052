"""What is not finite is named by its layer; the step that failed leaves finite weights; float16 goes on."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from one_unit import MODEL
from stepping import step_of

from urfr_tf import keys
from urfr_tf.config.load_config import from_dict
from urfr_tf.keras2 import keras
from urfr_tf.models.diagnose_nan import all_finite, describe_non_finite
from urfr_tf.training.optimizers import build_schedule
from urfr_tf.training.tasks.recognition import build_recognition_model, compile_model

# The steps of a training, if without `fit`.
pytestmark = pytest.mark.training
B, CLASSES = 6, 5


def built(precision="float32", **groups):
    schedule = {"type": "constant", "constant": {"learning_rate": 0.05}}
    tree = {
        "model": MODEL,
        "augment": {"blur": 0.3, "occlusion": 0.3},
        "confidence": {"initial": 10.0},
        "decorrelation": {"enabled": True},
        "optimizer": {"learning_rate": schedule, "clip_norm": 5.0},
        "runtime": {"precision": precision},
        **groups,
    }
    config = from_dict(tree, "test")
    keras.utils.set_random_seed(0)
    model, _ = build_recognition_model(config, CLASSES, synchronized=False)
    compile_model(config, model, build_schedule(config.optimizer, 10))
    return model


def batch(scale=255.0):
    random = np.random.default_rng(0)
    images = tf.constant(random.uniform(0, scale, [B, 32, 32, 3]), tf.float32)
    labels = tf.constant(random.integers(0, CLASSES, B))
    variation = tf.constant(random.integers(0, 2, [B, 2]), tf.float32)
    return {keys.IMAGE: images, keys.LABEL: labels}, {keys.VARIATION: variation}


@pytest.fixture(scope="module")
def built_once():
    return built()


@pytest.fixture
def model(built_once):
    """In float32, as it was built."""
    start = [variable.numpy() for variable in built_once.variables]
    weights = dict(built_once.settings.weights)
    yield built_once
    built_once.settings.weights.update(weights)
    for variable, value in zip(built_once.variables, start, strict=True):
        variable.assign(value)


def test_a_layer_that_overflows(model):
    """A kernel of 3e38 gives products beyond the greatest float32, 3.4e38; all before it is finite."""
    layer = model.get_layer("layer1_0_conv1")
    layer.kernel.assign(tf.fill(layer.kernel.shape, 3e38))
    assert "the output of layer layer1_0_conv1 is not finite" in describe_non_finite(model, batch())


def test_weights_that_are_not_finite(model):
    layer = model.get_layer("layer1_0_bn1")
    layer.gamma.assign(tf.fill(layer.gamma.shape, np.nan))
    assert describe_non_finite(model, batch()) == "the weights of layer layer1_0_bn1 are not finite"


def test_a_loss_whose_gradient_overflows(model):
    """The regularizer's slope by log s is 2 s^2 / (K B) = 200 / 24, and 3e38 times that overflows float32."""
    model.settings.weights["regularizer"] = 3e38
    assert "the gradient of layer confidence is not" in describe_non_finite(model, batch())


def test_nothing_to_name(model):
    assert describe_non_finite(model, batch()) == "every layer's output and gradient is finite"


def test_the_failing_step_leaves_finite_weights_and_a_norm_that_says_so(model):
    model.settings.weights["regularizer"] = 3e38
    logs = step_of(model)(batch())
    assert not np.isfinite(float(logs["gradient_norm"]))
    assert all_finite(model.theta)


@pytest.fixture
def policy():
    """Sets the global policy for one test."""
    yield keras.mixed_precision.set_global_policy
    keras.mixed_precision.set_global_policy("float32")


def numbers(step, data):
    return {name: float(value) for name, value in step(data).items()}


def test_float16_goes_on_over_an_overflow(policy):
    """Loss scaling begins high, skips what overflows and halves; the log's norm is of the other steps."""
    policy("mixed_float16")
    model = built("mixed_float16")
    step = step_of(model)
    for scale in (2.0**4, 2.0**120):
        model.optimizer._loss_scale.current_loss_scale.assign(scale)
        model.reset_metrics()
        for _ in range(3):
            logs = numbers(step, batch())
        assert all(np.isfinite(value) for value in logs.values()), logs
        assert all_finite(model.theta)
        assert (logs["gradient_norm"] > 0) == (scale < 2.0**100)
        assert float(model.optimizer.loss_scale) == (scale if scale < 2.0**100 else scale / 8)


@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
def test_gradients_at_the_ends_in_half_precision(precision, policy):
    """s at a bound, and each image's prototype at its embedding, or opposite: a loss of 30 - s or 30 + s."""
    policy(precision)
    model = built(precision, loss={"margin": 30.0})
    inputs, targets = batch()
    inputs[keys.LABEL] = tf.range(B) % CLASSES
    kernel, start = model.get_layer(keys.LOGITS).kernel, [v.numpy() for v in model.variables]
    step = step_of(model)
    # The kernel of log s is 0 at the start, so s is the same for all images.
    bias = next(v for v in model.get_layer(keys.CONFIDENCE).weights if "bias" in v.name)
    for s, cosine in itertools.product((1.0, 245.0), (-1.0, 1.0)):
        for variable, value in zip(model.variables, start, strict=True):
            variable.assign(value)
        bias.assign(tf.fill(bias.shape, float(np.log(s))))
        outputs = model({keys.IMAGE: inputs[keys.IMAGE]}, training=True)
        np.testing.assert_allclose(outputs[keys.CONFIDENCE], s, rtol=1e-5)
        kernel.assign(cosine * tf.reshape(outputs[keys.EMBEDDING][:CLASSES], kernel.shape))
        if precision == "mixed_float16":  # Where nothing overflows may lie lower than where it starts.
            model.optimizer._loss_scale.current_loss_scale.assign(1.0)
        model.reset_metrics()
        logs = numbers(step, (inputs, targets))
        # The norm of all gradients, as they are before clipping; 0 would be that of a skipped step.
        assert 0 < logs["gradient_norm"] < np.inf and np.isfinite(logs["loss"])
        assert all_finite(model.theta)
