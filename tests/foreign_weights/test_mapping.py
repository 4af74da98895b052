"""Weights of a graph in a small Keras model: values against NumPy, and what does not fit."""

import numpy as np
import pytest

from urfr_tf.errors import UrfrError
from urfr_tf.foreign_weights.graph import (
    CONVOLUTION,
    DENSE,
    NORM,
    PRELU,
    Operation,
    list_operations,
    make_image_input,
)
from urfr_tf.foreign_weights.keras_graph import read_keras_graph
from urfr_tf.foreign_weights.mapping import Proportions, assign_weights, recognize_backbone
from urfr_tf.keras2 import keras
from urfr_tf.layers import SubEmbedding


@pytest.fixture
def model():
    """Pixels 4 x 4 -> convolution with stride 2 -> 2 x 2 x 5, flattened -> 6-D, one group."""
    image = keras.Input((4, 4, 3))
    x = keras.layers.Rescaling(1 / 128, -127.5 / 128)(image)
    x = keras.layers.ZeroPadding2D(1)(x)
    x = keras.layers.Conv2D(5, 3, 2, use_bias=False, name="conv")(x)
    x = keras.layers.BatchNormalization(epsilon=1e-3, name="norm")(x)
    x = keras.layers.PReLU(shared_axes=(1, 2), name="prelu")(x)
    return keras.Model(image, SubEmbedding(1, 6, name="embedding")(keras.layers.Flatten()(x)))


def graph(epsilon=1e-5, seed=0):
    """The same network in another framework's terms; some variances are tiny, as of dead channels."""
    random = np.random.default_rng(seed)

    def norm(name, source, channels, scale):
        variance = random.uniform(0.5, 2, channels)
        variance[0] = 1e-12
        arrays = {"offset": random.normal(size=channels), "mean": random.normal(size=channels) * 1e-3}
        arrays |= {"scale": scale, "variance": variance}
        arrays = {name: array.astype(np.float32) for name, array in arrays.items()}
        return Operation(NORM, name, [source], arrays, epsilon=epsilon)

    kernel = random.normal(size=(3, 3, 3, 5)).astype(np.float32)
    x = Operation(CONVOLUTION, "c", [make_image_input()], {"kernel": kernel}, stride=2, padding=1)
    x = norm("n", x, 5, random.uniform(-2, 2, 5))
    x = Operation(PRELU, "p", [x], {"slope": random.normal(size=5).astype(np.float32)})
    x = Operation(DENSE, "d", [x], {"kernel": random.normal(size=(20, 6)).astype(np.float32)})
    return norm("e", x, 6, random.uniform(0.5, 2, 6))


def expected(output, pixels):
    """The network in float64, channels first: the dense layer's inputs go by channel, row, column."""
    _, conv, norm, prelu, dense, last = (operation for operation in list_operations(output))

    def normalised(x, operation, spread=()):
        a = {name: array.astype(np.float64)[(..., *spread)] for name, array in operation.arrays.items()}
        return (x - a["mean"]) / np.sqrt(a["variance"] + operation.epsilon) * a["scale"] + a["offset"]

    x = np.pad((pixels.transpose(0, 3, 1, 2) - 127.5) / 128, [(0, 0), (0, 0), (1, 1), (1, 1)])
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), (2, 3))[:, :, ::2, ::2]
    x = np.einsum("bcyxij,ijco->boyx", windows, conv.arrays["kernel"].astype(np.float64))
    x = normalised(x, norm, (None, None))
    x = np.where(x > 0, x, x * prelu.arrays["slope"][:, None, None])
    x = normalised(x.reshape(len(x), -1) @ dense.arrays["kernel"], last)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@pytest.mark.parametrize("epsilon", [0.0, 1e-5, 1e-2])
def test_batch_norms_of_another_epsilon(model, epsilon):
    """Ours are 1e-3 with a scale and 2e-5 without; scales of the last one go into its variance."""
    pixels = np.random.default_rng(1).uniform(0, 255, (3, 4, 4, 3)).astype(np.float32)
    output = graph(epsilon)
    if epsilon == 0:  # Nothing bounds the scale of a dead channel then, in the framework itself.
        for operation in (output, output.sources[0].sources[0].sources[0]):
            operation.arrays["variance"][0] = 0.1
    numbers = assign_weights(output, read_keras_graph(model, "embedding"))
    # 3*3*3*5 kernel, 4*5 batch norm, 5 slopes, 20*6 dense, 3*6 batch norm without scale.
    assert numbers == 135 + 20 + 5 + 120 + 18 == model.count_params()
    np.testing.assert_allclose(model(pixels).numpy()[:, 0], expected(output, pixels), atol=2e-6)


