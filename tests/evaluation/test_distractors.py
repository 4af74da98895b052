"""TinyFace and MegaFace in miniature, worked out by hand: ranks among distractors, mAP, ties."""

import json

import numpy as np
import pytest

from urfr_tf.errors import UrfrError
from urfr_tf.evaluation import distractors as module
from urfr_tf.evaluation.measurement import plan_measurement
from urfr_tf.evaluation.request import EvaluationRequest
from urfr_tf.protocols.table import open_protocol

TINY = {
    "Probe/1_3.jpg": 10,
    "Probe/2_9.jpg": 80,
    "Probe/10_1.jpg": None,
    "Gallery_Match/1_1.jpg": 0,
    "Gallery_Match/1_2.jpg": 40,
    "Gallery_Match/2_1.jpg": 100,
    "Gallery_Match/10_2.jpg": 200,
    "Gallery_Distractor/a.jpg": 30,
    "Gallery_Distractor/2_1.jpg": 60,  # a distractor's name says nothing about who it is
}


@pytest.fixture
def tinyface(tmp_path):
    for name in TINY:
        (tmp_path / "Testing_Set" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "Testing_Set" / name).write_bytes(b"")
    return tmp_path


def test_tinyface_by_hand(tinyface, placed):
    protocol = open_protocol("tinyface", str(tinyface))
    result = plan_measurement(protocol, EvaluationRequest()).measure(placed(protocol, TINY))
    # Probe 1 at 10: 0 (10 away, mate), a at 30 (20), 40 (30, mate): rank 1, precision (1/1 + 2/3) / 2 = 5/6.
    # Probe 2 at 80: 100 is 20 away, and so is the distractor at 60: the tie counts against it: rank 2, 1/2.
    # Probe 10 was not found: last of 6, 1/6.
    assert result.metrics["rank1"] == pytest.approx(1 / 3)
    assert result.metrics["rank5"] == pytest.approx(2 / 3)
    assert "rank20" not in result.metrics  # the gallery has 6 entries
    assert result.metrics["map"] == pytest.approx((5 / 6 + 1 / 2 + 1 / 6) / 3)
    assert result.counts["distractors"] == 2 and result.counts["gallery"] == 6


def test_tinyface_bad_input_is_a_sentence(tinyface):
    (tinyface / "Testing_Set" / "Probe" / "who.jpg").write_bytes(b"")
    with pytest.raises(UrfrError, match=r"expected names ID_n.jpg in .*Probe, but got 'who.jpg'"):
        open_protocol("tinyface", str(tinyface))
    for file in (tinyface / "Testing_Set" / "Gallery_Distractor").iterdir():
        file.unlink()
    (tinyface / "Testing_Set" / "Probe" / "who.jpg").unlink()
    with pytest.raises(UrfrError, match=r"expected images in .*Gallery_Distractor"):
        open_protocol("tinyface", str(tinyface))
    with pytest.raises(UrfrError, match="expected TinyFace's Probe"):
        open_protocol("tinyface", str(tinyface / "Testing_Set" / "Probe"))


MEGA = {"A/1.png": 0, "A/2.png": 20, "A/3.png": 90, "B/1.png": 200, "B/2.png": 215, "C/1.png": 300}
FLICKR = {"x/1.jpg": 50, "x/2.jpg": 210}


@pytest.fixture
def mega(tmp_path):
    lists = tmp_path / "devkit" / "templatelists"
    lists.mkdir(parents=True)
    content = {"path": list(MEGA), "id": [name[0] for name in MEGA]}
    (lists / "facescrub_features_list.json").write_text(json.dumps(content))
    (lists / "megaface_features_list.json_2_1").write_text(json.dumps({"path": list(FLICKR)}))
    (lists / "megaface_features_list.json_1_1").write_text(json.dumps({"path": ["x/1.jpg"]}))
    return tmp_path


ANGLES = {
    **{f"facescrub_images/{name}": angle for name, angle in MEGA.items()},
    **{f"megaface_images/{name}": angle for name, angle in FLICKR.items()},
}


