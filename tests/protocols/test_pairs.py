"""Generated and listed pairs: how many, whose, in which fold; and what a bad list says."""

import shutil

import numpy as np
import pytest

from urfr_tf.data.names import natural_key
from urfr_tf.errors import UrfrError
from urfr_tf.protocols import pairs as module
from urfr_tf.protocols.lfw import open_lfw
from urfr_tf.protocols.pairs import generate_pairs, open_pairs, read_pairs
from urfr_tf.protocols.protocol import Images, connect

NO_IMAGES = Images(0, lambda: iter(()))


def make_pairs(counts, seed=0):
    return generate_pairs(NO_IMAGES, np.repeat([f"p{i}" for i in range(len(counts))], counts), seed)


def test_few_people_by_hand():
    # 3 people of 2, 3 and 1 images: 1 + 3 genuine pairs, 6 x 5 / 2 - 4 = 11 impostor pairs.
    pairs = make_pairs([2, 3, 1])
    assert pairs.same.sum() == 4 and (~pairs.same).sum() == 11
    assert (pairs.same == (pairs.identity[pairs.first] == pairs.identity[pairs.second])).all()
    assert (pairs.first < pairs.second).all()
    assert len({*zip(pairs.first, pairs.second, strict=True)}) == 15
    assert pairs.facts["folds_disjoint_by_identity"] is False
    # The person with the most images is dealt first: fold 0; then p0; then p2.
    genuine = pairs.same
    fold_of = dict(zip(pairs.identity[pairs.first[genuine]], pairs.fold[genuine], strict=True))
    assert fold_of["p1"] == 0 and fold_of["p0"] == 1


def test_folds_of_many_people_share_nobody():
    pairs = make_pairs([4] * 40)
    people_of = [
        {*pairs.identity[pairs.first[pairs.fold == f]], *pairs.identity[pairs.second[pairs.fold == f]]}
        for f in range(10)
    ]
    assert all(len(people) == 4 for people in people_of)
    assert len(set.union(*people_of)) == 40
    # In a fold 4 people with 6 genuine pairs each, and 16 x 15 / 2 - 24 = 96 impostor pairs.
    assert all((pairs.same & (pairs.fold == f)).sum() == 24 for f in range(10))
    assert all((~pairs.same & (pairs.fold == f)).sum() == 96 for f in range(10))
    assert all((pairs.counted & ~pairs.same & (pairs.fold == f)).sum() == 24 for f in range(10))


def test_samples_are_seeded_and_right(monkeypatch):
    monkeypatch.setattr(module, "MOST_GENUINE", 50)
    monkeypatch.setattr(module, "MOST_IMPOSTOR", 200)
    first, again, other = (
        make_pairs([3, 9, 5] * 10),
        make_pairs([3, 9, 5] * 10),
        make_pairs([3, 9, 5] * 10, seed=1),
    )
    assert first.same.sum() == 50 and 150 < (~first.same).sum() <= 200
    assert (first.same == (first.identity[first.first] == first.identity[first.second])).all()
    assert len({*zip(first.first, first.second, strict=True)}) == len(first.first)
    np.testing.assert_array_equal(first.first, again.first)
    assert not np.array_equal(first.first[:50], other.first[:50])


def test_every_genuine_pair_number_is_a_pair(monkeypatch):
    # Drawing as many as there are, by number, gives the same pairs as listing them.
    everything = make_pairs([2, 4, 3])
    monkeypatch.setattr(module, "MOST_GENUINE", 9)  # 1 + 6 + 3 = 10 pairs: one is left out
    sample = make_pairs([2, 4, 3])
    listed = {*zip(everything.first[everything.same], everything.second[everything.same], strict=True)}
    drawn = {
        tuple(sorted(p)) for p in zip(sample.first[sample.same], sample.second[sample.same], strict=True)
    }
    assert len(drawn) == 9 and drawn < listed


def test_nobody_gives_more_genuine_pairs_than_the_limit():
    # 30 images would give 435 pairs, 11 images 55; 2 and 3 images give all of theirs: 50 + 50 + 1 + 3.
    counts = [30, 11, 2, 3]
    pairs = make_pairs(counts)
    genuine = pairs.same
    whose = pairs.identity[pairs.first[genuine]]
    assert [int((whose == f"p{i}").sum()) for i in range(4)] == [50, 50, 1, 3]
    assert (whose == pairs.identity[pairs.second[genuine]]).all()
    assert len({*zip(pairs.first[genuine], pairs.second[genuine], strict=True)}) == 104
    assert (pairs.first[genuine] < pairs.second[genuine]).all()
    # Drawn among all of the person's pairs, not the first of them: the last image is in some.
    assert pairs.second[genuine][whose == "p0"].max() > 11
    everything = generate_pairs(
        NO_IMAGES, np.repeat([f"p{i}" for i in range(4)], counts), per_person=0, name="pairs"
    )
    assert everything.same.sum() == 435 + 55 + 1 + 3


