"""The SavedModel's signatures, assets and size; used as a layer of somebody's model."""

import json

import numpy as np
import pytest
import tensorflow as tf

import urfr_tf
from urfr_tf.export.saved_model import write_saved_model
from urfr_tf.keras2 import keras

OUTPUTS = ("embedding", "confidence", "variance")


@pytest.fixture(scope="module")
def folder(network, card, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved") / "1"
    write_saved_model(network, folder, card)
    return folder


@pytest.fixture(scope="module")
def model(folder):
    return tf.saved_model.load(str(folder))


def test_signatures_are_those_of_the_interface(model):
    described = {
        name: (
            {
                spec.name: (spec.dtype.name, spec.shape.as_list())
                for spec in s.structured_input_signature[1].values()
            },
            {key: (spec.dtype.name, spec.shape.as_list()) for key, spec in s.structured_outputs.items()},
        )
        for name, s in model.signatures.items()
    }
    floats = lambda *shape: ("float32", list(shape))  # noqa: E731
    embedded = {"embedding": floats(None, 16), "confidence": floats(None, 4), "variance": floats(None, 4)}
    sides = {
        f"{kind}_{side}": floats(None, n) for side in "ab" for kind, n in (("embedding", 16), ("variance", 4))
    }
    assert described == {
        "serving_default": ({"image": floats(None, None, None, 3)}, embedded),
        "serving_uint8": ({"image": ("uint8", [None, None, None, 3])}, embedded),
        "encoded": ({"image_bytes": ("string", [None])}, embedded),
        "compare": (sides, {"cosine": floats(None), "likelihood": floats(None)}),
        "fuse": (
            {"embedding": floats(None, 16), "variance": floats(None, 4), "template": ("int32", [None])},
            {"embedding": floats(None, 16), "variance": floats(None, 4)},
        ),
    }


def padded(images):
    """A border of 3 above, 4 below, 2 on the left and 3 on the right: the centre crop takes it away."""
    return np.pad(images, [(0, 0), (3, 4), (2, 3), (0, 0)], constant_values=9)


@pytest.mark.parametrize("batch", [1, 6])
def test_every_way_in_gives_what_keras_gives(model, images, expected, batch):
    wide = padded(images[:batch])
    ways = {
        "serving_default": {"image": tf.constant(wide, tf.float32)},
        "serving_uint8": {"image": tf.constant(wide)},
        "encoded": {"image_bytes": tf.constant([tf.io.encode_png(image).numpy() for image in wide])},
    }
    for name, inputs in ways.items():
        outputs = model.signatures[name](**inputs)
        for key in OUTPUTS:
            np.testing.assert_allclose(outputs[key], expected[key][:batch], rtol=1e-5, atol=1e-6)


def test_loader_gives_what_keras_gives(folder, images, expected):
    for path in (folder, folder.parent):  # the parent of versions, as a server is given it
        loaded = urfr_tf.load(path)
        assert (loaded.kind, loaded.input_size, loaded.groups, loaded.dim) == ("saved_model", 32, 4, 16)
        outputs = loaded(padded(images))
        for key in OUTPUTS:
            np.testing.assert_allclose(outputs[key], expected[key], rtol=1e-5, atol=1e-6)


def test_compare_and_fuse_take_what_serving_gives(model, expected):
    e, v = tf.constant(expected["embedding"]), tf.constant(expected["variance"])
    scores = model.signatures["compare"](embedding_a=e, variance_a=v, embedding_b=e[::-1], variance_b=v[::-1])
    np.testing.assert_allclose(
        scores["cosine"], np.sum(expected["embedding"] * expected["embedding"][::-1], -1), atol=1e-6
    )
    assert scores["likelihood"].shape == [6]
    fused = model.signatures["fuse"](embedding=e, variance=v, template=tf.constant([3, 1, 3, 1, 3, 1]))
    groups = fused["embedding"].numpy().reshape(2, 4, 4)
    np.testing.assert_allclose(np.linalg.norm(groups, axis=-1), 0.5, rtol=1e-5)


def test_one_bad_image_fails_its_request_only(model, images, expected):
    encoded = model.signatures["encoded"]
    good = tf.io.encode_png(images[0]).numpy()
    with pytest.raises(tf.errors.InvalidArgumentError):
        encoded(image_bytes=tf.constant([good, b"not an image"]))
    np.testing.assert_allclose(
        encoded(image_bytes=tf.constant([good]))["embedding"], expected["embedding"][:1], rtol=1e-5, atol=1e-6
    )
    with pytest.raises(tf.errors.InvalidArgumentError, match="at least 32 x 32"):
        model.signatures["serving_uint8"](image=tf.constant(images[:, :31]))


def test_the_folder_says_what_it_is(folder, card, model):
    assert json.loads((folder / "assets" / "urfr.json").read_text()) == card
    assert json.loads(tf.io.read_file(model.card.asset_path).numpy()) == card
    assert urfr_tf.load(folder).card == card


def test_only_the_networks_weights_are_inside(folder, network):
    names = [name for name, _ in tf.train.list_variables(str(folder / "variables" / "variables"))]
    stored = [
        name
        for name in names
        if "OBJECT_GRAPH" not in name and name != "save_counter/.ATTRIBUTES/VARIABLE_VALUE"
    ]
    assert len(stored) == len(network.weights)
    size = sum(weight.numpy().nbytes for weight in network.weights)
    assert size <= (folder / "variables" / "variables.data-00000-of-00001").stat().st_size < size + 8192


def test_as_a_layer_that_is_fine_tuned(folder, images):
    import tensorflow_hub

    labels = np.array([0, 1, 2, 0, 1, 2])
    layer = tensorflow_hub.KerasLayer(str(folder), trainable=True, output_key="embedding")
    classifier = keras.Sequential([layer, keras.layers.Dense(3)])
    classifier.compile(
        keras.optimizers.SGD(0.5), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    before = {v.name + str(i): v.numpy() for i, v in enumerate(layer.variables)}
    first = classifier.evaluate(images.astype(np.float32), labels, verbose=0)
    classifier.fit(images.astype(np.float32), labels, epochs=8, verbose=0)
    assert classifier.evaluate(images.astype(np.float32), labels, verbose=0) < first
    for i, variable in enumerate(layer.variables):
        # Batch norms stay in inference mode: their statistics are those that were exported. The
        # confidence does not enter this loss.
        same = np.array_equal(variable.numpy(), before[variable.name + str(i)])
        assert same == ("moving_" in variable.name or "confidence" in variable.name), variable.name


def test_as_a_frozen_layer(folder, images, expected):
    import tensorflow_hub

    layer = tensorflow_hub.KerasLayer(str(folder), trainable=False, output_key="embedding")
    assert not layer.trainable_variables
    np.testing.assert_allclose(
        keras.Sequential([layer])(images.astype(np.float32)), expected["embedding"], rtol=1e-5, atol=1e-6
    )
