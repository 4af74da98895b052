"""InsightFace's record files, written here byte by byte as dmlc RecordIO defines them."""

import struct

import numpy as np
import pytest
from made_up import encoded, picture, records_of

from urfr_tf.data.cropper import CropSettings, crop_center
from urfr_tf.data.sources import insightface
from urfr_tf.data.sources.item import read_item
from urfr_tf.errors import UrfrError

MAGIC = struct.pack("<I", 0xCED7230A)


def payload(label, content, number=0):
    """MXNet's image header, then the image; a list of labels is announced by its length in `flag`."""
    if isinstance(label, list):
        return struct.pack(f"<IfQQ{len(label)}f", len(label), 0, number, 0, *label) + content
    return struct.pack("<IfQQ", 0, label, number, 0) + content


def record(content):
    """One record; a payload that holds the magic number at a multiple of 4 is split there."""
    places = [at for at in range(0, len(content) - 3, 4) if content[at : at + 4] == MAGIC]
    fragments, begin = [], 0
    for at in places:
        fragments.append(content[begin:at])
        begin = at + 4
    fragments.append(content[begin:])
    written = b""
    for i, fragment in enumerate(fragments):
        kind = 0 if len(fragments) == 1 else 1 if i == 0 else 3 if i == len(fragments) - 1 else 2
        written += (
            MAGIC + struct.pack("<I", kind << 29 | len(fragment)) + fragment + bytes(-len(fragment) % 4)
        )
    return written


def write(folder, records, first=0, prop="3,40,40"):
    offsets, rec = [], b""
    for content in records:
        offsets.append(len(rec))
        rec += content
    (folder / "train.rec").write_bytes(rec)
    (folder / "train.idx").write_text("".join(f"{first + i}\t{at}\n" for i, at in enumerate(offsets)))
    if prop:
        (folder / "property").write_text(prop)
    return str(folder)


@pytest.fixture
def images():
    return [encoded(picture(i), ".png") for i in range(6)]