@pytest.mark.parametrize("at_once", [1, 1 << 20], ids=["row by row", "at once"])
def test_megaface_by_hand(mega, placed, monkeypatch, at_once):
    monkeypatch.setattr(module, "_SCORES_AT_ONCE", at_once)
    protocol = open_protocol("megaface", str(mega))
    result = plan_measurement(protocol, EvaluationRequest(fars=(0.5, 0.25), thin_far=True)).measure(
        placed(protocol, ANGLES)
    )
    # Distractors at 50 and 210. Searches of A: 0 -> 20: first (50 is farther); 0 -> 90: 50 is before: 2nd.
    # 20 -> 0: first; 20 -> 90: 2nd. 90 -> 0, 90 -> 20: 50 (40 away) before both: 2nd. B: 200 -> 215: 15 away,
    # 210 is 10 away: 2nd. 215 -> 200: 15, 210 is 5: 2nd. So 2 of 8 first, all within 10.
    assert result.metrics["rank1"] == 0.25 and result.metrics["rank10"] == 1
    # Genuine: cos 20, cos 90, cos 70, cos 15. Impostors: 12; by distance: 215-210 5, 200-210 10, 20-50 30,
    # 90-50 40, 0-50 50, 300-210 90 (6th), 300-50 110 ... FAR 1/2: the 6th, cos 90 = 0. FAR 1/4: the 3rd,
    # cos 30: 20 and 15 pass.
    assert result.metrics["tar@far=2.5e-1"] == 0.5
    assert result.metrics["tar@far=5e-1"] in (0.75, 1)  # cos 90 against cos 90: rounding decides
    assert result.counts == {
        "images": 8,
        "images_not_found": 0,
        "probes": 6,
        "searches": 8,
        "genuine": 4,
        "impostors": 12,
        "distractors": 2,
    }


def test_megaface_thin_and_lost_images(mega, placed):
    protocol = open_protocol("megaface", str(mega))
    result = plan_measurement(protocol, EvaluationRequest()).measure(
        placed(protocol, {**ANGLES, "facescrub_images/A/1.png": None})
    )
    # A1 is not found: as probe and as mate it comes after both distractors: rank 3. First: none of A's
    # (20 -> 90 is 2nd), none of B's.
    assert result.metrics == {"rank1": 0, "rank10": 1}
    assert set(result.refused) == {"tar@far=1e-4", "tar@far=1e-5", "tar@far=1e-6"}
    with pytest.raises(UrfrError, match=r"a FAR of 0\.1 needs .* impostor pairs, but there are 12;"):
        plan_measurement(protocol, EvaluationRequest(fars=(0.1,))).measure(placed(protocol, ANGLES))


def test_the_largest_scores_are_kept_over_blocks():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(40, 25)).round(1).astype(np.float32)
    largest = np.empty(0, np.float32)
    for start in range(0, 40, 7):
        largest = module.keep_largest(largest, scores[start : start + 7], 60)
    np.testing.assert_array_equal(np.sort(largest), np.sort(scores.ravel())[-60:])


@pytest.mark.parametrize(
    "content, sentence",
    [
        ({"path": ["A/1.png"], "id": []}, 'expected an "id" for each path'),
        ({"path": ["A/1.png"], "id": ["A"]}, "a person with two images"),
        ({"path": ["../../etc/passwd"], "id": ["A"]}, "name '../../etc/passwd'"),
        ({"paths": []}, 'expected a list "path"'),
        ([], 'expected a list "path"'),
    ],
)
def test_megaface_bad_lists_are_sentences(mega, content, sentence):
    (mega / "devkit" / "templatelists" / "facescrub_features_list.json").write_text(json.dumps(content))
    with pytest.raises(UrfrError, match=sentence):
        open_protocol("megaface", str(mega))


def test_megaface_missing_lists_are_sentences(mega, tmp_path_factory):
    with pytest.raises(UrfrError, match="devkit/templatelists"):
        open_protocol("megaface", str(tmp_path_factory.mktemp("empty")))
    for size in (1, 2):
        (mega / "devkit" / "templatelists" / f"megaface_features_list.json_{size}_1").unlink()
    with pytest.raises(UrfrError, match="found none"):
        open_protocol("megaface", str(mega))
