"""Whether the check of an import finds the right order of channels and range of pixels."""

import itertools

import numpy as np
import pytest

from urfr_tf import keys
from urfr_tf.embedding import import_check
from urfr_tf.embedding.import_check import check_import, choose_people, disguise, separate
from urfr_tf.errors import UrfrError
from urfr_tf.foreign_weights.pixels import PIXELS
from urfr_tf.models.pixels import ZERO_PIXELS
from urfr_tf.runs.embedder import Embedder
from urfr_tf.runs.import_weights import find_zero_pixel

PEOPLE, EACH, SIZE = 10, 3, 8
SETTINGS = list(itertools.product(("rgb", "bgr"), PIXELS))


def seen_by(channels, pixels, images):
    """What the network in the file gets of images [N, S, S, 3], in its own order of channels."""
    scale, offset = PIXELS[pixels].network_order(channels == "bgr")
    return (images[..., ::-1] if channels == "bgr" else images) * scale + offset


@pytest.mark.parametrize(("ours", "theirs"), itertools.product(SETTINGS, SETTINGS))
def test_a_disguised_pixel_is_what_the_other_import_sees(ours, theirs):
    images = np.random.default_rng(0).uniform(0, 255, (2, 3, 3, 3)).astype(np.float32)
    changed = disguise(images, (ours[0], PIXELS[ours[1]]), (theirs[0], PIXELS[theirs[1]]))
    scale = max(PIXELS[theirs[1]].scale)
    np.testing.assert_allclose(seen_by(*ours, changed), seen_by(*theirs, images), atol=1e-3 * scale)


def test_separation_by_hand():
    """Pairs of one person: .9, .5; of two: .5, .1, .3, .1. Of the 8 comparisons 7 are won and 1 is a tie."""
    cosines = np.ones((4, 4))
    for a, b, cosine in ((0, 1, 0.9), (2, 3, 0.5), (0, 2, 0.5), (0, 3, 0.1), (1, 2, 0.3), (1, 3, 0.1)):
        cosines[a, b] = cosines[b, a] = cosine
    d_prime, auc = separate(cosines, np.array([0, 0, 1, 1]))
    assert auc == pytest.approx(7.5 / 8)
    spread = np.sqrt((np.var([0.9, 0.5]) + np.var([0.5, 0.1, 0.3, 0.1])) / 2)
    assert d_prime == pytest.approx((0.7 - 0.25) / spread)


def test_a_network_that_gives_one_embedding_separates_nobody():
    assert separate(np.ones((4, 4)), np.array([0, 0, 1, 1])) == (0.0, 0.5)


@pytest.fixture
def crops(monkeypatch):
    """People differ in how blue they are, from 10 to 100."""
    names = [f"p{number:02d}" for number in range(PEOPLE) for _ in range(EACH)]
    images = np.full((len(names), SIZE, SIZE, 3), 200, np.float32)
    images[..., 2] = 10.0 + 10.0 * np.arange(PEOPLE).repeat(EACH)[:, None, None]
    monkeypatch.setattr(import_check, "crop_people", lambda people, size: (images, names))
    return images


def imported(channels, pixels, network, pixels_from="option"):
    """The import of a network with these settings, and its facts."""
    facts = {
        "channels": channels,
        "pixels_from": pixels_from,
        "zero_pixel": find_zero_pixel(PIXELS[pixels], ""),
        "pixel_scale": list(PIXELS[pixels].scale),
    }
    assert ZERO_PIXELS[facts["zero_pixel"]] == PIXELS[pixels].zero

    def compute(images):
        return {keys.EMBEDDING: network(seen_by(channels, pixels, images))}

    return Embedder("run", "run", SIZE, 1, PEOPLE + 1, "", compute), facts


def takes_blue_first_to_one(seen):
    """Knows people by how blue they are, if blue comes first and in 0..1."""
    blue = seen[..., 0].mean((1, 2)) * 255
    person = np.where((blue > 5) & (blue < 105), np.round(blue / 10), 0).astype(int)
    vectors = np.eye(PEOPLE + 1)[person]
    vectors += np.random.default_rng(len(seen)).normal(0, 0.1, vectors.shape)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def check(model, facts):
    return check_import(model, facts, import_check.People("people", [], []))