@pytest.fixture
def dataset(tmp_path, images):
    """As InsightFace writes it.

    Record 0 says where the people's ranges begin, then images, then the ranges.
    """
    rows = [record(payload([7.0, 10.0], b""))]
    rows += [
        record(payload([i // 2, 0.0] if i % 2 else i // 2, image, i + 1)) for i, image in enumerate(images)
    ]
    rows += [record(payload([1.0 + 2 * i, 3.0 + 2 * i], b"")) for i in range(3)]
    return write(tmp_path, rows)


def test_images_labels_and_ranges(dataset, images):
    assert insightface.survey(dataset) == {"0": 2, "1": 2, "2": 2}
    items = list(insightface.items(dataset, {"0", "1", "2"}))
    assert [(item.key, item.identity) for item in items] == [(str(i + 1), str(i // 2)) for i in range(6)]
    assert [read_item(item, 100_000) for item in items] == images
    assert [item.key for item in insightface.items(dataset, {"1"})] == ["3", "4"]
    assert list(insightface.items(dataset + "/train.rec", {"1"})) == list(insightface.items(dataset, {"1"}))


def test_a_split_record_is_joined(tmp_path):
    """A payload with the magic number inside, twice, at multiples of 4 from its start (the header has 24
    bytes).
    """
    content = b"abcd" + MAGIC + b"efgh" + b"ijkl" + MAGIC + b"mno"
    split = record(payload(1, content))
    assert len(split) == (8 + 24 + 4) + (8 + 8) + (8 + 3 + 1), (
        "three fragments with headers of 8, padded to 4"
    )
    path = write(tmp_path, [split, record(payload(2, b"other"))])
    assert [read_item(item, 1000) for item in insightface.items(path, {"1", "2"})] == [content, b"other"]


def test_broken_records_are_listed_and_the_others_read(tmp_path, images):
    lying = bytearray(record(payload(1, images[1])))
    struct.pack_into("<I", lying, 4, (1 << 29) - 1)
    rows = [
        record(payload(0, images[0])),
        b"\0" * 64,
        record(payload(float("nan"), images[2])),
        record(payload(3, images[2])),  # the property file says three people, and labels 0, 1, 2 are there
        record(payload(-1, images[2])),
        record(payload(0.5, images[2])),
        MAGIC + struct.pack("<I", 2 << 29 | 40) + bytes(40),  # a middle fragment with nothing before it
        MAGIC + struct.pack("<I", 28) + struct.pack("<IfQQ", 0xFFFFFFFF, 0, 0, 0) + bytes(4),
        record(payload(2, images[3])),
        bytes(lying),
    ]
    path = write(tmp_path, rows)
    with open(tmp_path / "train.idx", "a") as file:
        file.write("99\t999999999\n")
    assert insightface.survey(path) == {"0": 1, "2": 1, "1": 1}
    items = list(insightface.items(path, {"0", "1", "2"}))
    assert [item.key for item in items if item.problem] == ["1", "2", "3", "4", "5", "6", "7", "99"]
    assert {item.problem.reason for item in items if item.problem} == {"broken record"}
    crops = {item.key: crop_center(item, CropSettings()) for item in items if not item.problem}
    assert not crops["0"].refused and not crops["8"].refused
    assert crops["9"].refused.startswith("file too large"), "the length is not believed"


def test_lists_that_are_none_are_sentences(tmp_path, images):
    with pytest.raises(UrfrError, match=r"train\.rec"):
        insightface.survey(str(tmp_path))
    path = write(tmp_path, [record(payload(0, b""))])
    with pytest.raises(UrfrError, match="found none"):
        insightface.survey(path)
    for line in ("0", "a\t0", "0\t-4", "0\t1\t2", "0\t" + "9" * 30, "٣\t0"):
        (tmp_path / "train.idx").write_text(line + "\n")
        with pytest.raises(UrfrError, match="in line 1"):
            insightface.survey(path)


def test_prepared(prepared, dataset):
    folder, _ = prepared("insightface", dataset, lossless=True)
    records = sorted(records_of(folder), key=lambda r: int(r[2]))
    assert [(label, identity, source) for label, identity, source, _, _ in records] == [
        (i // 2, str(i // 2), str(i + 1)) for i in range(6)
    ]


def test_damaged_files_never_raise_anything_else(tmp_path, dataset):
    random = np.random.default_rng(0)
    whole = (tmp_path / "train.rec").read_bytes()
    for _ in range(200):
        damaged = bytearray(whole)
        for at in random.integers(0, len(damaged), 20):
            damaged[at] = random.integers(256)
        (tmp_path / "train.rec").write_bytes(damaged)
        try:
            for item in insightface.items(dataset, {"0", "1", "2"}):
                crop_center(item, CropSettings())
        except UrfrError:
            pass


def test_labels_have_gaps(prepared, tmp_path, images):
    """Three people are promised, and there are three: 10, 20 and 70,000."""
    labels = (10, 20, 70_000)
    rows = [record(payload(labels[i // 2], image, i)) for i, image in enumerate(images)]
    path = write(
        tmp_path, [*rows, record(payload(float("nan"), images[0])), record(payload(2.0**24, images[0]))]
    )
    assert insightface.survey(path) == {"10": 2, "20": 2, "70000": 2}
    problems = [str(item.problem) for item in insightface.items(path, ()) if item.problem]
    assert problems == [
        "broken record: cannot convert float NaN to integer",
        "broken record: label 1.67772e+07",
    ]
    folder, _ = prepared("insightface", path)
    assert (folder / "classes.tsv").read_text() == "0\t10\t2\n1\t20\t2\n2\t70000\t2\n"


def test_labels_without_gaps_cost_one_pass(tmp_path, images, monkeypatch):
    monkeypatch.setattr(insightface, "_count_labels", lambda *_: pytest.fail("the headers were read again"))
    path = write(tmp_path, [record(payload(label, images[0])) for label in (0, 1, 2, 2)])
    assert insightface.survey(path) == {"0": 1, "1": 1, "2": 2}


def test_more_labels_than_people_are_garbage(tmp_path, images):
    rows = [record(payload(label, images[0])) for label in (0, 1, 2, 900)]
    path = write(tmp_path, rows)
    assert insightface.survey(path) == {"0": 1, "1": 1, "2": 1}
    (problem,) = [str(item.problem) for item in insightface.items(path, {"0"}) if item.problem]
    assert problem == "broken record: label 900, where property has 3 people and the records have more"
    # The files change: what was counted before does not hold any more.
    path = write(tmp_path, rows[1:])
    assert insightface.survey(path) == {"1": 1, "2": 1, "900": 1}
    path = write(tmp_path, rows, prop=None)
    (tmp_path / "property").unlink()
    assert insightface.survey(path) == {"0": 1, "1": 1, "2": 1, "900": 1}


def test_records_that_are_all_refused_say_why(tmp_path, images):
    rows = [record(payload(label, images[0])) for label in (10, 20, 30, 40, -1)]
    with pytest.raises(
        UrfrError, match=r"but all 5 are refused \(1 broken record: label 10, where property has 3 "
    ):
        insightface.survey(write(tmp_path, rows))
    with pytest.raises(UrfrError, match=r"but all 2 are refused \(2 broken record: no record begins there\)"):
        insightface.survey(write(tmp_path, [bytes(64), bytes(64)]))
