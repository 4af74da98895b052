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
SETTINGS = CropSettings(size=SIZE)


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
    result = compare_photographs(model_of(), str(files / "a.png"), str(files / "b.png"), SETTINGS, "all")
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
    assert (
        compare_photographs(model, str(files / "a.png"), str(files / "b.png"), SETTINGS, "all")["same"]
        is same
    )


def test_a_photograph_that_is_none(files):
    for a, b in (("a.png", "text.jpg"), ("text.jpg", "a.png"), ("a.png", "missing.png")):
        with pytest.raises(UrfrError) as error:
            compare_photographs(model_of(), str(files / a), str(files / b), SETTINGS, "all")
        assert (b if a == "a.png" else a) in str(error.value)


def test_command(files, monkeypatch, capsys):
    parser = argparse.ArgumentParser()
    command.arguments(parser)
    words = ["--model", "M", str(files / "a.png"), str(files / "b.png")]
    monkeypatch.setattr("urfr_tf.runs.load_model.load_model", lambda path: model_of())
    assert command.run(parser.parse_args(words)) == 0
    assert "no threshold is calibrated" in capsys.readouterr().out
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


class ColorfulFaces:
    """In place of MTCNN: a face on each of the two 112-pixel squares, side by side, that is not black."""

    def __init__(self, batch, min_size):
        pass

    def detect(self, images):
        from urfr_tf.faces.detect import Face
        from urfr_tf.faces.template import five_points

        return [
            [
                Face(np.float32([x, 0, x + 112, 112]), 1.0, five_points(112) + (x, 0), False)
                for x in range(0, image.shape[1] - 111, 112)
                if image[56, x + 56].any()
            ]
            for image in images
        ]


@pytest.fixture
def group(tmp_path, monkeypatch):
    """`group.png`: green at the left, blue at the right; `one.png`: blue; `none.png`: black."""
    monkeypatch.setattr("urfr_tf.faces.detect.Detector", ColorfulFaces)
    green, blue, black = (
        np.zeros([112, 112, 3], np.uint8) + np.uint8(c) for c in ((0, 200, 0), (0, 0, 200), 0)
    )
    for name, squares in (("group", (green, blue)), ("one", (blue,)), ("none", (black,))):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.concatenate(squares, 1)[..., ::-1])
    return tmp_path


def compare_in(folder, a, b, faces, threshold=None):
    model = Embedder("m", "run", 112, 1, 3, "0" * 64, colours_as_embedding, {"threshold": threshold})
    settings = CropSettings(size=112, align="mtcnn")
    return compare_photographs(model, str(folder / f"{a}.png"), str(folder / f"{b}.png"), settings, faces)


@pytest.mark.parametrize("score", ["cosine", "likelihood"])
def test_the_best_of_all_faces_counts(group, score):
    """Blue is at the right of the group: cosine 1, and the likelihood -1/2 (0 + 3 log 1) = 0."""
    threshold = {"score": score, "threshold": -0.1}
    result = compare_in(group, "one", "group", "all", threshold)
    assert result["cosine"] == pytest.approx(1) and result["likelihood"] == pytest.approx(0, abs=1e-6)
    assert (result["faces_a"], result["faces_b"], result["compared"]) == (1, 2, 2)
    assert result["box_a"] == [0, 0, 112, 112] and result["box_b"] == [112, 0, 224, 112]
    assert result["same"] is True
    turned = compare_in(group, "group", "one", "all", threshold)
    assert turned["box_a"] == [112, 0, 224, 112] and turned["cosine"] == result["cosine"]
    both = compare_in(group, "group", "group", "all")
    assert both["compared"] == 4 and both["box_a"] == both["box_b"] and both["same"] is None


def test_one_face_may_be_chosen(group):
    """Both have one size and distance to the middle, so the first counts: green, of cosine 0 with blue."""
    for faces in ("largest", "central"):
        result = compare_in(group, "one", "group", faces)
        assert result["cosine"] == pytest.approx(0) and result["compared"] == 1
        assert (result["faces"], result["faces_b"], result["box_b"]) == (faces, 2, [0, 0, 112, 112])


def test_a_photograph_without_a_face(group):
    with pytest.raises(UrfrError, match="none.png is refused: no face: MTCNN found none"):
        compare_in(group, "one", "none", "all")


def test_the_answer_names_the_face_and_what_several_faces_mean(group, monkeypatch, capsys):
    model = Embedder("m", "run", 112, 1, 3, "0" * 64, colours_as_embedding)
    monkeypatch.setattr("urfr_tf.runs.load_model.load_model", lambda path: model)
    monkeypatch.setattr(
        Embedder, "threshold", {"score": "cosine", "threshold": 0.5, "align": "none"}, raising=True
    )
    parser = argparse.ArgumentParser()
    command.arguments(parser)
    words = ["--model", "M", str(group / "one.png"), str(group / "group.png"), "--align", "mtcnn"]
    command.run(parser.parse_args(words))
    said = capsys.readouterr().out
    assert "one.png: the only face at x 0 to 112" in said
    assert "group.png: one of 2 faces, at x 112 to 224, y 0 to 112" in said
    assert "best of 2 pairs of faces" in said and "calibrated with --align none, not mtcnn" in said
    command.run(parser.parse_args([*words, "--faces", "largest"]))
    assert "best of" not in capsys.readouterr().out


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
