"""The Beam pipeline gives what the model gives, and refuses what is no photograph.

Needs apache-beam, which is not in the environment of the lock file:
    python -m pytest tests/embedding/test_beam.py
"""

import cv2
import numpy as np
import pytest
import tensorflow as tf

pytest.importorskip("apache_beam", reason="needs the extra beam")
pytest.importorskip("google_crc32c", reason="needs apache-beam[tfrecord]")


def test_results_are_those_of_the_model(tmp_path):
    import urfr_tf
    from urfr_tf.bench.inference import build_random_network
    from urfr_tf.embedding.beam import main
    from urfr_tf.export.tflite import convert_to_tflite

    path = tmp_path / "model.tflite"
    path.write_bytes(
        convert_to_tflite(
            build_random_network("mobilefacenet"), {"alignment": {"size": 112, "template": None}}
        )
    )
    model = urfr_tf.load(path)
    images = np.random.default_rng(0).integers(0, 256, [3, 112, 112, 3], np.uint8)
    names = [str(tmp_path / f"{i}.png") for i in range(3)]
    for name, image in zip(names, images, strict=True):
        cv2.imwrite(name, image[:, :, ::-1])
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"not an image")
    (tmp_path / "list.txt").write_text("\n".join([*names[:2], str(bad), names[2]]) + "\n")
    words = ["--model", str(path), "--images", str(tmp_path / "list.txt"), "--out", str(tmp_path / "out")]
    assert main([*words, "--align", "none"]) == 0
    results = {}
    for record in tf.data.TFRecordDataset(sorted(str(each) for each in tmp_path.glob("out*.tfrecord"))):
        feature = tf.train.Example.FromString(record.numpy()).features.feature
        results[feature["path"].bytes_list.value[0].decode()] = feature
    assert set(results) == {*names, str(bad)}
    assert results[str(bad)]["found"].int64_list.value == [0]
    expected = model(images)
    for i, name in enumerate(names):
        assert results[name]["found"].int64_list.value == [1]
        for key in ("embedding", "confidence"):
            np.testing.assert_allclose(
                results[name][key].float_list.value, expected[key][i], rtol=1e-4, atol=1e-5
            )
