"""A folder for each person: links, loops, names in any script, many entries."""

import os
import tracemalloc

import pytest
from made_up import encoded, people_folder, picture

from urfr_tf.data.cropper import CropSettings, crop_center
from urfr_tf.data.names import natural_key
from urfr_tf.data.sources import choose_identities, folder, open_source
from urfr_tf.data.sources.item import Item, read_item
from urfr_tf.errors import UrfrError


def taken(root):
    people = folder.survey(str(root))
    return {item.key: item for item in folder.items(str(root), people)}


def test_numbers_in_names_are_compared_as_numbers():
    names = ["s10", "s2", "s1", "S1", "a", "s02", "1", "01x", "x\udcff"]
    assert sorted(names, key=natural_key) == ["1", "01x", "S1", "a", "s1", "s02", "s2", "s10", "x\udcff"]
    digits = "9" * 20_000
    assert natural_key(digits + "8") > natural_key(digits)
    assert choose_identities(names, "1:3") == ["01x", "S1"]


def test_deeper_folders_belong_to_the_person(tmp_path):
    people_folder(tmp_path)
    deep = tmp_path / "person_0" / "video" / "7"
    deep.mkdir(parents=True)
    (deep / "a.png").write_bytes(encoded(picture(9)))
    assert taken(tmp_path)["person_0/video/7/a.png"].identity == "person_0"
    assert folder.survey(str(tmp_path)) == {"person_0": 5, "person_1": 4, "person_2": 4}


def test_names_in_any_script(tmp_path):
    names = [
        "Zoë",
        "Øyvind",
        "李明",
        "محمد",
        "Ольга",
        "ประยุทธ์",
        "👩‍🦰",
        "line\u2028separator",
        "with space ",
        "-rf",
    ]
    raw = os.fsencode(str(tmp_path)) + b"/J\xfcrgen"
    for place in [tmp_path / name for name in names] + [raw]:
        os.mkdir(place)
        with open(
            os.path.join(place, "写真.png" if isinstance(place, os.PathLike) else b"1.png"), "wb"
        ) as file:
            file.write(encoded(picture(1)))
    assert set(folder.survey(str(tmp_path))) == {*names, "J\udcfcrgen"}
    for item in taken(tmp_path).values():
        assert read_item(item, 10_000) == encoded(picture(1))


def test_a_name_of_several_lines_is_no_person(tmp_path):
    people_folder(tmp_path)
    (tmp_path / "two\nlines").mkdir()
    (tmp_path / "two\nlines" / "1.png").write_bytes(encoded(picture(1)))
    assert taken(tmp_path)["two\nlines"].problem.reason == "in no person's folder"
    assert "two\nlines" not in folder.survey(str(tmp_path))


def test_loops_of_links_end(tmp_path):
    root = people_folder(tmp_path / "faces")
    elsewhere = people_folder(tmp_path / "elsewhere", people=1)
    (root / "up").symlink_to(root)
    (root / "further_up").symlink_to(tmp_path)
    (root / "itself").symlink_to(root / "itself")
    (root / "person_0" / "loop").symlink_to(root / "person_0")
    (root / "person_0" / "around").symlink_to(root)
    (root / "linked").symlink_to(elsewhere / "person_0")
    (root / "person_1" / "linked.png").symlink_to(elsewhere / "person_0" / "0.png")
    (root / "person_1" / "broken.png").symlink_to(tmp_path / "nowhere")
    items = taken(root)
    assert set(folder.survey(str(root))) == {"person_0", "person_1", "person_2", "linked"}
    problems = {key: item.problem.reason for key, item in items.items() if item.problem}
    assert problems == {
        "up": "in no person's folder",
        "further_up": "in no person's folder",
        "itself": "in no person's folder",
        "person_0/loop": "link to a folder",
        "person_0/around": "link to a folder",
    }
    assert read_item(items["linked/0.png"], 10_000) == read_item(items["person_1/linked.png"], 10_000)
    crop = crop_center(items["person_1/broken.png"], CropSettings())
    assert crop.refused == "unreadable: No such file or directory"


def test_pipes_and_devices_are_not_waited_for(tmp_path):
    people_folder(tmp_path)
    os.mkfifo(tmp_path / "person_0" / "pipe.jpg")
    (tmp_path / "person_0" / "endless.jpg").symlink_to("/dev/zero")
    items = taken(tmp_path)
    for name in ("pipe", "endless"):
        crop = crop_center(items[f"person_0/{name}.jpg"], CropSettings())
        assert crop.refused == "unreadable: not a regular file"


def test_a_file_over_the_limit_is_not_read(tmp_path):
    with open(tmp_path / "huge.png", "wb") as file:
        file.truncate(1 << 40)
    crop = crop_center(Item("a", "huge", str(tmp_path / "huge.png")), CropSettings())
    assert crop.refused.startswith("file too large: 1099511627776 bytes")


def test_many_entries_are_not_kept_in_memory(tmp_path):
    """5,000 names of 200 characters are over 1 MB as a list; walking must stay far below."""
    (tmp_path / "person").mkdir()
    names = [f"{i:0200d}" for i in range(5_000)]
    (tmp_path / "person" / names[0]).touch()
    for name in names[1:]:
        os.link(tmp_path / "person" / names[0], tmp_path / "person" / name)
    tracemalloc.start()
    assert folder.survey(str(tmp_path)) == {"person": 5_000}
    assert sum(1 for _ in folder.items(str(tmp_path), {"person"})) == 5_000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 300_000


def test_an_unknown_source_or_none_is_a_sentence(tmp_path):
    for kind in ("what", "tfds", "tfds:", "folder:x"):
        with pytest.raises(UrfrError, match="expected a source among"):
            open_source(kind, str(tmp_path))
    with pytest.raises(UrfrError, match="expected --path"):
        open_source("folder", None)
