"""CFP in miniature and as published; pickled pairs; both through the command."""

import json
import pickle
import tarfile

import numpy as np
import pytest
from paths import SHARED

import urfr_tf.runs.load_model
from urfr_tf.cli import main
from urfr_tf.errors import UrfrError
from urfr_tf.protocols.table import open_protocol

REAL = SHARED / "data" / "cfp_dev.tar"


@pytest.fixture
def cfp(tmp_path, crowd):
    """Ten people with 2 frontal images and a profile each; two folds of both experiments."""
    root = tmp_path / "cfp"
    names = {"F": [], "P": []}
    for person in range(10):
        for kind, view, images in (("F", "frontal", (0, 1)), ("P", "profile", (2,))):
            for n, image in enumerate(images, 1):
                target = root / "Data" / "Images" / f"{person + 1:03d}" / view / f"{n:02d}.jpg"
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes((crowd / f"p{person}" / f"{image}.png").read_bytes())
                names[kind].append(f"../Data/Images/{person + 1:03d}/{view}/{n:02d}.jpg")
    (root / "Protocol").mkdir()
    for kind, lines in names.items():
        text = "".join(f"{n} {name}\r\n" for n, name in enumerate(lines, 1))
        (root / "Protocol" / f"Pair_list_{kind}.txt").write_text(text)
    for experiment in ("FF", "FP"):
        for fold in (1, 2):
            folder = root / "Protocol" / "Split" / experiment / f"{fold:02d}"
            folder.mkdir(parents=True)
            people = range(5 * fold - 4, 5 * fold + 1)  # frontal 2 p - 1 and 2 p, profile p
            same = [(2 * p - 1, 2 * p if experiment == "FF" else p) for p in people]
            diff = [(2 * p - 1, 2 * p + 1 if experiment == "FF" else p % 10 + 1) for p in people if p < 10]
            (folder / "same.txt").write_text("".join(f"{a},{b}\n" for a, b in same))
            (folder / "diff.txt").write_text("".join(f"{a},{b}\n" for a, b in diff))
    return root


def test_cfp_by_hand(cfp):
    protocol = open_protocol("cfp", str(cfp))
    keys = [item.key for item in protocol.images.stream()]
    assert len(keys) == 30
    pairs = protocol.by_list["fp"]
    assert pairs.same.sum() == 10 and (~pairs.same).sum() == 9
    first = (keys[pairs.first[0]], keys[pairs.second[0]])
    assert first == ("001/frontal/01.jpg", "001/profile/01.jpg")
    assert (pairs.same == (pairs.identity[pairs.first] == pairs.identity[pairs.second])).all()
    assert sorted(set(pairs.fold)) == [1, 2]


def test_cfp_of_a_folder_and_of_an_archive_agree(cfp, tmp_path):
    with tarfile.open(tmp_path / "cfp.tar", "w") as archive:
        archive.add(cfp, "cfp")
    folder, archive = open_protocol("cfp", str(cfp)), open_protocol("cfp", str(tmp_path / "cfp.tar"))
    for experiment in ("ff", "fp"):
        np.testing.assert_array_equal(folder.by_list[experiment].first, archive.by_list[experiment].first)
        np.testing.assert_array_equal(folder.by_list[experiment].same, archive.by_list[experiment].same)


def test_cfp_through_the_command(cfp, pixel_model, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(urfr_tf.runs.load_model, "load_model", lambda path, bulk: pixel_model)
    command = [
        "evaluate",
        "--model",
        "m",
        "--protocol",
        "cfp",
        "--data",
        str(cfp),
        "--out",
        str(tmp_path / "out"),
    ]
    assert main([*command, "--align", "none"]) == 0
    assert pixel_model.images == 30  # both lists over the same embeddings
    content = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert {"ff/accuracy", "ff/accuracy_stderr", "fp/accuracy", "fp/rank1"} <= set(content["metrics"])
    assert content["counts"]["fp"]["genuine"] == 10
    assert "ff/accuracy " in capsys.readouterr().out
    with np.load(tmp_path / "out" / "scores.npz") as arrays:
        np.testing.assert_array_equal(arrays["scores"], arrays["fp_scores"])


@pytest.mark.parametrize(
    "file, text, sentence",
    [
        ("Split/FF/01/same.txt", "1,2\n3\n", "expected lines 'number,number' in FF/01/same.txt"),
        ("Split/FF/01/same.txt", "1,99\n", "line 1 of FF/01/same.txt in .* names number 99"),
        (
            "Pair_list_F.txt",
            "one ../Data/Images/001/frontal/01.jpg\n",
            "expected 'number ../Data/Images/...'",
        ),
        ("Pair_list_F.txt", None, r"expected CFP's Protocol/Pair_list_F.txt"),
        ("Split/FP/02/diff.txt", None, r"expected Protocol/Split/FP/02/diff.txt"),
    ],
)
def test_a_bad_cfp_is_a_sentence(cfp, file, text, sentence):
    path = cfp / "Protocol" / file
    if text is None:
        path.unlink()
    else:
        path.write_text(text)
    with pytest.raises(UrfrError, match=sentence):
        open_protocol("cfp", str(cfp))


def test_the_real_half_of_cfp():
    if not REAL.is_file():
        pytest.skip("needs ../shared/data/cfp_dev.tar")
    protocol = open_protocol("cfp", str(REAL))
    assert protocol.images.count == 3500
    for pairs in protocol.by_list.values():
        # Five folds of 350 same and 350 different pairs; what the list says is what the folders say.
        assert len(pairs.same) == 3500 and pairs.same.sum() == 1750
        assert (pairs.same == (pairs.identity[pairs.first] == pairs.identity[pairs.second])).all()
    views = [item.key.split("/")[1] for item in protocol.images.stream()]
    fp = protocol.by_list["fp"]
    assert {views[row] for row in fp.first} == {"frontal"} and {views[row] for row in fp.second} == {
        "profile"
    }


def test_bin_pairs(crowd, pixel_model, monkeypatch, tmp_path):
    # 20 pairs: two images of one person, then two of two; the ten folds are ten runs of four images.
    images = [(crowd / f"p{i // 2 + (i % 4 == 3)}" / f"{i % 2}.png").read_bytes() for i in range(40)]
    path = tmp_path / "made_up.bin"
    path.write_bytes(pickle.dumps((images, [i % 2 == 0 for i in range(20)])))
    pairs = open_protocol("bin", str(path))
    assert pairs.images.count == 40 and pairs.fold.tolist() == [i // 2 for i in range(20)]
    assert (
        pairs.first[:2].tolist() == [0, 2] and pairs.second[:2].tolist() == [1, 3] and pairs.identity is None
    )
    monkeypatch.setattr(urfr_tf.runs.load_model, "load_model", lambda path, bulk: pixel_model)
    command = [
        "evaluate",
        "--model",
        "m",
        "--protocol",
        "bin",
        "--data",
        str(path),
        "--out",
        str(tmp_path / "out"),
    ]
    assert main(command) == 0
    content = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert content["counts"]["set"] == "made_up" and content["metrics"]["accuracy"] > 0.6
    assert content["align"] == "none" and "rank1" not in content["metrics"]


def test_pairs_of_its_own_are_not_taken_from_elsewhere(tmp_path):
    with pytest.raises(UrfrError, match="cfp has pairs of its own"):
        open_protocol("cfp", str(tmp_path), "pairs.txt")