def test_the_right_import_passes(crops):
    result = check(*imported("bgr", "0..1", takes_blue_first_to_one))
    assert (result["passed"], result["better"], result["people"], result["photographs"]) == (
        True,
        None,
        10,
        30,
    )
    assert result["as_imported"]["auc"] == 1
    assert [(one["channels"], one["pixels"]) for one in result["others"]] == [
        *(("bgr", pixels) for pixels in ("centered", "imagenet", "0..255")),
        *(("rgb", pixels) for pixels in ("0..1", "centered", "imagenet", "0..255")),
    ]
    assert result["verdict"].endswith("tells these people apart; no other setting does clearly better")


@pytest.mark.parametrize("setting", [one for one in SETTINGS if one != ("bgr", "0..1")])
def test_the_right_options_are_named(crops, setting):
    result = check(*imported(*setting, takes_blue_first_to_one))
    better = result["better"]
    assert (result["passed"], better["channels"], better["pixels"]) == (False, "bgr", "0..1")
    options = "--channels bgr" + (" --pixels 0..1" if setting[1] != "0..1" else "")
    assert f"is garbage; {options} does clearly better (d' " in result["verdict"]


def test_no_setting_helps_a_network_of_something_else(crops):
    random = np.random.default_rng(5)

    def noise(seen):
        vectors = random.normal(size=(len(seen), 64))
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    result = check(*imported("rgb", "centered", noise))
    assert (result["passed"], result["better"]) == (False, None)
    assert "nor does any other setting: this may be no network of faces" in result["verdict"]


def test_numbers_that_are_not_finite_separate_nobody(crops):
    result = check(*imported("rgb", "centered", lambda seen: np.full((len(seen), 4), np.nan)))
    assert (result["passed"], result["as_imported"]["auc"]) == (False, 0.5)


def test_pixels_that_the_file_holds_are_no_choice(crops):
    result = check(*imported("rgb", "0..1", takes_blue_first_to_one, "file"))
    assert [(one["channels"], one["pixels"]) for one in result["others"]] == [("bgr", "0..1")]


def test_gray_photographs_leave_the_order_open(crops):
    crops[:] = crops[..., 2:]
    result = check(*imported("rgb", "0..1", takes_blue_first_to_one))
    assert (result["passed"], result["colored"]) == (True, False)
    assert {one["channels"] for one in result["others"]} == {"rgb"}
    assert result["verdict"].endswith("these photographs are gray and cannot tell the order of channels")


def test_people_are_few_and_spread(tmp_path):
    for number in range(50):
        files = 1 if number % 2 else 9 + number
        (tmp_path / f"p{number:02d}").mkdir()
        for file in range(files):
            (tmp_path / f"p{number:02d}" / f"{file:02d}.jpg").write_bytes(b"")
    people = choose_people(str(tmp_path))
    names = sorted(set(people.names))
    assert (len(names), len(people.paths), names[0], names[-1]) == (20, 160, "p00", "p48")
    assert people.paths[:2] == [str(tmp_path / "p00" / name) for name in ("00.jpg", "01.jpg")]


def test_too_few_people(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.jpg").write_bytes(b"")
    with pytest.raises(
        UrfrError, match="at least 5 people with 2 photographs or more .* but 0 of the 2 folders"
    ):
        choose_people(str(tmp_path))


def test_too_few_faces(monkeypatch):
    photographs = [import_check.Photograph(f"{n}.jpg", None, "no face: MTCNN found none") for n in range(4)]
    monkeypatch.setattr(import_check, "crop_photographs", lambda paths, settings: photographs)
    people = import_check.People("people", [one.path for one in photographs], list("aabb"))
    with pytest.raises(
        UrfrError, match="there are 0 among the 4 files looked at; .* no face: MTCNN found none"
    ):
        import_check.crop_people(people, 112)