@pytest.mark.parametrize("counts, what", [([5], "one person"), ([1, 1, 1], "one image of each person")])
def test_no_pairs_is_a_sentence(counts, what):
    with pytest.raises(UrfrError, match=f"but there is {what}"):
        make_pairs(counts)


def test_folder_and_shards_give_the_same_people(people, shards):
    of_folder, of_shards = open_pairs(str(people)), open_pairs(str(shards))
    assert sorted(of_folder.identity) == sorted(of_shards.identity)
    assert of_shards.images.aligned and not of_folder.images.aligned
    # The stream can be had again and again, and names what the labels say.
    for _ in range(2):
        assert [item.identity for item in of_shards.images.stream()] == list(of_shards.identity)


def lfw_tree(root, text):
    for name, count in (("Ann_Lee", 3), ("Bo_Ek", 2), ("Cy", 1)):
        (root / "lfw" / name).mkdir(parents=True)
        for i in range(1, count + 1):
            (root / "lfw" / name / f"{name}_{i:04d}.jpg").write_bytes(f"{name}{i}".encode())
    (root / "pairs.txt").write_text(text)
    return str(root)


LFW = "2\t1\nAnn_Lee\t1\t3\nAnn_Lee\t2\tBo_Ek\t1\nBo_Ek\t1\t2\nBo_Ek\t2\tCy\t1\n"


def test_lfw_by_hand(tmp_path):
    pairs = open_lfw(lfw_tree(tmp_path, LFW))
    keys = [item.key for item in pairs.images.stream()]
    got = [(keys[a], keys[b]) for a, b in zip(pairs.first, pairs.second, strict=True)]
    assert got == [
        ("Ann_Lee/Ann_Lee_0001.jpg", "Ann_Lee/Ann_Lee_0003.jpg"),
        ("Ann_Lee/Ann_Lee_0002.jpg", "Bo_Ek/Bo_Ek_0001.jpg"),
        ("Bo_Ek/Bo_Ek_0001.jpg", "Bo_Ek/Bo_Ek_0002.jpg"),
        ("Bo_Ek/Bo_Ek_0002.jpg", "Cy/Cy_0001.jpg"),
    ]
    assert pairs.same.tolist() == [True, False, True, False]
    assert pairs.fold.tolist() == [0, 0, 1, 1]
    assert pairs.images.count == 6 and pairs.identity[pairs.first[0]] == "Ann_Lee"


def test_images_in_no_pair_are_left_out(tmp_path):
    pairs = open_lfw(lfw_tree(tmp_path, "1 1\nAnn_Lee 1 2\nBo_Ek 1 Cy 1\n"))
    keys = [item.key for item in pairs.images.stream()]
    assert keys == [
        "Ann_Lee/Ann_Lee_0001.jpg",
        "Ann_Lee/Ann_Lee_0002.jpg",
        "Bo_Ek/Bo_Ek_0001.jpg",
        "Cy/Cy_0001.jpg",
    ]


@pytest.mark.parametrize(
    "text, sentence",
    [
        (
            "Ann_Lee\t1\t3\nAnn_Lee\t2\tBo_Ek\t1\n",
            "LFW's layout with its heading 'folds TAB pairs' in line 1",
        ),
        ("2\t2\nAnn_Lee\t1\t3\n", "expected 2 x 2 x 2 pairs in .* as its heading says, but got 1 lines"),
        (LFW.replace("Ann_Lee\t1\t3", "Ann_Lee\t1\t9"), "line 2 of .* names Ann_Lee/Ann_Lee_0009, but"),
        (LFW.replace("Ann_Lee\t1\t3", "Ann_Lee\tx\t3"), "'name TAB number TAB number' in line 2"),
        (LFW.replace("Cy\t1", "Cy"), "'name TAB number TAB name TAB number' in line 5"),
        ("", "but it is empty"),
        ("x" * 20_000, "but it is no text"),
    ],
)
def test_a_bad_lfw_list_is_a_sentence(tmp_path, text, sentence):
    with pytest.raises(UrfrError, match=sentence):
        open_lfw(lfw_tree(tmp_path, text))


