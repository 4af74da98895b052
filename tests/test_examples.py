"""Every program of `examples/` runs as it is, on ORL photographs and the default network."""

import runpy
import sys

import cv2
import numpy as np
import pytest
from paths import ROOT

EXAMPLES = ROOT / "examples"
LONGEST = 60


@pytest.fixture
def run(default_network, tmp_path, monkeypatch, capsys):
    """run(name, *words): what the program prints."""
    monkeypatch.chdir(tmp_path)

    def run(name, *words):
        monkeypatch.setattr(sys, "argv", [name, *map(str, words)])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        return capsys.readouterr().out

    return run


def programs():
    return sorted(path.name for path in EXAMPLES.glob("*.py"))


def test_the_table_and_the_tests_have_every_program():
    table = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    page = (ROOT / "docs" / "examples.md").read_text(encoding="utf-8")
    tests = "".join((ROOT / "tests" / name).read_text() for name in ("test_examples.py", "conftest.py"))
    for name in programs():
        assert f"[{name}]({name})" in table and f'("{name}", ' in tests
        assert f'--8<-- "examples/{name}"' in page


@pytest.mark.parametrize("name", programs())
def test_an_example_is_short(name):
    assert len((EXAMPLES / name).read_text(encoding="utf-8").splitlines()) <= LONGEST


def test_verify(run, orl_people):
    same = run("verify.py", orl_people / "s1" / "1.jpg", orl_people / "s1" / "2.jpg")
    assert "the same person (threshold 0.928 for a FAR of 0.001)" in same
    other = run("verify.py", orl_people / "s1" / "1.jpg", orl_people / "s3" / "2.jpg")
    assert "different people" in other


def test_fine_tune(fine_tuned):
    said = (fine_tuned / "said.txt").read_text().splitlines()
    models = ("default", "runs/mine/mixed")
    lines = [line.rpartition(" ")[0] for line in said if ": accuracy" in line]
    assert lines == [f"{model}, {kind}: accuracy" for model in models for kind in ("clean", "blurred")]


@pytest.mark.training
def test_keras_sequential(run, orl_people, default_export):
    # The network tells these people apart, and so the classifier learns to: 4 x 5 photographs.
    said = run("keras_sequential.py", default_export, orl_people)
    assert said.endswith("4 people, 20 of 20 images named correctly\n")


def test_embed_and_plot(run, orl_people, tmp_path):
    said = run("embed_and_plot.py", orl_people, "--out", "faces.png")
    assert said == "20 of 20 photographs embedded\nfaces.png\n"
    picture = cv2.imread(str(tmp_path / "faces.png"))
    assert min(picture.shape[:2]) > 500 and np.ptp(picture) == 255
    with np.load(tmp_path / "faces.npz") as arrays:
        assert arrays["embedding"].shape == (20, 128)


def test_serving_client(run, orl_people, default_export):
    import tensorflow as tf

    pytest.importorskip("grpc", reason="needs the extra serving")
    pytest.importorskip("tensorflow_serving", reason="needs the extra serving")
    from loopback import serving

    card = default_export / "1" / "assets" / "urfr.json"
    photographs = [orl_people / "s1" / "1.jpg", orl_people / "s1" / "2.jpg"]
    with serving(tf.saved_model.load(str(default_export / "1"))) as servers:
        answers = {
            run("serving_client.py", servers["grpc"][0], card, *photographs),
            run("serving_client.py", "--rest", servers["rest"][0], card, *photographs),
        }
    # No threshold was calibrated for this export.
    (answer,) = answers
    assert answer.startswith("cosine 0.9") and answer.endswith("same person: None\n")


def test_fuse_video(run, orl_people, tmp_path):
    images = [cv2.imread(str(orl_people / "s1" / f"{number}.jpg")) for number in (1, 2, 3)]
    height, width = images[0].shape[:2]
    writer = cv2.VideoWriter(str(tmp_path / "film.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 25, (width, height))
    for image in [*images, np.zeros_like(images[0])]:
        writer.write(image)
    writer.release()
    said = run("fuse_video.py", "film.avi", orl_people / "s1" / "4.jpg", "--every", 1)
    # The fourth is black.
    assert said.startswith("4 frames, 3 with a face among every 1th\n")
    assert float(said.split()[-1]) > 0.93
