"""Lists in CSV: paths that lead out, points, lines that are none."""

import pytest
from made_up import encoded, people_folder, picture, records_of

from urfr_tf.data.images import decode_image
from urfr_tf.data.sources import csv_list
from urfr_tf.errors import UrfrError


def write(tmp_path, *lines, name="list.csv", encoding="utf-8"):
    path = tmp_path / name
    path.write_bytes("\n".join(lines).encode(encoding, "surrogateescape"))
    return str(path)


def test_paths_are_relative_to_the_list(tmp_path):
    root = str(tmp_path)
    path = write(
        tmp_path,
        "path,identity",
        "a/1.png,Ann",
        f"{root}/b/2.png,Bob",
        '"a/x,y.png","Ann, Mrs"',
        "./c/../a/3.png,Ann",
    )
    assert csv_list.survey(path) == {"Ann": 2, "Bob": 1, "Ann, Mrs": 1}
    items = list(csv_list.items(path, {"Ann", "Bob"}))
    assert [(i.identity, i.key, i.file) for i in items] == [
        ("Ann", "a/1.png", f"{root}/a/1.png"),
        ("Bob", "b/2.png", f"{root}/b/2.png"),
        ("Ann", "a/3.png", f"{root}/a/3.png"),
    ]


@pytest.mark.parametrize(
    "name", ["../secret.png", "/etc/passwd", "a/../../secret.png", "nul\0.png", "/", "..", "a/../.."]
)
def test_paths_that_lead_out_of_the_folder_are_refused(tmp_path, name):
    path = write(tmp_path, "1.png,Ann", f"{name},Eve") if "\0" not in name else None
    if path is None:
        (item,) = [csv_list._item([name, "Eve"], 1, str(tmp_path))]
    else:
        assert csv_list.survey(path) == {"Ann": 1}
        item = next(i for i in csv_list.items(path, {"Ann"}) if i.problem)
    assert item.problem.reason == "outside of the source" and item.file is None


def test_lines_that_are_none_are_listed_with_their_number(tmp_path):
    path = write(
        tmp_path, "1.png,Ann", "", "only one", "1.png,", ",Ann", "a,b,c", "2.png,Bob" + ",1" * 9 + ",nan"
    )
    problems = [item.key for item in csv_list.items(path, ()) if item.problem]
    assert problems == ["line 3", "line 4", "line 5", "line 6", "line 7"]
    assert csv_list.survey(path) == {"Ann": 1}


def test_byte_order_mark_and_other_bytes(tmp_path):
    path = write(tmp_path, "\ufeffpath,identity", "1.png,J\udcfcrgen", "2.png,李明")
    assert csv_list.survey(path) == {"J\udcfcrgen": 1, "李明": 1}


def test_a_list_without_images_is_a_sentence(tmp_path):
    for lines in ([], ["path,identity"], ["x" * 300_000]):
        with pytest.raises(UrfrError, match=r"list in CSV|none that can be used"):
            csv_list.survey(write(tmp_path, *lines))
    with pytest.raises(UrfrError, match="list in CSV"):
        csv_list.survey(str(tmp_path))


def test_an_image_named_twice_is_taken_once(prepared, tmp_path):
    people_folder(tmp_path / "faces")
    lines = [f"faces/person_{p}/{i}.png,P{p}" for p in range(2) for i in range(2)]
    folder, _ = prepared("list", write(tmp_path, *lines, *lines))
    assert sorted(r[2] for r in records_of(folder)) == sorted(line.split(",")[0] for line in lines)


def test_points_of_a_list_align(prepared, tmp_path):
    """The five points are those of the template moved by (10, 5): the crop is the picture from (10, 5) on."""
    from urfr_tf.faces.template import five_points

    image = picture(1, 60, 70)
    shifted = five_points(32) + (10, 5)
    for name in ("1", "2", "3"):
        (tmp_path / f"{name}.png").write_bytes(encoded(picture(int(name), 60, 70)))
    cells = ",".join(f"{value:.6f}" for value in shifted.ravel())
    path = write(tmp_path, f"1.png,Ann,{cells}", f"2.png,Bob,{cells}", "3.png,Eve")
    folder, _ = prepared("list", path, size=32, align="points", lossless=True)
    first = next(r for r in records_of(folder) if r[1] == "Ann")
    aligned = decode_image(first[4])
    assert abs(aligned.astype(int) - image[5:37, 10:42]).max() <= 1
    assert first[3] == pytest.approx(five_points(32).ravel(), abs=1e-4)
    assert "no points: the source has none" in (folder / "refused.tsv").read_text()
    centred, _ = prepared("list", path, tmp_path / "centred", size=32, align="points", on_missing="centre")
    assert (
        centred / "notes.tsv"
    ).read_text() == "3.png\tno points: the source has none, so the centre was taken\n"
