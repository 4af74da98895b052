"""CFP's layout, and five points from its thirty."""

import tarfile

import numpy as np
import pytest
from made_up import encoded, picture
from paths import SHARED

from urfr_tf.data.sources import cfp
from urfr_tf.errors import UrfrError

REAL = SHARED / "data" / "cfp_dev.tar"


def half_face(tilt=0.0, mirrored=False):
    """Thirty points of a frontal face whose middle is the line x = 0, turned by `tilt`, and its five
    points.
    """
    thirty = np.zeros([30, 2])
    thirty[:9] = np.column_stack([np.linspace(-70, 0, 9), np.linspace(0, 100, 9)])
    thirty[12:18] = np.array([-32, -2]) + [[-6, 0], [-2, -2], [2, -2], [6, 0], [-2, 2], [2, 2]]
    thirty[18:23] = np.column_stack([np.zeros(5), [0, 10, 20, 30, 38]])
    thirty[24] = -12, 36
    thirty[25] = -25, 60
    thirty[26:30] = np.column_stack([np.zeros(4), [52, 55, 66, 60]])
    five = np.array([[-32, -2], [32, -2], [0, 30], [-25, 60], [25, 60]], float)
    turn = np.array([[np.cos(tilt), np.sin(tilt)], [-np.sin(tilt), np.cos(tilt)]])
    thirty, five = thirty @ turn + 200, five @ turn + 200
    if mirrored:
        thirty = thirty * [-1, 1] + [400, 0]
        five = five[[1, 0, 2, 4, 3]] * [-1, 1] + [400, 0]
    return thirty, five


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("tilt", [-0.5, 0.0, 0.3])
def test_a_frontal_half_is_mirrored_in_the_middle_line(tilt, mirrored):
    thirty, five = half_face(tilt, mirrored)
    np.testing.assert_allclose(cfp.five_points(thirty, profile=False), five, atol=1e-9)


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_profile_ends_at_the_bridge_and_at_the_lips(mirrored):
    """Eye (-32, -2), bridge (0, 0): 1.2 of the way is (6.4, 0.4). Corner (-25, 60), lips (0, 59).

    (2.5, 58.9).
    """
    thirty, _ = half_face(0.0, mirrored)
    expected = np.array([[-32, -2], [6.4, 0.4], [0, 30], [-25, 60], [2.5, 58.9]]) + 200
    if mirrored:
        expected = expected[[1, 0, 2, 4, 3]] * [-1, 1] + [400, 0]
    np.testing.assert_allclose(cfp.five_points(thirty, profile=True), expected, atol=1e-9)


@pytest.fixture
def tree(tmp_path):
    """Two people with two frontal pictures and one profile each.

    One fiducial file is damaged, one missing.
    """
    thirty, _ = half_face()
    text = "\n".join(f"{x},{y}" for x, y in thirty)
    for person in ("001", "002"):
        for view, numbers in (("frontal", ("01", "02")), ("profile", ("01",))):
            for folder in ("Images", "Fiducials"):
                (tmp_path / "cfp" / "Data" / folder / person / view).mkdir(parents=True)
            for number in numbers:
                place = tmp_path / "cfp" / "Data"
                content = encoded(picture(int(person + number) + (view == "profile") * 50), ".png")
                (place / "Images" / person / view / f"{number}.jpg").write_bytes(content)
                (place / "Fiducials" / person / view / f"{number}.txt").write_text(text)
    fiducials = tmp_path / "cfp" / "Data" / "Fiducials"
    (fiducials / "001" / "frontal" / "02.txt").write_text("1,2\n3")
    (fiducials / "002" / "frontal" / "02.txt").unlink()
    return tmp_path / "cfp"


@pytest.mark.parametrize("kind", ["folder", "tar", "tar.gz"])
def test_images_come_with_the_points_that_can_be_read(tree, tmp_path, kind):
    path = tree
    if kind != "folder":
        path = tmp_path / f"cfp.{kind}"
        with tarfile.open(path, "w:gz" if kind.endswith("gz") else "w") as archive:
            archive.add(tree, "cfp")
    assert cfp.survey(str(path)) == {"001": 3, "002": 3}
    items = {item.key: item for item in cfp.items(str(path), {"001", "002"})}
    thirty, five = half_face()
    np.testing.assert_allclose(np.reshape(items["001/frontal/01.jpg"].points, [5, 2]), five)
    profile = cfp.five_points(thirty, profile=True)
    np.testing.assert_allclose(np.reshape(items["002/profile/01.jpg"].points, [5, 2]), profile)
    assert items["001/frontal/02.jpg"].points is None and items["002/frontal/02.jpg"].points is None
    assert {item.identity for item in cfp.items(str(path), {"002"})} == {"002"}


def test_another_layout_is_a_sentence(tmp_path):
    with pytest.raises(UrfrError, match="Data/Images"):
        cfp.survey(str(tmp_path))


def test_the_published_set():
    if not REAL.exists():
        pytest.skip(f"{REAL} is not there")
    assert cfp.survey(str(REAL)) == {f"{i:03d}": 14 for i in range(1, 251)}
    items = list(cfp.items(str(REAL), {"001", "250"}))
    assert len(items) == 28 and all(item.points is not None for item in items)
    for item in items:
        eyes, mouth = np.reshape(item.points, [5, 2])[:2], np.reshape(item.points, [5, 2])[3:]
        assert eyes[0, 0] < eyes[1, 0] and mouth[0, 0] < mouth[1, 0], "left first as seen in the image"
        assert eyes[:, 1].mean() < mouth[:, 1].mean()
