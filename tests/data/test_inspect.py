"""`urfr inspect`: numbers, checksums, the contact sheet."""

import json

import cv2
import numpy as np
import pytest
from made_up import encoded, people_folder, picture

from urfr_tf.cli import main
from urfr_tf.data.images import decode_image
from urfr_tf.data.inspection import check_shards, histogram, sample, summary
from urfr_tf.data.manifest import load_manifest
from urfr_tf.errors import UrfrError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Four people with 1, 3, 3 and 4 images, one file refused."""
    root = tmp_path_factory.mktemp("inspect")
    faces = people_folder(root / "faces", people=4, images=3)
    for name in ("1.png", "2.png"):
        (faces / "person_0" / name).unlink()
    (faces / "person_3" / "more.png").write_bytes(encoded(picture(77)))
    (faces / "person_3" / "zero.png").touch()
    (faces / "person_2").rename(faces / "李明 $x_1$")
    assert (
        main(
            ["prepare", "--source", "folder", "--path", str(faces), "--out", str(root / "s"), "--size", "32"]
        )
        == 0
    )
    return root / "s"


def test_numbers(folder):
    numbers = summary(load_manifest(folder))
    assert numbers["images"] == 11 and numbers["people"] == 4 and numbers["image_size"] == 32
    assert numbers["bytes"] == sum(path.stat().st_size for path in folder.glob("*.tfrecord"))
    assert numbers["images_per_person"] == {
        "min": 1,
        "median": 3.0,
        "mean": 2.75,
        "max": 4,
        "people_with_one": 1,
        "histogram": [
            {"from": 1, "to": 1, "people": 1},
            {"from": 2, "to": 2, "people": 0},
            {"from": 3, "to": 3, "people": 2},
            {"from": 4, "to": 4, "people": 1},
        ],
    }
    assert numbers["refused"] == {"empty file": 1}


def test_long_tails_are_counted_in_doubling_bins():
    """1, 2, 3-4, 5-8, 9-16, 17-32: the numbers 1, 2, 3, 4, 5, 8, 9, 30 fall into them by hand."""
    rows = histogram(np.array([1, 2, 3, 4, 5, 8, 9, 30]))
    assert [(r["from"], r["to"], r["people"]) for r in rows] == [
        (1, 1, 1),
        (2, 2, 1),
        (3, 4, 2),
        (5, 8, 2),
        (9, 16, 1),
        (17, 32, 1),
    ]
    assert sum(r["people"] for r in histogram(np.arange(5, 5000))) == 4995


def test_the_command_prints_and_draws(folder, tmp_path, capsys):
    out = tmp_path / "sheet.png"
    assert main(["inspect", str(folder), "--out", str(out), "--images", "3"]) == 0
    said = capsys.readouterr().out
    assert "11 images of 4 people, 32 x 32" in said and "every checksum right" in said
    assert "refused: 1 empty file" in said and str(out) in said
    sheet = decode_image(out.read_bytes())
    assert min(sheet.shape[:2]) > 400
    # The third row of tiles differs from column to column: original and five augmented versions.
    assert main(["inspect", str(folder), "--json", "--images", "2"]) == 0
    numbers = json.loads(capsys.readouterr().out)
    assert numbers["images"] == 11 and numbers["contact_sheet"] == str(folder / "contact_sheet.png")
    assert (folder / "contact_sheet.png").exists()
    assert main(["inspect", str(folder), "--images", "0"]) == 1
    assert main(["inspect", str(tmp_path)]) == 1
    assert "manifest.json" in capsys.readouterr().err


def test_the_sheet_shows_every_original_and_what_was_done_to_it(folder):
    from urfr_tf.augment.choose import VARIATIONS
    from urfr_tf.visualize.shard_sheet import augment_sample, draw_shard_sheet

    manifest = load_manifest(folder)
    some = sample(manifest, 4)
    assert some.images.shape == (4, 32, 32, 3) and some.images.dtype == np.uint8
    assert all(
        source.startswith(identity) for source, identity in zip(some.sources, some.identities, strict=True)
    )
    columns = augment_sample(some, seed=1)
    assert [title for title, _, _ in columns] == [*VARIATIONS, "as in training"]
    for title, images, labels in columns[:-1]:
        assert labels == [title] * 4
        assert (np.abs(images - some.images).max(axis=(1, 2, 3)) > 8).all(), "every image was changed"
    for image, label, original in zip(columns[-1][1], columns[-1][2], some.images, strict=True):
        assert (label == "none") == np.array_equal(image, original)
    png = draw_shard_sheet(some, columns, summary(manifest))
    # The first original is on the sheet, drawn 32 -> about 150 pixels wide: found by correlation.
    sheet = cv2.cvtColor(decode_image(png), cv2.COLOR_RGB2GRAY)
    best = max(
        cv2.matchTemplate(
            sheet, cv2.cvtColor(cv2.resize(some.images[0], (w, w), interpolation=cv2.INTER_NEAREST), 7), 5
        ).max()
        for w in range(100, 190, 2)
    )
    assert best > 0.9


def test_a_changed_shard_is_named(prepared, tmp_path):
    people_folder(tmp_path / "faces")
    folder, _ = prepared("folder", tmp_path / "faces", shards=2)
    path = max(folder.glob("*.tfrecord"), key=lambda p: p.stat().st_size)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(UrfrError, match=f"{path.name}.*was changed"):
        check_shards(load_manifest(folder))
    with pytest.raises(UrfrError, match="readable records"):
        sample(load_manifest(folder), 100)
    assert main(["inspect", str(folder)]) == 1
