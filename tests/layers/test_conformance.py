"""One list that every public layer and loss passes; the list is checked to be complete."""

import inspect
import json
import pkgutil
from importlib import import_module

import conformance
import forked
import numpy as np
import pytest
import tensorflow as tf
from conformance import CLASSES, LAYERS, LOSS_CLASSES, LOSSES, OF_PAIRS, B, draw, loss_values, model_of

import urfr_tf.layers
import urfr_tf.losses
import urfr_tf.models.inference_graph
from urfr_tf import layers, losses
from urfr_tf.keras2 import keras
from urfr_tf.litert import Interpreter

# What the inference graph holds.
INFERENCE = ("SubEmbedding", "Confidence", "ConfidenceNorm", "JoinGroups", "Reciprocal")
# Holds a layer that belongs to another graph; only a run folder in memory has it, which writes no file of it.
WITHOUT_CONFIGURATION = {"EmbeddingLength"}
every_layer = pytest.mark.parametrize("name", LAYERS)
every_loss = pytest.mark.parametrize("name", LOSSES)
every_loss_class = pytest.mark.parametrize("name", LOSS_CLASSES)
half_precision = pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])


def classes_in(package, base):
    """The subclasses of `base` that the modules of a package define."""
    names = [package.__name__]
    if hasattr(package, "__path__"):
        names += [info.name for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")]
    modules = [import_module(name) for name in names]
    return {
        cls.__name__
        for module in modules
        for _, cls in inspect.getmembers(module, inspect.isclass)
        if issubclass(cls, base) and cls.__module__ == module.__name__
    }


def test_no_layer_is_missing():
    assert set(layers.__all__) <= set(LAYERS)
    assert classes_in(urfr_tf.layers, keras.layers.Layer) <= set(LAYERS)
    others = classes_in(urfr_tf.models.inference_graph, keras.layers.Layer)
    assert others - WITHOUT_CONFIGURATION <= set(LAYERS)


def test_no_loss_is_missing():
    assert set(losses.__all__) == set(LOSSES)
    assert classes_in(urfr_tf.losses, keras.losses.Loss) == set(LOSS_CLASSES)


@every_layer
def test_json_round_trip_and_weights(name, tmp_path):
    model, inputs = model_of(name), draw(LAYERS[name][1])
    again = keras.models.model_from_json(model.to_json())
    assert again.layers[-1].get_config() == model.layers[-1].get_config()
    model.save_weights(tmp_path / "w.weights.h5")
    again.load_weights(tmp_path / "w.weights.h5")
    np.testing.assert_array_equal(model(inputs), again(inputs))


@every_layer
def test_saved_and_loaded_whole(name, tmp_path):
    model, inputs = model_of(name), draw(LAYERS[name][1])
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(model(inputs), again(inputs))


@every_layer
def test_unknown_batch_size(name):
    model, inputs = model_of(name), draw(LAYERS[name][1])
    assert model.output_shape[0] is None
    single = [model([value[i : i + 1] for value in inputs]).numpy() for i in range(B)]
    np.testing.assert_allclose(np.concatenate(single), model(inputs), atol=1e-6)


@pytest.fixture
def set_policy():
    """Sets the global policy for one test."""
    yield keras.mixed_precision.set_global_policy
    keras.mixed_precision.set_global_policy("float32")


@every_layer
@half_precision
def test_mixed_precision_stays_float32(name, policy, set_policy):
    set_policy(policy)
    output = model_of(name)([tf.cast(value, tf.float16) for value in draw(LAYERS[name][1])])
    assert output.dtype == tf.float32
    assert np.all(np.isfinite(output))


@every_layer
def test_gradients_are_finite(name):
    model = model_of(name)
    inputs = [tf.constant(value) for value in draw(LAYERS[name][1])]
    cases = [inputs]
    if name != "Reciprocal":  # 1 / 0 is not finite; a confidence is above 0.
        cases.append([tf.zeros_like(value) for value in inputs])
    for case in cases:
        with tf.GradientTape() as tape:
            tape.watch(case)
            output = tf.reduce_sum(tf.square(model(case, training=True)))
        for gradient in tape.gradient(output, [*case, *model.trainable_variables]):
            assert gradient is None or np.all(np.isfinite(gradient))


@pytest.mark.parametrize("name", INFERENCE)
def test_converts_to_tflite_with_builtin_operations(name):
    model, inputs = model_of(name), draw(LAYERS[name][1])
    blob = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    interpreter = Interpreter(model_content=blob)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], inputs[0][:1])
    interpreter.invoke()
    output = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    np.testing.assert_allclose(output, model(inputs)[:1], rtol=1e-4, atol=1e-5)


