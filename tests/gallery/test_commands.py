"""`urfr gallery` from photographs to a page, with a network made of NumPy."""

import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from gallery_people import SIZE, embedder

from urfr_tf.cli import main
from urfr_tf.errors import UrfrError
from urfr_tf.gallery import Gallery


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """people/ with 3 people of 3 photographs, strangers/ with 12 of 2, and models that are their path."""
    random = np.random.default_rng(0)
    for place, people, images in (("people", 3, 3), ("strangers", 12, 2)):
        for person in range(people):
            face = random.uniform(0, 255, [4, 4, 3])
            (tmp_path / place / f"{place} {person}").mkdir(parents=True)
            for number in range(images):
                noisy = np.clip(face + random.normal(0, 8, face.shape), 0, 255).astype(np.uint8)
                picture = cv2.resize(noisy, (SIZE, SIZE), interpolation=cv2.INTER_NEAREST)
                cv2.imwrite(str(tmp_path / place / f"{place} {person}" / f"{number}.png"), picture)
    (tmp_path / "model").mkdir()

    def load(path, bulk=False):
        return embedder(("a" if str(path).endswith("model") else "b") * 64, str(path))

    monkeypatch.setattr("urfr_tf.runs.load_model.load_model", load)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(capsys, *words, code=0):
    assert main(["gallery", *words]) == code
    shown = capsys.readouterr()
    return shown.out if code == 0 else shown.err


@pytest.fixture
def filled(folder, capsys):
    run(capsys, "create", "g", "--model", "model")
    run(capsys, "add", "g", "--images", "people", "--keep-thumbnails")
    return folder


def test_from_an_empty_folder_to_a_decision(folder, capsys):
    assert "g: an empty gallery for run" in run(capsys, "create", "g", "--model", "model")
    said = run(capsys, "add", "g", "--images", "people")
    assert "g: 9 of 9 images added (align none); now 9 images of 3 people" in said
    assert "0 of 9 images added (align none), 9 there already" in run(
        capsys, "add", "g", "--images", "people"
    )
    photograph = "people/people 1/0.png"
    said = run(capsys, "search", "g", photograph)
    assert f"{photograph}, face 1: no decision without a calibration" in said
    assert "warning: no calibration exists" in said
    said = run(capsys, "calibrate", "g", "--unknown", "strangers", "--fpir", "0.42")
    assert "likelihood threshold" in said and "41.67% of 24 faces of 12 strangers reach it" in said
    said = run(capsys, "search", "g", photograph, "--top", "2")
    assert f"{photograph}, face 1: people 1" in said and "(3 images)" in said and "FPIR 0.42" in said
    answer = json.loads(run(capsys, "search", "g", photograph, "strangers/strangers 3/0.png", "--json"))
    assert answer["photographs"][0]["faces"][0]["person"] == "people 1" and answer["people"] == 3
    assert answer["photographs"][1]["faces"][0]["known"] in (True, False)
    assert len(answer["photographs"][0]["faces"][0]["confidence"]) == 4
    assert answer["calibration"]["unknown_people"] == 12
    said = run(capsys, "list", "g")
    assert (
        "     3  people 0\n" in said and "9 images of 3 people" in said and "calibrated with 3 people" in said
    )


def test_one_person_by_name_from_a_folder_and_from_a_list(folder, capsys):
    run(capsys, "create", "g", "--model", "model")
    run(capsys, "add", "g", "--images", "people/people 0", "--person", "Ann")
    Path("list.txt").write_text("people/people 1/0.png\nstrangers\n")
    said = json.loads(run(capsys, "add", "g", "--images", "list.txt", "--person", "Bob", "--json"))
    assert (said["added"], said["people"]) == (1, 2)
    assert list(said["refused"]) == ["strangers"]
    Path("list.csv").write_text("path,identity\npeople/people 2/0.png,Cid\npeople/people 1/1.png,Bob\n")
    assert "2 of 2 images added" in run(capsys, "add", "g", "--images", "list.csv")
    with Gallery("g") as gallery:
        assert [tuple(each) for each in gallery.people()] == [("Ann", 3), ("Bob", 2), ("Cid", 1)]


def test_points_of_a_list_align(folder, capsys):
    """Five points where the template has them leave the photograph as it is, but for rounding."""
    from urfr_tf.faces.template import five_points

    run(capsys, "create", "g", "--model", "model")
    points = ",".join(str(float(x)) for x in five_points(SIZE).ravel())
    Path("list.csv").write_text(f"people/people 0/0.png,Ann,{points}\npeople/people 0/1.png,Ann,{points}\n")
    said = json.loads(run(capsys, "add", "g", "--images", "list.csv", "--align", "points", "--json"))
    assert (said["added"], said["align"]) == (2, "points")
    (answer,) = json.loads(run(capsys, "search", "g", "people/people 0/2.png", "--align", "none", "--json"))[
        "photographs"
    ]
    assert answer["faces"][0]["candidates"][0]["person"] == "Ann"


