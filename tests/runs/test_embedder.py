"""`urfr_tf.load` on run folders: outputs, crops and what images are refused; exports: tests/export."""

import numpy as np
import pytest
import tensorflow as tf

import urfr_tf
from urfr_tf import keys
from urfr_tf.errors import UrfrError
from urfr_tf.keras2 import keras
from urfr_tf.runs.embedder import center_crop
from urfr_tf.runs.load_model import load_model


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(1).integers(0, 256, [3, 36, 41, 3], np.uint8)


def test_run_gives_what_the_network_gives(run, network, images):
    model = urfr_tf.load(run)
    assert (model.kind, model.input_size, model.groups, model.dim) == ("run", 32, 4, 16)
    outputs = model(images)
    # 36 - 32 = 4 rows and 41 - 32 = 9 columns are cut: 2 above, 4 on the left (rounded down).
    expected = network(images[:, 2:34, 4:36].astype(np.float32))
    for name in (keys.EMBEDDING, keys.CONFIDENCE, keys.VARIANCE):
        assert outputs[name].dtype == np.float32
        np.testing.assert_allclose(outputs[name], expected[name], rtol=1e-5, atol=1e-6)
    groups = outputs[keys.EMBEDDING].reshape(3, 4, 4)
    # K = 4 groups of norm 1/sqrt(4) make an embedding of norm 1.
    np.testing.assert_allclose(np.linalg.norm(groups, axis=-1), 0.5, rtol=1e-5)
    np.testing.assert_allclose(outputs[keys.VARIANCE] * outputs[keys.CONFIDENCE], 1, rtol=1e-6)
    assert np.ptp(outputs[keys.CONFIDENCE], axis=0).min() > 0


def test_for_many_images_it_gives_the_same_for_every_size_of_a_batch(run, images):
    plain, bulk = load_model(run), load_model(run, bulk=True)
    assert bulk.fingerprint == plain.fingerprint
    for count in (3, 1):
        expected, got = plain(images[:count]), bulk(images[:count])
        for name in expected:
            np.testing.assert_allclose(got[name], expected[name], rtol=1e-5, atol=1e-6)
        lengths = [model.embed_with_norm(images[:count])[keys.NORM] for model in (bulk, plain)]
        np.testing.assert_allclose(*lengths, rtol=1e-5)


def test_uint8_and_float_images_give_the_same(run, images):
    model = urfr_tf.load(run)
    whole, single = model(images), model(images.astype(np.float64))
    for name, value in whole.items():
        np.testing.assert_array_equal(value, single[name])


def test_empty_batch(run):
    outputs = urfr_tf.load(run)(np.zeros([0, 32, 32, 3], np.uint8))
    assert {name: value.shape for name, value in outputs.items()} == {
        keys.EMBEDDING: (0, 16),
        keys.CONFIDENCE: (0, 4),
        keys.VARIANCE: (0, 4),
    }


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (np.zeros([2, 31, 40, 3], np.uint8), "at least 32, but got shape [2, 31, 40, 3]"),
        (np.zeros([40, 40, 3], np.uint8), "got shape [40, 40, 3]"),
        (np.zeros([1, 40, 40, 1], np.uint8), "got shape [1, 40, 40, 1]"),
        (np.zeros([1, 40, 40, 3], np.int64), "but got int64"),
    ],
)
def test_wrong_images_are_refused(run, bad, words):
    with pytest.raises(UrfrError) as error:
        urfr_tf.load(run)(bad)
    assert words in str(error.value)


def test_centre_crop_rounds_up_and_left():
    image = np.arange(5 * 4).reshape(1, 5, 4, 1)
    # 5 - 2 = 3 rows to cut: 1 above and 2 below; 4 - 2 = 2 columns: 1 on either side.
    np.testing.assert_array_equal(center_crop(image, 2)[0, :, :, 0], [[5, 6], [9, 10]])


def test_a_run_knows_the_length_before_the_normalisation(run, network):
    model = urfr_tf.load(run)
    images = np.random.default_rng(5).integers(0, 256, [3, 32, 32, 3], np.uint8)
    outputs = model.embed_with_norm(images)
    head = network.get_layer(keys.EMBEDDING)
    features = keras.Model(network.input, head.input)({"image": tf.constant(images, tf.float32)}).numpy()
    flat = features @ head.dense.kernel.numpy()
    norm = head.norm
    flat = (flat - norm.moving_mean) / np.sqrt(norm.moving_variance + norm.epsilon) + norm.beta
    np.testing.assert_allclose(outputs["norm"], np.linalg.norm(flat, axis=1), rtol=1e-4)
    assert set(model(images)) == {"embedding", "confidence", "variance"}
    assert model.embed_with_norm(images[:0])["norm"].shape == (0,)