@every_loss
def test_a_loss_gives_one_value_an_image(name):
    values = loss_values(name, draw(LOSSES[name][1]))
    count = B // 2 if name in OF_PAIRS else B  # labels 0, 0, 1, 1, ...: one pair in two images
    for value in values:
        assert (value.dtype, value.shape) == (tf.float32, [count])


@every_loss
def test_a_loss_takes_any_batch_size(name):
    """Traced once for all sizes, and an image's value does not depend on the others in the batch."""
    inputs = draw(LOSSES[name][1])
    spec = [tf.TensorSpec([None, *value.shape[1:]], tf.float32) for value in inputs]
    traced = tf.function(lambda *args: loss_values(name, args), input_signature=spec, autograph=False)
    whole = loss_values(name, inputs)
    for value in traced(*inputs):
        assert value.shape == whole[0].shape
    # The labels of the first four images are the same in both batches.
    for some, value in zip(traced(*(each[:4] for each in inputs)), whole, strict=True):
        np.testing.assert_allclose(some, value[: len(some)], rtol=1e-5, atol=1e-6)


@every_loss
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_loss_of_half_precision_is_computed_in_float32(name, dtype):
    half = [tf.cast(value, dtype) for value in draw(LOSSES[name][1])]
    exact = loss_values(name, [tf.cast(value, tf.float32) for value in half])
    for value, expected in zip(loss_values(name, half), exact, strict=True):
        assert value.dtype == tf.float32
        # `teacher_distance` makes its target here, in the type of its input: 8 bits.
        np.testing.assert_allclose(
            value, expected, rtol=1e-6, atol=1e-2 if name == "teacher_distance" else 1e-6
        )


@every_loss
@pytest.mark.parametrize("scale", [1.0, 0.0, 1e3])
def test_a_loss_has_finite_values_and_gradients(name, scale):
    inputs = [tf.constant(value * scale) for value in draw(LOSSES[name][1])]
    if name == "mutual_likelihood" and scale == 0.0:
        inputs[1] = tf.constant(draw(LOSSES[name][1])[1])  # a variance is above 0
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        values = loss_values(name, inputs)
        total = tf.add_n([tf.reduce_sum(value) for value in values])
    for value in [*values, *tape.gradient(total, inputs)]:
        assert np.all(np.isfinite(tf.convert_to_tensor(value)))


@every_loss
def test_a_sample_weight_reaches_its_image_alone(name):
    """With weight 0 for all images but the first two, no other image has a gradient."""
    inputs = [tf.constant(value) for value in draw(LOSSES[name][1])]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        # Of pairs, the first is that of the first two images.
        weighted = [
            tf.reduce_sum(value[: 1 if name in OF_PAIRS else 2]) for value in loss_values(name, inputs)
        ]
        total = tf.add_n(weighted)
    for gradient in tape.gradient(total, inputs):
        by_image = np.abs(tf.convert_to_tensor(gradient).numpy()).reshape(B, -1).max(1)
        assert np.all(by_image[:2] > 0)
        np.testing.assert_array_equal(by_image[2:], 0)


@every_loss_class
def test_a_loss_class_goes_through_json_and_a_saved_model(name, tmp_path):
    loss = losses.ConfidenceAwareIdentification(2.0, warmup_steps=7)
    assert type(loss).__name__ == name
    again = keras.losses.deserialize(json.loads(json.dumps(keras.losses.serialize(loss))))
    assert again.get_config() == loss.get_config()
    model = keras.Sequential([keras.Input([3]), keras.layers.Dense(CLASSES)])
    model.compile("sgd", loss)
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    assert loaded.loss.get_config() == loss.get_config()


@every_loss_class
def test_a_loss_class_takes_sample_weights_as_keras_does(name):
    """The mean over the batch of weight times value."""
    loss = getattr(losses, name)(2.0)
    logits, weights = draw(LOSSES[name][1])[0], np.arange(B, dtype=np.float32)
    labels = np.arange(B) // 2
    expected = np.mean(weights * loss.call(tf.constant(labels), tf.constant(logits)))
    np.testing.assert_allclose(loss(labels, logits, sample_weight=weights), expected, rtol=1e-6)


@pytest.fixture(scope="module")
def differences():
    """How far two replicas are from one, by layer and loss; logical devices need a process of their own."""
    return forked.value(conformance.differences)


@pytest.mark.parametrize("name", [*LAYERS, *LOSSES])
def test_two_replicas_give_what_one_gives(name, differences):
    """Outputs, gradients by inputs, and gradients by weights summed over the replicas."""
    assert differences[name] < 5e-6