def test_what_cannot_be_added_is_named(folder, capsys):
    run(capsys, "create", "g", "--model", "model")
    Path("people/people 0/broken.jpg").write_bytes(b"\xff\xd8\xff no image")
    assert main(["gallery", "add", "g", "--images", "people"]) == 0
    shown = capsys.readouterr()
    assert "9 of 10 images added" in shown.out and "refused people 0/broken.jpg: " in shown.err
    Path("bad").mkdir()
    Path("bad/text.png").write_text("no image")
    said = run(capsys, "add", "g", "--images", "bad", "--person", "Ann", code=1)
    assert "none of the 1 images of bad could be added (text.png: " in said
    said = run(capsys, "add", "g", "--images", "nothing", "--person", "Ann", code=1)
    assert "could not read the list nothing" in said


def test_export_and_remove(filled, capsys):
    run(capsys, "export", "g", "people 1", "--out", "out")
    listed = json.loads(Path("out/images.json").read_text())
    assert listed["person"] == "people 1" and [each["align"] for each in listed["images"]] == ["none"] * 3
    with np.load("out/embeddings.npz", allow_pickle=False) as arrays, Gallery("g") as gallery:
        stored = gallery.export("people 1")
        np.testing.assert_array_equal(arrays["embedding"], np.stack([one.embedding for one in stored]))
        np.testing.assert_array_equal(arrays["confidence"], np.stack([one.confidence for one in stored]))
        assert [each["sha256"] for each in listed["images"]] == [one.sha256.hex() for one in stored]
    assert cv2.imread(f"out/{listed['images'][0]['thumbnail']}").shape == (SIZE, SIZE, 3)
    assert "expected an empty folder" in run(capsys, "export", "g", "people 1", "--out", "out", code=1)
    sha256 = listed["images"][0]["sha256"]
    assert "1 images of people 1 removed" in run(capsys, "remove", "g", "people 1", "--image", sha256)
    assert "1 people are left" in run(capsys, "remove", "g", "people 1", "people 2")
    assert "'people 1' is not in it" in run(capsys, "export", "g", "people 1", "--out", "no", code=1)
    assert "expected SHA-256 in hexadecimal" in run(
        capsys, "remove", "g", "people 0", "--image", "xy", code=1
    )
    assert "nothing is wrong" in run(capsys, "check", "g")


def test_the_model_is_that_of_the_gallery(filled, capsys):
    os.rename("model", "moved to model")
    said = run(capsys, "search", "g", "people/people 0/0.png", code=1)
    assert "which is not there any more; --model names the place" in said
    run(capsys, "search", "g", "people/people 0/0.png", "--model", "moved to model")
    said = run(capsys, "search", "g", "people/people 0/0.png", "--model", "other", code=1)
    assert "but other is another model or another export of it" in said


def test_strangers_who_are_in_the_gallery(filled, capsys):
    said = run(capsys, "calibrate", "g", "--unknown", "people", "--fpir", "0.5", code=1)
    assert "9 of people are in it, one of them as 'people " in said
    # A folder without folders: each photograph is somebody else.
    Path("flat").mkdir()
    for number, path in enumerate(sorted(Path("strangers").rglob("*.png"))):
        os.link(path, f"flat/{number}.png")
    said = run(capsys, "calibrate", "g", "--unknown", "flat", "--fpir", "0.42")
    assert "of 24 faces of 24 strangers" in said


def test_searches_that_find_no_face(filled, capsys):
    Path("text.png").write_text("no image")
    assert main(["gallery", "search", "g", "text.png"]) == 1
    shown = capsys.readouterr()
    assert "text.png: refused: " in shown.out and "none of the photographs has a face" in shown.err
    run(capsys, "create", "empty", "--model", "model")
    assert "nobody is in the gallery empty" in run(capsys, "search", "empty", "text.png", code=1)


@pytest.mark.process
def test_copy_to_postgres_and_back(filled, database, capsys):
    run(capsys, "calibrate", "g", "--unknown", "strangers", "--fpir", "0.42")
    assert "9 images copied from g" in run(capsys, "copy", "g", database)
    assert "0 images copied from g" in run(capsys, "copy", "g", database)  # as after an interruption
    assert "9 images copied" in run(capsys, "copy", database, "back")
    words = ["people/people 1/0.png", "strangers/strangers 1/0.png", "--json"]
    answers = [json.loads(run(capsys, "search", where, *words)) for where in ("g", database, "back")]
    assert answers[0]["photographs"] == answers[1]["photographs"] == answers[2]["photographs"]
    with Gallery("g") as one, Gallery("back") as other:
        for person in one.people():
            pairs = zip(one.export(person.name), other.export(person.name), strict=True)
            for a, b in pairs:
                assert a[:3] == b[:3] and a.thumbnail == b.thumbnail
                assert a.embedding.tobytes() == b.embedding.tobytes()
    run(capsys, "remove", "g", "people 1")
    assert "people who are not in g, for instance 'people 1'" in run(capsys, "copy", "g", database, code=1)
    run(capsys, "create", "other", "--model", "elsewhere")
    refused = pytest.raises(UrfrError, match="expected galleries of one model")
    with Gallery("other") as other, Gallery("back") as back, refused:
        back.copy_to(other)


def test_the_page_is_self_contained(filled, capsys):
    run(capsys, "calibrate", "g", "--unknown", "strangers", "--fpir", "0.42")
    run(capsys, "search", "g", "people/people 1/0.png", "--html", "page.html")
    page = Path("page.html").read_text()
    assert "people 1" in page and "reaches the threshold" in page
    assert "http://" not in page and "https://" not in page and "<script" not in page
    assert page.count("data:image/jpeg;base64,") == 2 + 3  # photograph, face, thumbnails
