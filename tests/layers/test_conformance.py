"""One list that every public layer passes; the list is checked to be complete."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import urfr_tf.layers as layers
from urfr_tf.models.inference_graph import JoinGroups, Reciprocal

INFERENCE = (
    "SubEmbedding",
    "Confidence",
    "ConfidenceNorm",
    "JoinGroups",
    "Reciprocal",
)
CASES = {
    "SubEmbedding": (lambda: layers.SubEmbedding(4, 3), [[10]]),
    "Confidence": (lambda: layers.Confidence(4, initial=9.0, minimum=0.5, maximum=80.0), [[10]]),
    "ConfidenceNorm": (lambda: layers.Confidence(4, initial=9.0, minimum=0.5, norm=True), [[10]]),
    "Prototypes": (lambda: layers.Prototypes(5, 4), [[4, 3], [4]]),
    "VariationClassifier": (lambda: layers.VariationClassifier(3, 4, mask_seed=2), [[4, 3]]),
    "JoinGroups": (lambda: JoinGroups(), [[4, 3]]),
    "Reciprocal": (lambda: Reciprocal(), [[4]]),
}
every = pytest.mark.parametrize("name", CASES)


def model_of(name):
    make, shapes = CASES[name]
    inputs = [keras.Input(shape) for shape in shapes]
    return keras.Model(inputs, make()(inputs if len(inputs) > 1 else inputs[0]))


def values(name, batch=6):
    random = np.random.default_rng(0)
    return [random.uniform(0.1, 1, [batch, *shape]).astype(np.float32) for shape in CASES[name][1]]


def test_no_public_layer_is_missing():
    assert set(layers.__all__) <= set(CASES)


@every
def test_json_round_trip_and_weights(name, tmp_path):
    model = model_of(name)
    again = keras.models.model_from_json(model.to_json())
    assert again.layers[-1].get_config() == model.layers[-1].get_config()
    model.save_weights(tmp_path / "w.weights.h5")
    again.load_weights(tmp_path / "w.weights.h5")
    np.testing.assert_array_equal(model(values(name)), again(values(name)))


@every
def test_saved_and_loaded_whole(name, tmp_path):
    model = model_of(name)
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(model(values(name)), again(values(name)))


@every
def test_unknown_batch_size(name):
    model = model_of(name)
    assert model.output_shape[0] is None
    whole = model(values(name)).numpy()
    parts = [model([v[i : i + 1] for v in values(name)]).numpy() for i in range(6)]
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-6)


@every
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_stays_float32(name, policy):
    keras.mixed_precision.set_global_policy(policy)
    try:
        # JoinGroups and Reciprocal are given their dtype by the inference graph; the backbone's layers are no heads.
        others = ("BatchNormalization", "Conv2D", "DepthwiseConv2D", "JoinGroups", "PReLU", "Reciprocal")
        model = model_of(name) if name not in others else None
        if model is not None:
            output = model([tf.cast(v, tf.float16) for v in values(name)])
            assert output.dtype == tf.float32
            assert np.all(np.isfinite(output))
    finally:
        keras.mixed_precision.set_global_policy("float32")


@every
def test_gradients_are_finite(name):
    model = model_of(name)
    inputs = [tf.constant(v) for v in values(name)]
    zeros = [tf.zeros_like(v) for v in inputs] if name != "Reciprocal" else inputs
    for case in (inputs, zeros):
        with tf.GradientTape() as tape:
            tape.watch(case)
            output = tf.reduce_sum(tf.square(model(case, training=True)))
        for gradient in tape.gradient(output, [*case, *model.trainable_variables]):
            assert gradient is None or np.all(np.isfinite(gradient))


@pytest.mark.parametrize("name", INFERENCE)
def test_converts_to_tflite_with_builtin_operations(name):
    model = model_of(name)
    blob = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    interpreter = tf.lite.Interpreter(model_content=blob)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], values(name)[0][:1])
    interpreter.invoke()
    output = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    np.testing.assert_allclose(output, model(values(name))[:1], rtol=1e-4, atol=1e-5)


def test_sub_embeddings_have_norm_one():
    output = model_of("SubEmbedding")(values("SubEmbedding"))
    assert output.shape == [6, 4, 3]
    np.testing.assert_allclose(np.linalg.norm(output, axis=-1), np.ones([6, 4]), rtol=1e-5)


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
    # d log s / d kernel = x / |x|, of norm 1 like d log s / d bias: a step -rate * gradient on both moves log s by
    # -2 rate, half of it by the kernel.
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
    f, s = values("Prototypes")
    before = layer([f, s]).numpy()
    layer.kernel.assign(layer.kernel * 3.0)
    # Rounding is relative to the largest terms of a sum: a logit that happens to be near 0 has no digits of its own.
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
