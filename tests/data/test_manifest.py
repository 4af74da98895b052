import json

import numpy as np
import pytest

from urfr_tf.data.manifest import load_manifest
from urfr_tf.errors import UrfrError

SHARDS = [("train-00000-of-00002.tfrecord", 3, 70), ("train-00001-of-00002.tfrecord", 2, 50)]
NAMES = ["Ann\x85Lee", "名前", "b\udcff"]


def write_folder(folder, **changes):
    """A manifest as `urfr prepare` writes it over shards of the right sizes, with some values changed."""
    for name, _, size in SHARDS:
        (folder / name).write_bytes(bytes(size))
    content = {
        "format": "urfr-shards/1",
        "images": 5,
        "classes": 3,
        "image_size": 112,
        "align": "none",
        "template": None,
        "source": {"kind": "folder", "path": "/faces"},
        "shards": [{"file": n, "records": r, "bytes": b, "sha256": ""} for n, r, b in SHARDS],
        "refused": {},
        "versions": {},
        **changes,
    }
    (folder / "manifest.json").write_text(json.dumps(content))
    lines = "".join(
        f"{i}\t{name}\t{count}\n" for i, (name, count) in enumerate(zip(NAMES, (2, 2, 1), strict=True))
    )
    (folder / "classes.tsv").write_bytes(lines.encode("utf-8", "surrogateescape"))
    return folder


def test_reads_what_was_written(tmp_path):
    manifest = load_manifest(write_folder(tmp_path))
    assert (manifest.images, manifest.classes, manifest.image_size) == (5, 3, 112)
    assert manifest.shard_paths == [tmp_path / name for name, _, _ in SHARDS]
    np.testing.assert_array_equal(manifest.shard_records, [3, 2])
    np.testing.assert_array_equal(manifest.counts, [2, 2, 1])
    assert manifest.counts.dtype == manifest.shard_records.dtype == np.int64
    assert manifest.identities == NAMES
    assert manifest.raw["source"]["kind"] == "folder"


def shard(**changes):
    name, records, size = SHARDS[0]
    first = {"file": name, "records": records, "bytes": size, "sha256": "", **changes}
    name, records, size = SHARDS[1]
    return {"shards": [first, {"file": name, "records": records, "bytes": size, "sha256": ""}]}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"format": "other/2"}, "expected the format 'urfr-shards/1' in .* but got 'other/2'"),
        ({"images": "5"}, "whole number of at least 1 as 'images' .* got '5'"),
        ({"images": True}, "as 'images' .* got True"),
        ({"classes": 0}, "as 'classes' .* got 0"),
        ({"image_size": 10**30}, "as 'image_size'"),
        ({"images": 6}, "expected 6 records in the shards of .* add up to 5"),
        ({"classes": 2}, "expected 2 lines in .*classes.tsv, but got 3"),
        ({"shards": []}, "expected a list of shards"),
        ({"shards": ["a"]}, "expected a list of shards"),
        (shard(file="../outside.tfrecord"), "plain name of a .tfrecord file"),
        (shard(file="/etc/passwd"), "plain name of a .tfrecord file"),
        (shard(file=None), "plain name of a .tfrecord file"),
        (shard(file="train-00009-of-00002.tfrecord"), "could not read .*00009.* No such file"),
        (shard(file=SHARDS[1][0], bytes=50), "one is listed twice"),
        (shard(bytes=71), "expected 71 bytes in .*00000.* but it has 70: it is damaged"),
        (shard(records=-1), "at least 0 as 'records' .* got -1"),
    ],
)
def test_a_mangled_manifest_is_refused_in_a_sentence(tmp_path, changes, sentence):
    with pytest.raises(UrfrError, match=sentence):
        load_manifest(write_folder(tmp_path, **changes))


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ("0\ta\t2\n2\tb\t2\n1\tc\t1\n", "in line 2 of .* got '2.tb.t2'"),
        ("0\ta\t2\n1\tb\t2\n2\tc\n", "in line 3 of"),
        ("0\ta\t2\n1\tb\t2\n2\tc\t-1\n", "in line 3 of"),
        ("0\ta\t2\n1\tb\t2\n2\tc\t2\n", "expected 5 images in .* add up to 6"),
    ],
)
def test_mangled_classes_are_refused_in_a_sentence(tmp_path, lines, sentence):
    write_folder(tmp_path)
    (tmp_path / "classes.tsv").write_text(lines)
    with pytest.raises(UrfrError, match=sentence):
        load_manifest(tmp_path)


def test_missing_files_are_named(tmp_path):
    with pytest.raises(UrfrError, match=r"with manifest.json, but .* has none"):
        load_manifest(tmp_path)
    with pytest.raises(UrfrError, match=r"with manifest\.json"):
        load_manifest(tmp_path / "nowhere")
    write_folder(tmp_path)
    (tmp_path / "classes.tsv").unlink()
    with pytest.raises(UrfrError, match=r"could not read .*classes.tsv"):
        load_manifest(tmp_path)
    (tmp_path / "manifest.json").write_text('{"format": ')
    with pytest.raises(UrfrError, match=r"expected JSON in .*manifest.json"):
        load_manifest(tmp_path)
    (tmp_path / "manifest.json").write_text("[1]")
    with pytest.raises(UrfrError, match="but got 'list'"):
        load_manifest(tmp_path)


@pytest.mark.parametrize("target", ["../private.tfrecord", "/dev/zero"])
def test_a_shard_that_is_a_link_out_of_the_folder(tmp_path, target):
    (tmp_path / "private.tfrecord").write_bytes(bytes(70))
    (tmp_path / "shards").mkdir()
    folder = write_folder(tmp_path / "shards")
    (folder / SHARDS[0][0]).unlink()
    (folder / SHARDS[0][0]).symlink_to(target)
    with pytest.raises(UrfrError, match=f"{SHARDS[0][0]}.*it is a link to"):
        load_manifest(folder)


def test_a_linked_folder_of_shards(tmp_path):
    (tmp_path / "shards").mkdir()
    write_folder(tmp_path / "shards")
    (tmp_path / "elsewhere").symlink_to("shards")
    assert load_manifest(tmp_path / "elsewhere").images == 5