def test_sub_embeddings_have_norm_one():
    output = model_of("SubEmbedding")(draw(LAYERS["SubEmbedding"][1]))
    assert output.shape == [B, 4, 3]
    np.testing.assert_allclose(np.linalg.norm(output, axis=-1), np.ones([B, 4]), rtol=1e-5)


def test_confidence_starts_at_initial_and_stays_in_bounds():
    layer = layers.Confidence(4, initial=9.0, minimum=0.5, maximum=80.0)
    x = tf.random.stateless_normal([50, 10], [0, 0]) * 100
    np.testing.assert_allclose(layer(x), np.full([50, 4], 9.0), rtol=1e-5)
    layer.dense.kernel.assign(tf.random.stateless_normal([10, 4], [1, 1]) * 5)
    s = layer(x).numpy()
    assert s.min() == pytest.approx(0.5, rel=1e-5)
    assert s.max() == pytest.approx(80.0, rel=1e-5)


def test_confidence_outside_its_bounds_can_come_back_but_not_leave():
    layer = layers.Confidence(1, initial=2.0, minimum=1.0, maximum=4.0)
    layer.build([None, 3])
    layer.dense.bias.assign([5.0])  # exp(5) is far above 4
    for sign, moves in ((1.0, True), (-1.0, False)):  # descent on +s lowers it: allowed; on -s raises it
        with tf.GradientTape() as tape:
            loss = sign * tf.reduce_sum(layer(tf.ones([1, 3]), training=True))
        assert bool(np.any(tape.gradient(loss, layer.dense.bias))) == moves


def test_a_step_on_the_kernel_moves_log_s_as_far_as_one_on_the_bias_whatever_the_width():
    # d log s / d kernel = x / |x|, of norm 1 like d log s / d bias: a step -rate * gradient on both moves
    # log s by -2 rate, half of it by the kernel.
    for width in (4, 4096):
        layer = layers.Confidence(1, initial=20.0)
        x = tf.random.stateless_normal([1, width], [0, width]) * 3.0
        with tf.GradientTape() as tape:
            log_s = tf.math.log(layer(x, training=True))
        kernel, bias = layer.dense.kernel, layer.dense.bias
        by_kernel, by_bias = tape.gradient(log_s, [kernel, bias])
        for variable, gradient, moved in ((kernel, by_kernel, 0.1), (bias, by_bias, 0.2)):
            variable.assign_sub(0.1 * gradient)
            np.testing.assert_allclose(np.log(20.0 / layer(x)), [[moved]], rtol=1e-3)


def test_confidence_not_learned_has_no_weights():
    layer = layers.Confidence(1, initial=64.0, learned=False)
    np.testing.assert_array_equal(layer(tf.ones([3, 5])), np.full([3, 1], 64.0))
    assert layer.weights == []


def test_prototypes_scale_does_not_matter():
    layer = layers.Prototypes(5, 4)
    f, s = draw(LAYERS["Prototypes"][1])
    before = layer([f, s]).numpy()
    layer.kernel.assign(layer.kernel * 3.0)
    # Rounding is relative to the largest terms of a sum: a logit near 0 has no exact digits.
    np.testing.assert_allclose(layer([f, s]), before, atol=1e-5 * np.abs(before).max())
    assert [w.name.split("/")[-1] for w in layer.weights] == ["kernel:0"]
    assert layer.kernel.shape == [5, 12]


def test_confidence_sees_the_norm_where_it_is_told_to():
    """log s = x . kernel / |x| + bias + norm_kernel * 10 log(|x| / sqrt(F)), from `initial` on."""
    layer = layers.Confidence(2, initial=9.0, minimum=1e-6, maximum=1e6, norm=True)
    x = np.random.default_rng(0).normal(size=[5, 8]) * np.array([[0.1], [1], [2], [5], [1]])
    np.testing.assert_allclose(layer(tf.constant(x, tf.float32)), np.full([5, 2], 9.0), rtol=1e-5)
    kernel = np.random.default_rng(1).normal(size=[8, 2])
    layer.dense.kernel.assign(kernel)
    layer.norm_kernel.assign([0.2, -0.1])
    norm = np.linalg.norm(x, axis=1, keepdims=True)
    expected = np.log(9) + x @ kernel / norm + 10 * np.log(norm / np.sqrt(8)) * [[0.2, -0.1]]
    np.testing.assert_allclose(np.log(layer(tf.constant(x, tf.float32))), expected, rtol=1e-4, atol=1e-4)
    assert layers.Confidence.from_config(layer.get_config()).norm
