"""Pictures of a model's knowledge, from shards of synthetic images and a model whose answers are known."""

import hashlib
import json

import cv2
import numpy as np
import pytest
import tensorflow as tf

from urfr_tf import keys
from urfr_tf.data import records
from urfr_tf.runs.embedder import Embedder
from urfr_tf.visualize.model_pictures import (
    draw_confidence_pictures,
    draw_map_picture,
    draw_model_pictures,
    sample_kind,
    sample_kinds,
    sample_people,
    write_people_projector,
)

SIZE, STORED, PEOPLE, IMAGES = 32, 36, 3, 8


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """One shard: 3 people of 8 images, noise about a grey of their own (60, 120, 180)."""
    folder = tmp_path_factory.mktemp("shards")
    rng = np.random.default_rng(0)
    path = folder / "train-00000-of-00001.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for person in range(PEOPLE):
            for image in range(IMAGES):
                pixels = rng.normal(60 * (person + 1), 20, (STORED, STORED, 3)).clip(0, 255).astype(np.uint8)
                encoded = cv2.imencode(".png", pixels)[1].tobytes()
                writer.write(records.serialize(encoded, person, f"person {person}", f"{image}"))
    number = PEOPLE * IMAGES
    content = path.read_bytes()
    shard = {"file": path.name, "records": number, "bytes": len(content)}
    manifest = {
        "format": "urfr-shards/1",
        "images": number,
        "classes": PEOPLE,
        "image_size": STORED,
        "align": "none",
        "template": None,
        "source": {"kind": "folder", "path": ""},
        "shards": [{**shard, "sha256": hashlib.sha256(content).hexdigest()}],
        "refused": {},
        "versions": {},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "classes.tsv").write_text("".join(f"{p}\tperson {p}\t{IMAGES}\n" for p in range(PEOPLE)))
    return str(folder)


@pytest.fixture(scope="module")
def kinds(shards):
    # Turning heads takes longer than all the rest; the slow test below turns them.
    return sample_kinds(shards, SIZE, 16, variations=("blur", "occlusion", "resolution"))


def test_labels_of_a_kind_are_those_of_its_images(shards, kinds):
    for kind in ("clean", "blur"):
        faces, labels = sample_kind(shards, SIZE, 16, kind)
        np.testing.assert_array_equal(faces, kinds[kind])
        # Each person has a grey of their own: 60, 120, 180.
        np.testing.assert_array_equal(np.rint(faces.mean(axis=(1, 2, 3)) / 60) - 1, labels)


def model(confidence):
    """An embedder: the embedding is the mean colour's place on a circle, the confidence is `confidence`."""

    def compute(images):
        angle = images.mean(axis=(1, 2, 3)) / 255 * np.pi
        embedding = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        given = confidence(images)
        return {keys.EMBEDDING: embedding, keys.CONFIDENCE: given, keys.VARIANCE: 1 / given}

    return Embedder("x", "run", SIZE, 2, 2, "0" * 64, compute)


def sharpness(images):
    # Group 1 trusts contrast (which blur takes away), group 2 trusts everything alike.
    # An image that is black all over has no contrast, and a confidence must be positive.
    contrast = 1 + images.std(axis=(1, 2, 3))
    return np.stack([contrast, np.full(len(images), 24.0)], axis=1).astype(np.float32)


def test_kinds_hold_the_same_images(kinds):
    assert list(kinds) == ["clean", "blur", "occlusion", "resolution"]
    assert all(faces.shape == (16, SIZE, SIZE, 3) and faces.dtype == np.uint8 for faces in kinds.values())
    # Blur keeps each image's mean colour (up to its border) and lowers its contrast (noise of 20).
    means = {kind: faces.mean(axis=(1, 2, 3)) for kind, faces in kinds.items()}
    np.testing.assert_allclose(means["blur"], means["clean"], atol=3)
    assert (kinds["blur"].std(axis=(1, 2, 3)) < kinds["clean"].std(axis=(1, 2, 3))).all()
    # Where nothing was blacked out, an occluded image is the clean one.
    untouched = (kinds["occlusion"] != 0).all(axis=-1)
    assert 0.1 < untouched.mean() < 1
    np.testing.assert_array_equal(kinds["occlusion"][untouched], kinds["clean"][untouched])