def test_no_lfw_list_is_a_sentence(tmp_path):
    with pytest.raises(UrfrError, match=r"expected LFW's pairs\.txt"):
        open_lfw(str(tmp_path))


def test_a_table_of_pairs(tmp_path, people):
    listing = tmp_path / "pairs.tsv"
    listing.write_text("person_0/0.png\tperson_0/1.png\t1\nperson_0/0.png\tperson_1/3.png\t0\n")
    pairs = open_pairs(str(people), str(listing))
    assert pairs.same.tolist() == [True, False]
    assert pairs.identity[pairs.second].tolist() == ["person_0", "person_1"]
    assert pairs.counted.all() and pairs.images.count == 3
    listing.write_text("person_0/0.png\tperson_9/1.png\t1\n")
    with pytest.raises(UrfrError, match=r"names person_9/1\.png"):
        open_pairs(str(people), str(listing))
    listing.write_text("person_0/0.png\tperson_0/1.png\tyes\n")
    with pytest.raises(UrfrError, match="'path TAB path TAB 0 or 1' in line 1"):
        open_pairs(str(people), str(listing))


def test_ten_folds_of_a_table_and_of_a_development_list(tmp_path):
    table = tmp_path / "pairs.tsv"
    table.write_text("".join(f"a{i}\tb{i}\t{i % 2}\n" for i in range(20)))
    assert [line.fold for line in read_pairs(str(table))] == [i // 2 for i in range(20)]
    # pairsDevTest.txt: the number of pairs alone; same and different are dealt alike over ten folds.
    table.write_text("10\n" + "A 1 2\n" * 10 + "A 1 B 1\n" * 10)
    assert [line.fold for line in read_pairs(str(table))] == [*range(10), *range(10)]


def test_a_table_in_blocks_of_one_label(tmp_path):
    """Whatever the order of the labels, each is dealt over the folds; published orders keep theirs."""
    table = tmp_path / "pairs.tsv"
    for labels in ("1" * 20 + "0" * 60, "0" * 60 + "1" * 20, "01" * 20 + "0" * 40):
        table.write_text("".join(f"a{i}\tb{i}\t{label}\n" for i, label in enumerate(labels)))
        lines = read_pairs(str(table))
        for same, each in ((True, 2), (False, 6)):
            assert [line.fold for line in lines if line.same == same] == [i // each for i in range(10 * each)]
        assert all(line.dealt for line in lines)
    # Ten folds of 3 genuine and then 3 impostor pairs, as a published list in another layout.
    table.write_text("".join(f"a{i}\tb{i}\t{int(i % 6 < 3)}\n" for i in range(60)))
    assert [line.fold for line in read_pairs(str(table))] == [i // 6 for i in range(60)]


def test_published_folds_stay(tmp_path):
    table = tmp_path / "pairs.txt"
    table.write_text("3\t2\n" + "A\t1\t2\nA\t1\t3\nA\t1\tB\t1\nA\t2\tB\t2\n" * 3)
    assert [(line.fold, line.dealt) for line in read_pairs(str(table))] == [
        (i // 4, False) for i in range(12)
    ]


def test_connected_images_are_one_person():
    # 0-1, 1-2 and 4-5 are genuine; 3 is alone.
    groups = connect(6, np.array([0, 1, 4]), np.array([1, 2, 5]))
    assert groups[0] == groups[1] == groups[2] and groups[4] == groups[5]
    assert len(set(groups)) == 3


def test_a_list_without_suffixes_means_the_images(tmp_path, people):
    """Landmarks, notes and damaged links of the same name are beside many published images."""
    data = shutil.copytree(people, tmp_path / "people")
    for name in ("0.txt", "0.pts", "0.json"):
        (data / "person_0" / name).write_text("1 2 3")
    listing = tmp_path / "pairs.tsv"
    listing.write_text("person_0/0\tperson_0/1\t1\nperson_0/0\tperson_1/1\t0\n")
    pairs = open_pairs(str(data), str(listing))
    assert [item.key for item in pairs.images.stream()] == [f"person_{p}.png" for p in ("0/0", "0/1", "1/1")]
    assert pairs.images.remarks() == []
    # The list names a text: it counts, as an image that is not found.
    listing.write_text("person_0/0.txt\tperson_0/1\t1\nperson_0/0\tperson_1/1\t0\n")
    assert "person_0/0.txt" in [item.key for item in open_pairs(str(data), str(listing)).images.stream()]
    shutil.copy(data / "person_0" / "1.png", data / "person_0" / "0.jpg")
    with pytest.raises(
        UrfrError, match=r"line 2 of .* names person_0/0, which could be person_0/0\.jpg or .*0\.png"
    ):
        open_pairs(str(data), str(listing))


def test_a_folder_of_notes_has_no_images(tmp_path):
    (tmp_path / "Ann").mkdir()
    (tmp_path / "Ann" / "notes.txt").write_text("x")
    (tmp_path / ".git").mkdir()
    with pytest.raises(
        UrfrError, match=r"there is none \(ignored 1 hidden or system file, for instance \.git\)"
    ):
        open_pairs(str(tmp_path))


def test_names_in_two_unicode_forms(tmp_path, people):
    """One person in two folders; a list in either form names the files, which keep their bytes."""
    nfc, nfd = "Jos\u00e9", "Jose\u0301"
    for number, form in enumerate((nfc, nfd)):
        (tmp_path / "faces" / form).mkdir(parents=True)
        for name in (f"{form}.png", f"{number}.png"):
            shutil.copy(people / f"person_{number}" / f"{number}.png", tmp_path / "faces" / form / name)
    shutil.copytree(people / "person_2", tmp_path / "faces" / "Zo\u00eb")
    pairs = open_pairs(str(tmp_path / "faces"))
    assert sorted(set(pairs.identity)) == [nfc, "Zo\u00eb"]
    assert [item.key for item in pairs.images.stream()][:4] == sorted(
        [f"{nfc}/{nfc}.png", f"{nfc}/0.png", f"{nfd}/{nfd}.png", f"{nfd}/1.png"], key=natural_key
    )
    listing = tmp_path / "pairs.tsv"
    # As it is written where that is there, else by normal form.
    listing.write_text(
        f"{nfd}/0.png\t{nfc}/1\t1\n{nfd}/{nfd}.png\tZoe\u0308/0\t0\n{nfc}/{nfc}\tZoe\u0308/0\t0\n"
    )
    keys = [item.key for item in open_pairs(str(tmp_path / "faces"), str(listing)).images.stream()]
    assert sorted(keys) == sorted(
        [f"{nfc}/0.png", f"{nfd}/1.png", f"{nfd}/{nfd}.png", f"{nfc}/{nfc}.png", "Zo\u00eb/0.png"]
    )
    listing.write_text(f"{nfc}/{nfd}.png\tZoe\u0308/0\t0\n")
    with pytest.raises(UrfrError, match="which could be"):
        open_pairs(str(tmp_path / "faces"), str(listing))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("delimiter", ["\t", ",", ";", "  "])
def test_dialects_of_pairs(tmp_path, delimiter, encoding):
    listing = tmp_path / "pairs"
    table = "a,1/x\u00e9.jpg\tb/2.jpg\t1\na/1.jpg\tb/3.jpg\t0\n"
    if delimiter == ",":
        table = table.replace("a,1/", '"a,1/').replace("x\u00e9.jpg", 'x\u00e9.jpg"')
    listing.write_bytes(table.replace("\t", delimiter).replace("\n", "\r\n").encode(encoding))
    assert [(line.paths, line.same) for line in read_pairs(str(listing))] == [
        (("a,1/x\u00e9.jpg", "b/2.jpg"), True),
        (("a/1.jpg", "b/3.jpg"), False),
    ]
    listing.write_bytes(LFW.replace("\t", delimiter).encode(encoding))
    assert [line.paths for line in read_pairs(str(listing))][1:3] == [
        ("Ann_Lee/Ann_Lee_0002", "Bo_Ek/Bo_Ek_0001"),
        ("Bo_Ek/Bo_Ek_0001", "Bo_Ek/Bo_Ek_0002"),
    ]


def test_a_line_of_another_dialect_is_looked_at_by_itself(tmp_path):
    (tmp_path / "pairs").write_text("a b.jpg\tc.jpg\t1\nd.jpg e.jpg 0\n")
    assert [line.paths for line in read_pairs(str(tmp_path / "pairs"))] == [
        ("a b.jpg", "c.jpg"),
        ("d.jpg", "e.jpg"),
    ]
