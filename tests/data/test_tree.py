"""What belongs to a tree of photographs: people, images and bytes are the same with junk in it."""

import io
import tarfile

import pytest
from made_up import JUNK_FILES, JUNK_FOLDERS, encoded, people_folder, picture, put_junk, refuse_folder

from urfr_tf.data.sources import cfp, folder, lfw, open_source
from urfr_tf.data.tree import Ignored, belongs, foreign_part, walk
from urfr_tf.errors import UrfrError

PEOPLE = (
    "Ann.Lee",
    "a.",
    "thumbs",
    "Thumbs.db2",
    "_MACOSX",
    "lost found",
    "desktop",
    "李明",
    "@dir",
    "$",
    "#1",
)


@pytest.mark.parametrize("name", JUNK_FILES + JUNK_FOLDERS)
def test_junk_does_not_belong(name):
    assert not belongs(name)
    assert foreign_part(f"./lfw/{name}/1.jpg") == name


@pytest.mark.parametrize("name", PEOPLE)
def test_names_that_only_look_like_it_belong(name):
    assert belongs(name) and not foreign_part(f"./{name}//{name}.jpg")


def test_what_was_ignored_is_one_sentence():
    ignored = Ignored()
    assert ignored.sentence() == ignored.remark() == ""
    ignored.add("Thumbs.db")
    assert ignored.sentence() == "ignored 1 hidden or system file, for instance Thumbs.db"
    for name in ("Icon\r", ".caf\udce9", ".DS_Store"):
        ignored.add(name)
    assert ignored.sentence() == "ignored 4 hidden or system files, for instance .DS_Store"
    ignored.add(".A\r\udce9")
    assert ignored.remark() == r" (ignored 5 hidden or system files, for instance .A\r\xe9)"


def test_a_hidden_root_was_chosen(tmp_path):
    root = people_folder(tmp_path / ".cache" / "@eaDir")
    assert folder.survey(str(root)) == {"person_0": 4, "person_1": 4, "person_2": 4}
    assert len(list(walk(str(root)))) == 4


def test_a_folder_of_people_is_the_same_with_junk(prepared, tmp_path):
    root = people_folder(tmp_path / "faces")
    clean, said = prepared("folder", root, tmp_path / "clean")
    junk = put_junk(root)
    dirty, said_again = prepared("folder", root, tmp_path / "dirty")
    assert {p.name: p.read_bytes() for p in clean.iterdir()} == {
        p.name: p.read_bytes() for p in dirty.iterdir()
    }
    assert said == [f"12 images of 3 people in {clean}"]
    assert said_again == [
        f"ignored {junk} hidden or system files, for instance #recycle",
        f"12 images of 3 people in {dirty}",
    ]


def test_only_hidden_folders_are_nobody(tmp_path):
    (tmp_path / ".faces" / "Ann").mkdir(parents=True)
    with pytest.raises(UrfrError, match=r"holds no folder \(ignored 1 hidden .* instance \.faces\)"):
        folder.survey(str(tmp_path))
    with pytest.raises(UrfrError, match=r"found none \(ignored 1 hidden"):
        lfw.survey(str(tmp_path))
    with pytest.raises(UrfrError, match=r"found none \(ignored 1 hidden"):
        cfp.survey(str(tmp_path))


def test_a_folder_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    root = people_folder(tmp_path)
    refuse_folder(monkeypatch, "person_1")
    for source in (folder, lfw):
        problems = [str(item.problem) for item in source.items(str(root), ()) if item.problem]
        problems += [str(i.problem) for i in source.items(str(root), {"person_1"}) if i.problem]
        assert "unreadable: the folder: Permission denied" in problems


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_an_archive_is_the_same_with_junk(tmp_path, mode):
    """macOS puts `._name` beside every member, and `__MACOSX` beside the whole."""
    path = tmp_path / "lfw.tar"
    names = [f"./lfw/{person}/{person}_000{i}.jpg" for person in ("Ann", "Bo") for i in (1, 2)]
    junk = [
        "./lfw/Ann/._Ann_0001.jpg",
        "./__MACOSX/lfw/Ann/Ann_0003.jpg",
        "lfw/.git/HEAD",
        "./lfw/Bo/Thumbs.db",
    ]
    with tarfile.open(path, mode) as archive:
        for name in [junk[0], *names, *junk[1:]]:
            member = tarfile.TarInfo(name)
            member.size = 3
            archive.addfile(member, io.BytesIO(b"abc"))
        link = tarfile.TarInfo("lfw/.git/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        archive.addfile(tarfile.TarInfo("../../.outside/x.jpg"))
    source = open_source("lfw", str(path))
    assert source.survey() == {"Ann": 2, "Bo": 2}
    assert source.ignored.sentence() == "ignored 5 hidden or system files, for instance ._Ann_0001.jpg"
    items = list(source.items({"Ann", "Bo"}))
    assert [f"./lfw/{item.key}" for item in items if item.problem is None] == names
    # A name that leads out of the archive is refused by name, hidden or not.
    assert [item.key for item in items if item.problem] == ["../../.outside/x.jpg"]


@pytest.mark.parametrize("kind", ["lfw", "cfp"])
def test_published_trees_are_the_same_with_junk(tmp_path, kind):
    for person in ("001", "002"):
        place = tmp_path / "Data" / "Images" / person / "frontal"
        place.mkdir(parents=True)
        for name in ("01.jpg", "02.jpg"):
            (place / name).write_bytes(encoded(picture(1)))
    source = open_source(kind, str(tmp_path))
    clean = source.survey(), sorted(item.key for item in source.items({"001", "002", "frontal"}))
    junk = put_junk(tmp_path)
    source = open_source(kind, str(tmp_path))
    assert clean == (source.survey(), sorted(item.key for item in source.items({"001", "002", "frontal"})))
    assert source.ignored.count == junk


def test_an_output_folder_that_the_system_wrote_into_is_empty(prepared, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".DS_Store").touch()
    _, said = prepared("folder", people_folder(tmp_path / "faces"), tmp_path / "out")
    assert said == [f"12 images of 3 people in {tmp_path / 'out'}"]
