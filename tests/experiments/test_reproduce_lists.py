"""Who is trained on and who is tested, on a made-up LFW and CFP."""

import csv
import tarfile

import pytest

from experiments.reproduce.lists import lay_out, split_cfp, write_lists
from urfr_tf.protocols.cfp import open_cfp
from urfr_tf.protocols.pairs import read_pairs


@pytest.fixture
def lfw(tmp_path):
    """Persons p00 to p39 with three images each, but p20 to p39 with one; persons of fold f: p(2f-2),
    p(2f-1)."""
    folder = tmp_path / "lfw"
    for person in range(40):
        for image in range(3 if person < 20 else 1):
            path = folder / f"p{person:02}" / f"p{person:02}_{image + 1:04}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(f"{person}/{image}".encode())
    lines = ["10\t2"]
    for fold in range(10):
        a, b = f"p{2 * fold:02}", f"p{2 * fold + 1:02}"
        lines += [f"{a}\t1\t2", f"{b}\t1\t3", f"{a}\t1\t{b}\t1", f"{a}\t2\t{b}\t2"]
    (tmp_path / "pairs.txt").write_text("\n".join(lines) + "\n")
    (tmp_path / "gender.tsv").write_text(
        "".join(f"p{n:02}\t{'male' if n % 2 else 'female'}\n" for n in range(40))
    )
    return folder


def people_in(path):
    with open(path, encoding="utf-8") as file:
        return {row["identity"] for row in csv.DictReader(file)}


@pytest.mark.parametrize("archive", [False, True])
def test_tested_people_are_in_no_other_list(lfw, tmp_path, archive):
    source = lfw
    if archive:
        source = tmp_path / "lfw.tar"
        with tarfile.open(source, "w") as tar:
            tar.add(lfw, "lfw")
    out = tmp_path / "data"
    lay_out(source, out / "photographs")
    assert (out / "photographs/p03/p03_0002.jpg").read_bytes() == b"3/1"
    write_lists(out / "photographs", tmp_path / "pairs.txt", tmp_path / "gender.tsv", out, None)
    lists = {path.stem: people_in(path) for path in (out / "photographs").glob("*.csv")}
    # Folds 6 to 10 hold p10 to p19. Every tenth of p00 to p09, who have several images, is p00.
    assert lists.pop("test") == {f"p{n}" for n in range(10, 20)}
    assert lists["validation"] == {"p00"}
    assert lists["train"] == {f"p{n:02}" for n in [*range(1, 10), *range(20, 40)]}
    # Of the 30 with a known gender who are not tested every fifth is held out: p00, p05, p20, p25, p30, p35.
    assert lists["gender_validation"] == {"p00", "p05", "p20", "p25", "p30", "p35"}
    assert (
        lists["gender_train"]
        == {f"p{n:02}" for n in [*range(10), *range(20, 40)]} - lists["gender_validation"]
    )


def test_the_tested_pairs_are_those_of_the_last_five_folds(lfw, tmp_path):
    lay_out(lfw, tmp_path / "data/photographs")
    for people, per_block in ((None, 2), (4, 2)):
        write_lists(
            tmp_path / "data/photographs", tmp_path / "pairs.txt", tmp_path / "gender.tsv", tmp_path, people
        )
        pairs = read_pairs(str(tmp_path / "test_pairs.txt"))
        assert len(pairs) == 5 * 2 * per_block
        assert pairs[0].paths == ("p10/p10_0001", "p10/p10_0002")
        assert [pair.fold for pair in pairs] == [f for f in range(5) for _ in range(2 * per_block)]
        assert [pair.same for pair in pairs] == [True, True, False, False] * 5


def test_cfp_is_split_between_theta_a_and_the_test(tmp_path):
    """Four people, two in each fold; frontal images 1 and 2, profile 1, numbered in this order."""
    cfp = tmp_path / "cfp"
    frontal, profile = [], []
    for person in range(1, 5):
        for view, number, names in (
            ("frontal", 1, frontal),
            ("frontal", 2, frontal),
            ("profile", 1, profile),
        ):
            path = cfp / f"Data/Images/{person:03}/{view}/{number:02}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x")
            names.append(f"../Data/Images/{person:03}/{view}/{number:02}.jpg")
    for kind, names in (("F", frontal), ("P", profile)):
        (cfp / "Protocol").mkdir(exist_ok=True)
        text = "".join(f"{n} {name}\n" for n, name in enumerate(names, 1))
        (cfp / f"Protocol/Pair_list_{kind}.txt").write_text(text)
    for fold, (a, b) in {"01": (1, 2), "02": (3, 4)}.items():
        for pose, (same, diff) in {
            "FF": (f"{2 * a - 1},{2 * a}", f"{2 * a},{2 * b}"),
            "FP": (f"{2 * b},{b}", f"{2 * a},{b}"),
        }.items():
            folder = cfp / "Protocol/Split" / pose / fold
            folder.mkdir(parents=True)
            (folder / "same.txt").write_text(same + "\n")
            (folder / "diff.txt").write_text(diff + "\n")
    split_cfp(cfp, tmp_path / "data", None)
    mined, tested = tmp_path / "data/cfp_mined", tmp_path / "data/tests/cfp"
    assert sorted(path.name for path in (mined / "Data/Images").iterdir()) == ["001", "002"]
    assert sorted(path.name for path in (tested / "Data/Images").iterdir()) == ["003", "004"]
    protocol = open_cfp(str(tested))
    assert set(protocol.by_list["ff"].fold.tolist()) == {2}
    assert protocol.by_list["fp"].same.tolist() == [True, False]
