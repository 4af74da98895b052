"""`urfr compare` with a model made of NumPy, so that the scores can be worked out by hand."""

import argparse
import json

import cv2
import numpy as np
import pytest

from urfr_tf.commands import compare as command
from urfr_tf.data.cropper import CropSettings
from urfr_tf.embedding.compare import compare_photographs
from urfr_tf.embedding.photographs import crop_photographs
from urfr_tf.errors import UrfrError
from urfr_tf.runs.embedder import Embedder

SIZE = 32


def colours_as_embedding(batch):
    """K = 1: the mean colour, of norm 1; variance 1/2."""
    means = batch.mean(axis=(1, 2)).astype(np.float64)
    unit = means / np.linalg.norm(means, axis=1, keepdims=True)
    return {
        "embedding": unit,
        "confidence": np.full([len(batch), 1], 2.0),
        "variance": np.full([len(batch), 1], 0.5),
    }


def model_of(threshold=None):
    return Embedder("m", "run", SIZE, 1, 3, "0" * 64, colours_as_embedding, {"threshold": threshold})


@pytest.fixture
def files(tmp_path):
    """Pure colours: (0, 0, 200), (0, 120, 160), and no image."""
    for name, colour in (("a", (0, 0, 200)), ("b", (0, 120, 160))):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.full([40, 40, 3], colour[::-1], np.uint8))
    (tmp_path / "text.jpg").write_text("no image")
    return tmp_path


def test_scores(files):
    result = compare_photographs(model_of(), str(files / "a.png"), str(files / "b.png"), "none")
    # b / |b| = (0, 0.6, 0.8), so the cosine with (0, 0, 1) is 0.8.
    assert result["cosine"] == pytest.approx(0.8, abs=1e-6)
    # |f_a - f_b|^2 = 2 - 1.6 = 0.4, variances add up to 1: -1/2 (0.4 / 1 + 3 log 1) = -0.2
    assert result["likelihood"] == pytest.approx(-0.2, abs=1e-6)
    assert result["same"] is None and result["threshold"] is None


@pytest.mark.parametrize(
    ("score", "threshold", "same"),
    [
        ("cosine", 0.79, True),
        ("cosine", 0.81, False),
        ("likelihood", -0.21, True),
        ("likelihood", -0.19, False),
    ],
)
def test_verdict_needs_a_threshold(files, score, threshold, same):
    model = model_of({"score": score, "threshold": threshold})
    assert compare_photographs(model, str(files / "a.png"), str(files / "b.png"), "none")["same"] is same


def test_a_photograph_that_is_none(files):
    for a, b in (("a.png", "text.jpg"), ("text.jpg", "a.png"), ("a.png", "missing.png")):
        with pytest.raises(UrfrError) as error:
            compare_photographs(model_of(), str(files / a), str(files / b), "none")
        assert (b if a == "a.png" else a) in str(error.value)


def test_command(files, monkeypatch, capsys):
    parser = argparse.ArgumentParser()
    command.arguments(parser)
    words = ["--model", "M", str(files / "a.png"), str(files / "b.png")]
    monkeypatch.setattr("urfr_tf.runs.load_model.load_model", lambda path: model_of())
    assert command.run(parser.parse_args(words)) == 0
    assert "no threshold calibrated" in capsys.readouterr().out
    monkeypatch.setattr(
        "urfr_tf.runs.load_model.load_model", lambda path: model_of({"score": "cosine", "threshold": 0.9})
    )
    assert command.run(parser.parse_args(words)) == 0
    assert "same person: no" in capsys.readouterr().out
    assert command.run(parser.parse_args([*words, "--json"])) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["same"] is False and result["cosine"] == pytest.approx(0.8, abs=1e-6)


class OneFace:
    """In place of MTCNN: a face where the image is bright in its middle."""

    def __init__(self, batch, min_size):
        pass

    def detect(self, images):
        from urfr_tf.faces.detect import Face
        from urfr_tf.faces.template import five_points

        # The template's points of a 112-pixel crop, 10 pixels to the right and 20 below.
        face = Face(np.zeros(4, np.float32), 1.0, five_points(112) + (10, 20), False)
        return [[face] if image[80, 80].max() > 100 else [] for image in images]


def test_alignment_follows_the_points(tmp_path, monkeypatch):
    monkeypatch.setattr("urfr_tf.faces.detect.Detector", OneFace)
    image = np.random.default_rng(0).integers(101, 256, [150, 140, 3], np.uint8)
    cv2.imwrite(str(tmp_path / "face.png"), image[:, :, ::-1])
    cv2.imwrite(str(tmp_path / "dark.png"), np.zeros([150, 140, 3], np.uint8))
    paths = [str(tmp_path / name) for name in ("dark.png", "face.png", "missing.png")]
    dark, face, missing = crop_photographs(paths, CropSettings(size=112, align="mtcnn"))
    assert [one.path for one in (dark, face, missing)] == paths
    assert dark.crop is None and dark.refused == "no face: MTCNN found none"
    assert missing.crop is None and missing.refused.startswith("unreadable")
    # A shift by whole pixels needs no interpolation.
    np.testing.assert_array_equal(face.crop, image[20:132, 10:122])


def test_without_alignment_the_center_square_is_taken(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, [SIZE, SIZE + 10, 3], np.uint8)
    cv2.imwrite(str(tmp_path / "wide.png"), image[:, :, ::-1])
    (one,) = crop_photographs([str(tmp_path / "wide.png")], CropSettings(size=SIZE))
    np.testing.assert_array_equal(one.crop, image[:, 5:-5])
