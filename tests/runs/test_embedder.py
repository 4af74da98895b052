"""`urfr_tf.load` on run folders and on everything that is no model; other kinds: tests/export."""

import json

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf

import urfr_tf
from urfr_tf import keys
from urfr_tf.config.load_config import from_dict, to_yaml
from urfr_tf.errors import UrfrError
from urfr_tf.models.inference_graph import build_inference
from urfr_tf.runs.embedder import center_crop
from urfr_tf.runs.load_model import load_model

MODEL = {"backbone": "ir18", "width": 0.125, "input_size": 32, "embedding_dim": 16, "groups": 4}


def configuration(**model):
    return from_dict(
        {"model": {**MODEL, **model}, "optimizer": {"learning_rate": {"type": "constant"}}}, "test"
    )


@pytest.fixture(scope="module")
def network():
    """A small inference model whose confidences differ (a fresh head gives the same to every image)."""
    network = build_inference(configuration())
    rng = np.random.default_rng(0)
    head = network.get_layer(keys.CONFIDENCE)
    head.dense.kernel.assign(rng.normal(0, 0.05, head.dense.kernel.shape))
    return network


@pytest.fixture(scope="module")
def run(network, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    (folder / "config.yaml").write_text(to_yaml(configuration()))
    network.save_weights(folder / "inference.weights.h5")
    return folder


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


def test_fingerprint_follows_the_weights(run, network, tmp_path):
    (tmp_path / "config.yaml").write_bytes((run / "config.yaml").read_bytes())
    (tmp_path / "inference.weights.h5").write_bytes((run / "inference.weights.h5").read_bytes())
    same = urfr_tf.load(tmp_path).fingerprint
    assert same == urfr_tf.load(run).fingerprint and len(same) == 64
    with h5py.File(tmp_path / "inference.weights.h5", "r+") as file:
        arrays = []
        file.visititems(lambda name, item: arrays.append(item) if isinstance(item, h5py.Dataset) else None)
        arrays[0][...] += 1
    assert urfr_tf.load(tmp_path).fingerprint != same


def test_card_says_how_the_crops_must_be(run, tmp_path):
    for name in ("config.yaml", "inference.weights.h5"):
        (tmp_path / name).write_bytes((run / name).read_bytes())
    assert urfr_tf.load(tmp_path).aligned_size == 32
    (tmp_path / "run.json").write_text(json.dumps({"image_size": 36, "template": "arcface112"}))
    (tmp_path / "threshold.json").write_text(json.dumps({"score": "cosine", "threshold": 0.25}))
    model = urfr_tf.load(tmp_path)
    assert model.aligned_size == 36
    assert model.threshold == {"score": "cosine", "threshold": 0.25}
    # The first point of the template, x = 38.2946 of 112, in a crop of 36: (38.2946 + .5) 36/112 - .5
    assert model.card["alignment"]["points"][0][0] == pytest.approx(11.9697, abs=1e-4)
    (tmp_path / "threshold.json").write_text('{"score": "cosine"}')
    with pytest.raises(UrfrError, match=r"threshold\.json"):
        urfr_tf.load(tmp_path)


def folder_of(tmp_path, **files):
    for name, content in files.items():
        path = tmp_path / name.replace("__", "/").replace("_h5", ".weights.h5").replace("_yaml", ".yaml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path


def sentence(path):
    with pytest.raises(UrfrError) as error:
        urfr_tf.load(path)
    message = str(error.value)
    assert "\n" not in message and str(path) in message
    return message


def test_paths_without_a_model(tmp_path):
    assert "does not exist" in sentence(tmp_path / "nothing")
    assert "is empty" in sentence(tmp_path)
    (tmp_path / "notes.txt").write_text("x")
    assert "neither config.yaml nor saved_model.pb" in sentence(tmp_path)
    assert "does not end in .tflite" in sentence(tmp_path / "notes.txt")


def test_run_without_weights(tmp_path):
    folder_of(tmp_path, config_yaml=to_yaml(configuration()).encode())
    assert "when the first epoch ends" in sentence(tmp_path)


def test_damaged_weights(tmp_path, run):
    whole = (run / "inference.weights.h5").read_bytes()
    for content in (b"", b"hello", whole[: len(whole) // 2]):
        folder_of(tmp_path, config_yaml=to_yaml(configuration()).encode(), inference_h5=content)
        assert "truncated or damaged" in sentence(tmp_path)


@pytest.mark.parametrize("change", [{"backbone": "ir34"}, {"embedding_dim": 32}])
def test_weights_of_another_network(tmp_path, run, change):
    whole = (run / "inference.weights.h5").read_bytes()
    folder_of(tmp_path, config_yaml=to_yaml(configuration(**change)).encode(), inference_h5=whole)
    message = sentence(tmp_path)
    assert "do not fit" in message or "not of the same model" in message


def test_files_that_are_no_tflite(tmp_path):
    path = tmp_path / "m.tflite"
    for content, words in [
        (b"", "does not start like one"),
        (b"just a text, not a model", "does not start like one"),
        (b"\x1c\0\0\0TFL3" + bytes(4), "truncated or damaged"),
        (b"\xff\xff\xff\x7fTFL3" + bytes(400), "truncated or damaged"),
    ]:
        path.write_bytes(content)
        assert words in sentence(path)


def test_saved_model_that_is_not_ours_or_damaged(tmp_path):
    folder_of(tmp_path, saved_model=b"")
    (tmp_path / "saved_model").rename(tmp_path / "saved_model.pb")
    assert "that urfr export wrote" in sentence(tmp_path)
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "urfr.json").write_text("[]")
    assert "expected an object" in sentence(tmp_path)
    (tmp_path / "assets" / "urfr.json").write_text('{"input_size": 32, "groups": 4, "dim": 16}')
    assert "is damaged" in sentence(tmp_path)
