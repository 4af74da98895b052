"""Accuracy, TAR and threshold of an export on pairs of faces, as `urfr export` measures them."""

import json
import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest
from made_up import put_junk

import urfr_tf
from urfr_tf.config.load_config import from_dict, read_run_config, to_yaml
from urfr_tf.errors import UrfrError
from urfr_tf.export import export_run as module
from urfr_tf.export.accuracy import check_accuracy, choose_far, compare_accuracy, open_face_pairs
from urfr_tf.export.export_run import EMBEDDINGS, export_run
from urfr_tf.export.parity import LIMITS, Limit
from urfr_tf.export.request import ExportRequest
from urfr_tf.runs.run_card import make_run_card

PEOPLE, EACH = 12, 6


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """12 made-up people with 6 images each: 66 x 36 = 2,376 impostor pairs, enough for FAR 1e-1 and 1e-2
    not.
    """
    folder = tmp_path_factory.mktemp("faces")
    random = np.random.default_rng(0)
    for person in range(PEOPLE):
        face = cv2.resize(random.uniform(0, 255, [5, 5, 3]), (36, 36), interpolation=cv2.INTER_CUBIC)
        (folder / f"person_{person}").mkdir()
        for i in range(EACH):
            image = np.clip(face + random.normal(0, 30, face.shape), 0, 255).astype(np.uint8)
            cv2.imwrite(str(folder / f"person_{person}" / f"{i}.png"), image)
    (folder / "person_0" / ".DS_Store").touch()
    return folder


@pytest.fixture(scope="module")
def run(network, tmp_path_factory):
    """A run folder whose network is the tiny one; its photographs are not to be aligned."""
    model = {"backbone": "ir18", "width": 0.125, "input_size": 32, "embedding_dim": 16, "groups": 4}
    config = from_dict({"model": model, "optimizer": {"learning_rate": {"type": "constant"}}}, "test")
    folder = tmp_path_factory.mktemp("run")
    (folder / "config.yaml").write_text(to_yaml(config))
    network.save_weights(folder / "inference.weights.h5")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            module, "load_network", lambda run: (network, make_run_card(run, read_run_config(run)), config)
        )
        yield folder


def test_the_far_is_the_smallest_that_the_pairs_support(faces, tmp_path):
    # Half of the people have about a quarter of the pairs: 2,376 / 4 = 594, of which FAR 1e-1 leaves 59 and
    # 1e-2 six.
    assert choose_far(open_face_pairs(str(faces))) == 1e-1
    listing = tmp_path / "pairs.txt"
    listing.write_text("person_0/0.png\tperson_0/1.png\t1\nperson_0/0.png\tperson_1/1.png\t0\n")
    few = open_face_pairs(str(faces))
    few = replace(
        few, identity=None, same=np.array([True, False]), first=few.first[:2], second=few.second[:2]
    )
    with pytest.raises(UrfrError, match="at least 400 impostor pairs .* but the data gives 1"):
        choose_far(few)


def test_files_that_are_no_images_are_no_faces(faces, tmp_path):
    data = shutil.copytree(faces, tmp_path / "faces")
    put_junk(data)
    (data / "person_0" / "0.txt").write_text("taken in 1999")
    clean, dirty = open_face_pairs(str(faces)), open_face_pairs(str(data))
    assert dirty.images.count == clean.images.count == PEOPLE * EACH
    for name in ("first", "second", "same", "fold", "identity", "counted"):
        np.testing.assert_array_equal(getattr(clean, name), getattr(dirty, name))
    assert dirty.images.refused_kinds() == {"not an image": 1}


@pytest.mark.parametrize(("form", "quantize"), [("saved_model", "none"), ("tflite", "float16")])
def test_the_export_gets_its_own_threshold(run, faces, tmp_path, form, quantize):
    said = []
    request = ExportRequest(run, tmp_path, form, quantize=quantize, faces=str(faces))
    target, report = export_run(request, said.append)
    assert said == ["ignored 1 hidden or system file, for instance .DS_Store"]
    measured = report["faces"]
    assert abs(measured["accuracy_change"]) <= 0.02 and abs(measured["tar_change"]) <= 0.02
    assert measured["export"]["far"] == measured["keras"]["far"] == 1e-1
    point = measured["export"]["calibration"]
    model = urfr_tf.load(target)
    assert model.threshold["threshold"] == point["threshold"]
    assert model.threshold["fingerprint"] == model.fingerprint
    # Keras's and the export's, one piece each; the next format finds those of Keras.
    assert len(list((tmp_path / EMBEDDINGS).iterdir())) == 2
    assert json.loads((tmp_path / "parity.json").read_text())[str(target.relative_to(tmp_path))] == report
    # The threshold is at a tenth of the impostor scores of one half: so many are at least as large.
    assert 0 < point["chosen_on"] < 2376 / 2


def test_a_loss_of_accuracy_is_refused(run, faces, tmp_path, monkeypatch):
    strict = {name: replace(limit, accuracy=-1.0) for name, limit in LIMITS.items()}
    monkeypatch.setattr(module, "LIMITS", strict)
    with pytest.raises(
        UrfrError, match=r"accuracy on pairs of faces to fall by at most -1\.0 .*is the heads"
    ):
        export_run(ExportRequest(run, tmp_path, "tflite", quantize="float16", faces=str(faces)))
    assert not (tmp_path / "model.tflite").exists() and not (tmp_path / "parity.json").exists()


def test_losses_are_measured_against_their_limits():
    keras = {"accuracy": 0.99, "tar@far": 0.95}
    export = {"accuracy": 0.985, "tar@far": 0.94}  # 0.005 and 0.01 less
    changed = compare_accuracy(keras, export)
    assert changed["accuracy_change"] == pytest.approx(-0.005) and changed["tar_change"] == pytest.approx(
        -0.01
    )
    check_accuracy("file", changed, Limit(0.9, 0.1, accuracy=0.006, tar=0.011))
    with pytest.raises(
        UrfrError, match=r"accuracy .* at most 0\.004 against Keras, but it fell from 0\.9900 to 0\.9850"
    ):
        check_accuracy("file", changed, Limit(0.9, 0.1, accuracy=0.004, tar=0.011))
    with pytest.raises(UrfrError, match=r"tar@far .* from 0\.9500 to 0\.9400"):
        check_accuracy("file", changed, Limit(0.9, 0.1, accuracy=0.006, tar=0.009))
    check_accuracy("file", compare_accuracy(export, keras), Limit(0.9, 0.1))  # a gain is no loss
