"""CelebA's published layout, in miniature."""

import cv2
import numpy as np
import pytest

from urfr_tf.cli import main
from urfr_tf.data.manifest import load_manifest
from urfr_tf.data.sources import open_source
from urfr_tf.errors import UrfrError
from urfr_tf.training.mine import write_known_labels


@pytest.fixture()
def celeba(tmp_path):
    folder = tmp_path / "CelebA"
    (folder / "img_align_celeba").mkdir(parents=True)
    random = np.random.default_rng(0)
    for i in range(1, 5):
        image = random.integers(0, 255, [218, 178, 3], np.uint8)
        cv2.imwrite(str(folder / "img_align_celeba" / f"00000{i}.jpg"), image)
    (folder / "identity_CelebA.txt").write_text("000001.jpg 7\n000002.jpg 12\n000003.jpg 7\n000004.jpg 12\n")
    (folder / "list_attr_celeba.txt").write_text(
        "4\nMale Young\n000001.jpg 1 1\n000002.jpg -1 1\n000003.jpg 1 -1\n000004.jpg -1 1\n"
    )
    return folder


def test_people_and_their_attributes(celeba, tmp_path):
    out = tmp_path / "shards"
    assert (
        main(["prepare", "--source", "celeba", "--path", str(celeba), "--out", str(out), "--size", "64"]) == 0
    )
    manifest = load_manifest(out)
    assert manifest.identities == ["7", "12"]
    np.testing.assert_array_equal(manifest.counts, [2, 2])
    summary = write_known_labels(str(celeba / "list_attr_celeba.txt"), str(out))
    assert summary["Male"]["mean"] == 0.5  # two of four
    assert summary["Young"]["mean"] == 0.75  # three of four


def test_lines_that_lead_elsewhere_are_refused(celeba):
    (celeba / "identity_CelebA.txt").write_text("../secret.jpg 7\n000001.jpg 7\nnonsense\n")
    source = open_source("celeba", str(celeba))
    assert source.survey() == {"7": 1}
    items = list(source.items({"7"}))
    assert [item.key for item in items if item.problem is None] == ["000001.jpg"]
    assert len([item for item in items if item.problem is not None]) == 2


def test_no_list(tmp_path):
    with pytest.raises(UrfrError, match="identity_CelebA"):
        open_source("celeba", str(tmp_path)).survey()
