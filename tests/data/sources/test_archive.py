"""Tar archives as sources: never extracted, names that lead out refused, broken ones a sentence."""

import io
import os
import tarfile

import pytest
from made_up import encoded, picture, records_of

from urfr_tf.data.sources import lfw
from urfr_tf.data.sources.archive import files
from urfr_tf.data.sources.item import read_item
from urfr_tf.errors import UrfrError

MODES = {"plain": "w", "gz": "w:gz", "bz2": "w:bz2", "xz": "w:xz"}


def archive(path, members, mode="w", **options):
    """members: (name, content) or a TarInfo."""
    with tarfile.open(path, mode, **options) as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                tar.addfile(info, io.BytesIO(member[1]))
    return str(path)


def people(root="lfw"):
    for p, name in enumerate(("Ann_Lee", "Bob_Ray", "李_明")):
        for i in range(1, 4):
            yield f"{root}/{name}/{name}_{i:04d}.jpg", encoded(picture(10 * p + i), ".png")


@pytest.mark.parametrize("mode", MODES)
def test_members_are_read_where_they_are(tmp_path, mode):
    path = archive(tmp_path / "lfw.tar", people(), MODES[mode])
    items = {item.key: item for item in files(path, 10_000)}
    assert {key: read_item(item, 10_000) for key, item in items.items()} == dict(people())
    assert all((item.content is None) == (mode == "plain") for item in items.values())


@pytest.mark.parametrize("mode", MODES)
def test_attacks_are_refused_and_named(tmp_path, mode):
    def special(name, kind, target=""):
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, target
        return info

    path = archive(
        tmp_path / "evil.tar",
        [
            ("lfw/Ann/Ann_0001.jpg", b"good"),
            ("../../outside/x.jpg", b"bad"),
            ("/etc/passwd/x.jpg", b"bad"),
            ("lfw/../../Ann/x.jpg", b"bad"),
            ("lfw/" + "x" * 5000 + "/x.jpg", b"bad"),
            special("lfw/Ann/link.jpg", tarfile.SYMTYPE, "/etc/passwd"),
            special("lfw/Ann/hard.jpg", tarfile.LNKTYPE, "lfw/Ann/Ann_0001.jpg"),
            special("lfw/Ann/device.jpg", tarfile.CHRTYPE),
            special("lfw/Ann/pipe.jpg", tarfile.FIFOTYPE),
            special("lfw/Ann", tarfile.DIRTYPE),
            ("lfw/Ann/large.jpg", bytes(20_000)),
        ],
        MODES[mode],
    )
    problems = {item.key[:20]: item.problem.reason for item in files(path, 10_000) if item.problem}
    expected = {
        "../../outside/x.jpg": "outside of the source",
        "/etc/passwd/x.jpg": "outside of the source",
        "lfw/../../Ann/x.jpg": "outside of the source",
        "lfw/" + "x" * 16: "outside of the source",
        "lfw/Ann/link.jpg": "unreadable",
        "lfw/Ann/hard.jpg": "unreadable",
        "lfw/Ann/device.jpg": "unreadable",
        "lfw/Ann/pipe.jpg": "unreadable",
    }
    if mode != "plain":
        expected["lfw/Ann/large.jpg"] = "file too large"
    assert problems == expected
    assert os.listdir(tmp_path) == ["evil.tar"]
    good = [item for item in lfw.items(path, {"Ann"}) if item.problem is None]
    assert read_item(good[0], 10_000) == b"good"


@pytest.mark.parametrize("mode", MODES)
def test_a_broken_archive_is_a_sentence(tmp_path, mode):
    path = archive(tmp_path / "lfw.tar", people(), MODES[mode])
    whole = (tmp_path / "lfw.tar").read_bytes()
    cuts = (len(whole) // 2, 20)
    if mode == "plain":  # inside of the first picture, and exactly behind its last block
        end = 512 + (len(next(people())[1]) + 511) // 512 * 512
        cuts = (end - 600, end)
    for content in [whole[:cut] for cut in cuts] + [b"", b"no archive", os.urandom(2000)]:
        (tmp_path / "lfw.tar").write_bytes(content)
        with pytest.raises(UrfrError, match="expected a whole tar archive"):
            list(files(path, 10_000))


def test_names_of_any_encoding(tmp_path):
    path = archive(tmp_path / "old.tar", [(b"J\xfcrgen/1.png".decode("utf-8", "surrogateescape"), b"x")])
    assert lfw.survey(path) == {"J\udcfcrgen": 1}


@pytest.mark.parametrize("layout", ["folder", "inner folder", "plain", "gz"])
def test_lfw_as_folder_or_archive_gives_the_same_records(prepared, tmp_path, layout):
    extra = [("lfw/pairs.txt", b"10 300"), ("lfw/Ann_Lee/notes.txt", b"text")]
    if layout in MODES:
        path = archive(tmp_path / "lfw.tar", [*people(), *extra], MODES[layout])
    else:
        for name, content in [*people(), *extra]:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(content)
        path = tmp_path / "lfw" if layout == "folder" else tmp_path
        (tmp_path / "pairs.txt").write_bytes(b"10 300")
    folder, _ = prepared("lfw", path, tmp_path.with_name(f"{tmp_path.name}-out"))
    records = records_of(folder)
    keys = sorted(name.removeprefix("lfw/") for name, _ in people())
    assert sorted(r[2] for r in records) == keys
    assert [r[0] for r in sorted(records, key=lambda r: r[2])] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert (folder / "refused.tsv").read_text() == ""


def test_lfw_without_people_is_a_sentence(tmp_path):
    with pytest.raises(UrfrError, match="found none"):
        lfw.survey(archive(tmp_path / "x.tar", [("pairs.txt", b"x")]))