def test_people_come_with_all_their_images_and_their_augmented_twins(shards):
    people = sample_people(shards, SIZE)
    number = PEOPLE * IMAGES
    assert people.faces.shape == (2 * number, SIZE, SIZE, 3)
    np.testing.assert_array_equal(people.labels[:number], np.repeat(np.arange(PEOPLE), IMAGES))
    np.testing.assert_array_equal(people.labels[number:], people.labels[:number])
    np.testing.assert_array_equal(people.augmented, np.arange(2 * number) >= number)
    assert (people.faces[:number] != people.faces[number:]).any(axis=(1, 2, 3)).all()


def test_the_words_say_which_confidence_falls_most(kinds):
    shown = draw_confidence_pictures("toy", model(sharpness), kinds)
    assert len(shown.pictures) == 4 and not shown.missing
    change = next(picture for picture in shown.pictures if "What each variation does" in picture.caption)
    # Only group 1 falls. Low resolution and blur take the contrast; an occlusion adds some.
    assert "sub-embedding 1 under" in change.alt and "occlusion" not in change.alt
    assert all(picture.wide and "toy" in picture.caption for picture in shown.pictures)


def test_fixed_confidences_are_said_and_not_drawn(kinds):
    fixed = model(lambda images: np.full((len(images), 2), 24.0, np.float32))
    shown = draw_confidence_pictures("cosface", fixed, kinds)
    assert shown.missing == ["The confidences of cosface are fixed at 24: nothing to draw."]
    assert shown.pictures == []


@pytest.mark.slow
def test_every_picture_of_two_models_under_every_variation(shards):
    fixed = model(lambda images: np.full((len(images), 2), 24.0, np.float32))
    # More images are asked for than there are: all of them are drawn, once clean and once under each.
    shown = draw_model_pictures({"cosface": fixed, "toy": model(sharpness)}, shards, 1000)
    assert [picture.caption.split(" of ")[0][:11] for picture in shown.pictures] == [
        "Confidences", "What each v", "Uncertainti", "The faces t", "Embeddings ",
    ]  # fmt: skip
    number = PEOPLE * IMAGES
    labels = [text.get_text() for text in shown.pictures[0].figure.legends[0].get_texts()]
    assert labels == [f"{kind} ({number})" for kind in ("clean", "blur", "occlusion", "pose", "resolution")]


@pytest.mark.parametrize("value", [np.inf, np.nan, -1.0])
def test_confidences_that_cannot_be_drawn_are_said(kinds, value):
    broken = model(lambda images: np.full((len(images), 2), value, np.float32))
    assert "not positive and finite" in draw_confidence_pictures("broken", broken, kinds).missing[0]


def test_the_projector_shows_the_same_people(shards, tmp_path):
    write_people_projector(tmp_path, model(sharpness), shards)
    lines = (tmp_path / "metadata.tsv").read_text().splitlines()
    assert lines[:2] == ["person\taugmented", "person 0\toriginal"] and lines[-1] == "person 2\taugmented"
    assert len(np.loadtxt(tmp_path / "tensors.tsv")) == len(lines) - 1 == 2 * PEOPLE * IMAGES


def test_baseline_beside_proposed(shards):
    (picture,) = draw_map_picture(
        {"baseline": model(sharpness), "proposed": model(sharpness)}, shards
    ).pictures
    assert picture.wide
    assert picture.alt == "A map for each of baseline, proposed: 48 images of 3 people."
    titles = [axes.get_title("left") for axes in picture.figure.axes if axes.get_visible()]
    assert titles == ["baseline", "proposed"]
