"""The Beam pipeline gives what the model gives, and refuses what is no photograph.

Needs apache-beam, which has an environment of its own: make test-beam.
"""

import cv2
import numpy as np
import pytest
import tensorflow as tf
from paths import ROOT

pytest.importorskip("apache_beam", reason="Apache Beam is not installed (make test-beam)")

GOLDENS = ROOT / "tests" / "runs" / "goldens"


def beam_results(out):
    """Path -> features of each record that the pipeline wrote."""
    results = {}
    for record in tf.data.TFRecordDataset(
        sorted(str(each) for each in out.parent.glob(f"{out.name}*.tfrecord"))
    ):
        feature = tf.train.Example.FromString(record.numpy()).features.feature
        results[feature["path"].bytes_list.value[0].decode()] = feature
    return results


@pytest.mark.parametrize("name", ["model.tflite", "saved_model"])
def test_results_are_those_of_the_model(tmp_path, name):
    import urfr_tf
    from urfr_tf.embedding.beam import main

    path = GOLDENS / name
    model = urfr_tf.load(path)
    size = model.aligned_size
    images = np.random.default_rng(0).integers(0, 256, [3, size, size, 3], np.uint8)
    names = [str(tmp_path / f"{i}.png") for i in range(3)]
    for image_path, image in zip(names, images, strict=True):
        cv2.imwrite(image_path, image[:, :, ::-1])
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"not an image")
    # As an editor of Windows writes it: a byte-order mark, and lines that end in \r\n.
    (tmp_path / "list.txt").write_text(
        "".join(f"{path}\r\n" for path in [*names[:2], str(bad), "", names[2]]), "utf-8-sig", newline=""
    )
    words = ["--model", str(path), "--images", str(tmp_path / "list.txt"), "--out", str(tmp_path / "out")]
    assert main([*words, "--align", "none"]) == 0
    results = beam_results(tmp_path / "out")
    assert set(results) == {*names, str(bad)}
    assert results[str(bad)]["found"].int64_list.value == [0]
    assert b"not an image" in results[str(bad)]["refused"].bytes_list.value[0]
    expected = model(images)
    for i, image_path in enumerate(names):
        assert results[image_path]["found"].int64_list.value == [1]
        for key in ("embedding", "confidence"):
            np.testing.assert_allclose(
                results[image_path][key].float_list.value, expected[key][i], rtol=1e-4, atol=1e-5
            )


def test_a_path_without_a_model_is_a_sentence(tmp_path, capsys):
    from urfr_tf.embedding.beam import main

    assert main(["--model", str(tmp_path), "--images", "x", "--out", "y"]) == 1
    assert capsys.readouterr().err.strip().endswith(f"but the folder {tmp_path} is empty")