def test_training_statistics_see_their_epsilon(model):
    """With scales of 1 the embedding's batch norm is theirs on a batch's own statistics, too.

    Columns of about that variance show it: 2e-5 in place of 1e-5 shrinks the narrow ones more.
    """
    output = graph(1e-5)
    output.arrays["scale"] = np.ones(6, np.float32)
    output.sources[0].arrays["kernel"] *= 1e-3
    assign_weights(output, read_keras_graph(model, "embedding"))
    head = model.get_layer("embedding")
    features = np.random.default_rng(2).normal(size=(8, 20)).astype(np.float32)
    kernel = output.sources[0].arrays["kernel"].reshape(5, 2, 2, 6).transpose(1, 2, 0, 3).reshape(20, 6)
    x = features.astype(np.float64) @ kernel
    x = (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5) + output.arrays["offset"]
    ours = head(features, training=True).numpy()[:, 0]
    np.testing.assert_allclose(ours, x / np.linalg.norm(x, axis=1, keepdims=True), atol=2e-5)


def test_one_slope_for_all_channels(model):
    output = graph()
    output.sources[0].sources[0].arrays["slope"] = np.array([0.3], np.float32)
    assign_weights(output, read_keras_graph(model, "embedding"))
    np.testing.assert_allclose(model.get_layer("prelu").alpha.numpy(), np.full((1, 1, 5), 0.3), rtol=1e-6)


def broken(change):
    output = graph()
    chain = dict(zip("cnpde", [o for o in list_operations(output) if o.sources], strict=True))
    change(chain)
    return output


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda o: setattr(o["c"], "stride", 1),
            "1 operations do not fit: convolution c 3x3x3x5 stride 1 .* stride 2",
        ),
        (lambda o: setattr(o["c"], "padding", 0), "padding 0 for convolution conv .* padding 1"),
        (
            lambda o: setattr(o["p"], "kind", "swish"),
            "structures differ: the file has swish p where .* PReLU prelu",
        ),
        (
            lambda o: setattr(o["d"], "sources", o["n"].sources),
            "structures differ: the file has dense d 20x6 where our backbone has batch norm norm",
        ),
        (lambda o: o["n"].arrays["variance"].__setitem__(1, -1), "variances of 0 and more in batch norm n"),
        (lambda o: o["e"].arrays["scale"].__setitem__(1, 0), "scales above 0 in batch norm e"),
        (lambda o: o["d"].arrays["kernel"].__setitem__((0, 0), np.inf), "kernel of dense d .* not finite"),
    ],
)
def test_nothing_is_changed_unless_everything_fits(model, change, message):
    before = model.get_weights()
    with pytest.raises(UrfrError, match=message):
        assign_weights(broken(change), read_keras_graph(model, "embedding"))
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_proportions_of_what_is_no_backbone():
    with pytest.raises(UrfrError, match="the file has 0 residual blocks; our IR backbones have 8 \\(ir18\\)"):
        recognize_backbone(graph())
    headless = graph().sources[0].sources[0]
    with pytest.raises(UrfrError, match="expected convolutions, then a dense layer"):
        recognize_backbone(headless)


def test_proportions_take_the_size_that_the_file_says():
    output = broken(lambda o: o["c"].__dict__.update(groups=3))
    assert recognize_backbone(output, 100) == Proportions("mobilefacenet", 5 / 64, 100, 6)


def test_layers_that_no_import_knows_are_named():
    image = keras.Input((4, 4, 3))
    x = keras.layers.Flatten()(keras.layers.MaxPooling2D(name="pool")(image))
    model = keras.Model(image, SubEmbedding(1, 6, name="embedding")(x))
    with pytest.raises(TypeError, match="MaxPooling2D pool"):
        read_keras_graph(model, "embedding")
