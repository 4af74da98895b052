"""The made TinyFace- and IJB-S-like sets, read back by the protocols that they are made for."""

import cv2
import numpy as np
import pytest

from experiments.reproduce.surveillance import LOST, Face, frame_plan, write_ijbs, write_tinyface
from urfr_tf.errors import UrfrError
from urfr_tf.protocols.ijbs import open_ijbs
from urfr_tf.protocols.tinyface import open_tinyface

UNKNOWN = np.full(10, -1, np.float32)


@pytest.fixture(scope="module")
def people():
    """Eight, with 1, 2, 3, 3, 4, 5, 6 and 8 smooth images of 32 pixels."""
    random = np.random.default_rng(0)

    def face(person, number):
        small = random.uniform(0, 255, [4, 4, 3])
        image = np.clip(cv2.resize(small, (32, 32), interpolation=cv2.INTER_CUBIC), 0, 255)
        return Face(f"p{person}/{number}", image.astype(np.uint8), UNKNOWN)

    return {f"p{p}": [face(p, n) for n in range(count)] for p, count in enumerate((1, 2, 3, 3, 4, 5, 6, 8))}


@pytest.fixture(scope="module")
def ijbs(people, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ijbs")
    write_ijbs(people, folder, seed=0)
    return folder


def test_tinyface_has_one_enrolled_two_searched_and_distractors(people, tmp_path):
    counts = write_tinyface(people, tmp_path, 16)
    # Seven people have several images: one enrolled each; probes 1 + 2 * 6; one person is a distractor.
    assert counts == {"Probe": 13, "Gallery_Match": 7, "Gallery_Distractor": 1}
    protocol = open_tinyface(str(tmp_path))
    assert protocol.images.count == 21
    assert protocol.facts["distractors"] == 1
    (task,) = protocol.splits[0].identifications
    assert set(protocol.subject[task.probes]) == {str(n) for n in range(2, 9)}
    image = cv2.imread(str(tmp_path / "Testing_Set/Probe/2_2.png"))
    assert image.shape == (16, 16, 3)


def test_ijbs_searches_videos_in_two_galleries(ijbs):
    protocol = open_ijbs(str(ijbs))
    single, booking, _ = protocol.splits[0].identifications
    # Six people have three images or more; of 3, 3, 4, 5, 6 and 8 images 2, 2, 2, 2, 3 and 4 are booked, and
    # the next three at most are videos: 1, 1, 2, 3, 3 and 3. Not enrolled: 1 video of the first person, 2 of
    # the second.
    assert [len(gallery) for gallery in single.galleries] == [3, 3]
    assert len(single.probes) == 1 + 1 + 2 + 3 + 3 + 3 + 1 + 2
    people_of = [set(protocol.subject[gallery]) for gallery in booking.galleries]
    assert people_of[0] | people_of[1] == {"3", "4", "5", "6", "7", "8"}
    assert not people_of[0] & people_of[1]
    images = np.bincount(protocol.template, minlength=len(protocol.subject))
    assert sorted(np.concatenate([images[g] for g in booking.galleries])) == [2, 2, 2, 2, 3, 4]
    assert set(images[single.probes]) == {4}
    assert protocol.facts["templates_without_images"] == 0


def test_no_searched_frame_is_of_an_enrolled_image(people, ijbs):
    # Person 8: images 0 to 3 booked, videos of 4, 5 and 6 in this order; each frame is nearest to its own
    # image.
    folder = ijbs / "images/8"
    videos = sorted({int(path.name.split("_")[1]) for path in folder.glob("videos_*")})
    colours = np.stack([face.image.astype(np.float32).mean(axis=(0, 1)) for face in people["p7"]])
    for video, expected in zip(videos, (4, 5, 6, 0), strict=True):
        frames = [cv2.imread(str(path))[..., ::-1] for path in sorted(folder.glob(f"videos_{video}_*"))]
        assert len(frames) == 4
        # Compare where nothing was blacked out, by mean colour of what is left.
        left = [frame[frame.sum(axis=-1) > 0].mean(axis=0) for frame in frames]
        nearest = np.bincount([int(((colours - colour) ** 2).sum(axis=1).argmin()) for colour in left])
        assert nearest.argmax() == expected


def test_frames_depend_on_seed_and_name_alone(people, ijbs, tmp_path):
    write_ijbs(dict(people), tmp_path, seed=0)
    for path in sorted(ijbs.rglob("*.*")):
        assert (tmp_path / path.relative_to(ijbs)).read_bytes() == path.read_bytes()
    plans = [frame_plan(seed, "videos_1_000000")["resolution"] for seed in range(8)]
    assert len(set(plans)) > 1


def test_plans_keep_their_ranges_and_probabilities():
    plans = [frame_plan(0, f"videos_{n}_000000") for n in range(2000)]
    assert {int(plan["resolution"]) for plan in plans} == set(range(16, 41))
    for name in ("blur", "rectangle", "yaw"):
        # 2,000 draws of probability 0.4: five standard deviations are 5 sqrt(0.4 * 0.6 / 2000) = 0.055.
        assert abs(np.mean([name in plan for plan in plans]) - 0.4) < 0.055
    yaws = np.abs([plan["yaw"] for plan in plans if "yaw" in plan])
    assert yaws.min() >= 15
    assert yaws.max() <= 45


def test_half_of_the_frames_are_lost_and_the_others_stay():
    names = [f"videos_{n}_000000" for n in range(2000)]
    plans, intact = [frame_plan(0, name, LOST) for name in names], [frame_plan(0, name) for name in names]
    lost = [int(plan["resolution"]) for plan in plans if plan["resolution"] < 16]
    assert set(lost) == {4, 5, 6}
    # 2,000 draws of probability 0.5: five standard deviations are 5 * 0.5 / sqrt(2000) = 0.056.
    assert abs(len(lost) / len(names) - 0.5) < 0.056
    for plan, same in zip(plans, intact, strict=True):
        if plan["resolution"] >= 16:
            assert str(plan) == str(same)
        else:
            assert set(plan) == {"resolution"}


def test_too_few_people_are_refused_in_a_sentence(people, tmp_path):
    with pytest.raises(UrfrError, match="four tested people with three images"):
        write_ijbs({"p1": people["p1"]}, tmp_path, 0)
    with pytest.raises(UrfrError, match="with one image and with several"):
        write_tinyface({"p1": people["p1"]}, tmp_path, 16)
