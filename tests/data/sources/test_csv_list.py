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
        (item,) = [csv_list._item([name, "Eve"], 1, str(tmp_path), None, ".")]
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
    with pytest.raises(UrfrError, match="could not read the list"):
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
    ).read_text() == "3.png\tno points: the source has none, so the center was taken\n"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("heading", ["path{}identity", "Path{}IDENTITY", None])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_dialects(tmp_path, delimiter, heading, encoding):
    lines = [f"a/1.png{delimiter}Zo\u00eb", f"b/2.png{delimiter}Bob", f"b/3.png{delimiter}Bob"]
    path = write(tmp_path, *([heading.format(delimiter)] if heading else []), *lines)
    text = (tmp_path / "list.csv").read_text(encoding="utf-8").replace("\n", "\r\n")
    (tmp_path / "list.csv").write_bytes(text.encode(encoding))
    assert csv_list.survey(path) == {"Zo\u00eb": 1, "Bob": 2}
    assert [item.key for item in csv_list.items(path, {"Bob"})] == ["b/2.png", "b/3.png"]


def test_columns_by_their_names(tmp_path):
    """In any order, beside others; a spreadsheet of a decimal comma separates cells by semicolons."""
    numbers = [f"{i},5" for i in range(10)]
    heading = [*(f"{axis}{i}" for i in range(5) for axis in "xy"), "age", "Identity", "path"]
    path = write(tmp_path, ";".join(heading), ";".join([*numbers, "7", "Ann", "a, b.png"]))
    (item,) = csv_list.items(path, {"Ann"})
    assert item.key == "a, b.png" and item.points == tuple(i + 0.5 for i in range(10))
    path = write(tmp_path, "path,identity,split", "1.png,Ann,train", "2.png,Ann", "3.png,Bob,test,x")
    taken, positional, refused = csv_list.items(path, {"Ann", "Bob"})
    assert taken.identity == positional.identity == "Ann" and taken.points is None
    assert str(refused.problem) == "unusable line: expected 3 columns, but there are 4"


def test_points_by_place_under_any_heading(tmp_path):
    cells = ",".join(map(str, range(10)))
    names = ",".join(f"p{i}" for i in range(10))
    for heading in (f"path,identity,{names}", "path,identity"):
        (item,) = csv_list.items(write(tmp_path, heading, f"1.png,Ann,{cells}"), {"Ann"})
        assert item.points == tuple(range(10))


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("a.png", "expected path,identity or 12 columns, but there are 1"),
        ("a.png,Ann,7", "expected path,identity or 12 columns, but there are 3; a heading would name them"),
        ("a.png,", "the path or the name is empty or of more than one line"),
        ("a.png,Ann" + ",x" * 10, "ten finite numbers were expected for the points"),
        ("../a.png,Ann", "the path leads out of the list's folder"),
    ],
)
def test_a_list_of_which_no_line_can_be_used_says_why(tmp_path, line, why):
    with pytest.raises(UrfrError) as caught:
        csv_list.survey(
            write(tmp_path, "path,identity" if "heading" not in why and "12" not in why else "", line)
        )
    number = "../a.png" if ".." in line else "line 2"
    assert f"it has none that can be used: {number}, " in str(caught.value) and str(caught.value).endswith(
        why
    )


def test_a_name_in_two_unicode_forms_is_one_person_and_one_file(prepared, tmp_path):
    """The list names files in the one form, the disk has them in the other."""
    nfc, nfd = "Jos\u00e9", "Jose\u0301"
    (tmp_path / "faces" / nfd).mkdir(parents=True)
    for i, name in enumerate((f"{nfd}.png", "1.png", f"{nfc}2.png")):
        (tmp_path / "faces" / nfd / name).write_bytes(encoded(picture(i)))
    (tmp_path / "faces" / "2.png").write_bytes(encoded(picture(9)))
    path = write(
        tmp_path,
        f"faces/{nfc}/{nfc}.png,{nfc}",
        f"faces/{nfc}/1.png,{nfd}",
        f"faces/{nfd}/{nfd}2.png,{nfc}",
        f"faces/{nfc}/none.png,{nfc}",
        "faces/2.png,Bob",
    )
    assert csv_list.survey(path) == {nfc: 4, "Bob": 1}
    folder, _ = prepared("list", path)
    assert sorted(r[1] for r in records_of(folder)) == ["Bob", nfc, nfc, nfc]
    assert (
        folder / "refused.tsv"
    ).read_text() == f"faces/{nfc}/none.png\tunreadable: No such file or directory\n"


def test_wrong_points_are_refused_one_by_one_or_all_together(prepared, tmp_path):
    """One of five lines in another order is refused; with four of five the list is, by its likely cause."""
    from urfr_tf.faces.template import five_points

    face = five_points(32) + (10, 5)
    mirrored = face[[1, 0, 2, 4, 3]]
    for number in range(5):
        (tmp_path / f"{number}.png").write_bytes(encoded(picture(number, 60, 70)))

    def listing(wrong):
        lines = []
        for number in range(5):
            cells = ",".join(f"{value:.6f}" for value in (mirrored if number < wrong else face).ravel())
            lines.append(f"{number}.png,{'ab'[number % 2]},{cells}")
        return write(tmp_path, *lines, name=f"{wrong}.csv")

    for on_missing in ("skip", "centre"):
        out = tmp_path / on_missing
        folder, _ = prepared("list", listing(1), out, size=32, align="points", on_missing=on_missing)
        assert (folder / "refused.tsv").read_text().startswith("0.png\tpoints mirrored: left and right")
    with pytest.raises(UrfrError) as error:
        prepared("list", listing(4), tmp_path / "none", size=32, align="points")
    assert "4 of 5 images" in str(error.value) and "person's own" in str(error.value)
    assert not (tmp_path / "none").exists()
    # Without alignment the photographs are good, and the points are left out.
    folder, _ = prepared("list", listing(4), tmp_path / "whole", size=32)
    assert (folder / "notes.tsv").read_text().count("points mirrored") == 4
    assert sum(record[3] is not None and min(record[3]) >= 0 for record in records_of(folder)) == 1
