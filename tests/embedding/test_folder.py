"""`urfr embed`: order, arrays, what could not be embedded, interruption; with a model made of NumPy."""

import argparse
import json
import shutil

import cv2
import numpy as np
import pytest
from made_up import put_junk, refuse_folder

from urfr_tf.commands import embed as command
from urfr_tf.data.cropper import CropSettings
from urfr_tf.embedding import folder as embedding_folder
from urfr_tf.embedding.folder import embed_photographs, list_images
from urfr_tf.errors import UrfrError
from urfr_tf.runs.embedder import Embedder

SIZE = 32
SETTINGS = CropSettings(size=SIZE)


def summary_of(crops):
    """Three numbers that tell the images apart: their mean colours, of norm 1."""
    means = crops.mean(axis=(1, 2)).astype(np.float64)
    unit = means / np.linalg.norm(means, axis=1, keepdims=True)
    confidence = np.full([len(crops), 1], 5.0)
    return {"embedding": unit, "confidence": confidence, "variance": 1 / confidence}


def model_of(compute=summary_of, fingerprint="a" * 64):
    return Embedder("model", "run", SIZE, 1, 3, fingerprint, compute, {})


@pytest.fixture(scope="module")
def colours():
    return np.random.default_rng(0).integers(20, 236, [9, 3])


@pytest.fixture
def folder(tmp_path, colours):
    """Nine images of one color each in two folders, and a text file that is called an image."""
    for i, colour in enumerate(colours):
        path = tmp_path / "images" / "ab"[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.full([SIZE + 8, SIZE, 3], colour[::-1], np.uint8))
    (tmp_path / "images" / "a" / "9.jpg").write_text("not an image")
    return tmp_path / "images"


NO_IMAGE = "not an image: the content is not that of a JPEG, PNG, WebP, BMP, PGM or PPM"
ORDER = [0, 2, 4, 6, 8, None, 1, 3, 5, 7]  # a/0 a/2 ... a/8 a/9.jpg b/1 ...


def check(path, folder, colours, order=ORDER):
    with np.load(path, allow_pickle=False) as arrays:
        assert set(arrays) == {"embedding", "confidence", "path", "found", "refused"}
        embedding, confidence = arrays["embedding"], arrays["confidence"]
        names, found, refused = arrays["path"], arrays["found"], arrays["refused"]
    assert ((refused == "") == found).all() and refused.dtype.kind == "U"
    assert embedding.dtype == confidence.dtype == np.float32 and found.dtype == np.bool_
    assert embedding.shape == (len(order), 3) and confidence.shape == (len(order), 1)
    for row, i in enumerate(order):
        if i is None:
            assert names[row] == str(folder / "a" / "9.jpg")
            assert not found[row] and not embedding[row].any() and not confidence[row].any()
            assert refused[row] == NO_IMAGE
        else:
            assert names[row] == str(folder / "ab"[i % 2] / f"{i}.png")
            assert found[row] and confidence[row] == 5
            unit = colours[i] / np.linalg.norm(colours[i])
            np.testing.assert_allclose(embedding[row], unit, atol=1e-6)


def test_folder(folder, colours, tmp_path, monkeypatch):
    monkeypatch.setattr(embedding_folder, "BATCH", 4)
    calls = []
    summary = embed_photographs(
        model_of(),
        folder,
        tmp_path / "o.npz",
        SETTINGS,
        on_progress=lambda total, done: calls.append((total, done)),
    )
    check(tmp_path / "o.npz", folder, colours)
    assert (summary.images, summary.found, summary.refused) == (10, 9, {"not an image": 1})
    assert calls == [(10, 0), (10, 4), (10, 8), (10, 10)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "o.npz"]


def test_list_is_relative_to_itself(folder, colours, tmp_path):
    (folder / "list.txt").write_text("b/3.png\n\na/4.png\r\nmissing.png\n")
    embed_photographs(model_of(), folder / "list.txt", tmp_path / "o.npz", SETTINGS)
    with np.load(tmp_path / "o.npz") as arrays:
        assert [name[len(str(folder)) + 1 :] for name in arrays["path"]] == [
            "b/3.png",
            "a/4.png",
            "missing.png",
        ]
        np.testing.assert_array_equal(arrays["found"], [True, True, False])


def test_interrupted_it_goes_on(folder, colours, tmp_path, monkeypatch):
    monkeypatch.setattr(embedding_folder, "BATCH", 3)
    seen = []

    def compute(crops):
        if len(seen) == 2:
            raise KeyboardInterrupt
        seen.append(len(crops))
        return summary_of(crops)

    with pytest.raises(KeyboardInterrupt):
        embed_photographs(model_of(compute), folder, tmp_path / "o.npz", SETTINGS)
    assert not (tmp_path / "o.npz").exists()
    seen.clear()
    summary = embed_photographs(
        model_of(lambda crops: seen.append(len(crops)) or summary_of(crops)),
        folder,
        tmp_path / "o.npz",
        SETTINGS,
    )
    check(tmp_path / "o.npz", folder, colours)
    # Rows 0 to 5 were done; 6 to 8 and 9 remained.
    assert seen == [3, 1] and summary.found == 9 and summary.refused == {"not an image": 1}


@pytest.mark.parametrize("change", ["model", "images"])
def test_another_model_or_list_starts_anew(folder, colours, tmp_path, monkeypatch, change):
    monkeypatch.setattr(embedding_folder, "BATCH", 3)
    seen = []

    def compute(crops):
        if len(seen) == 2:
            raise KeyboardInterrupt
        seen.append(0)
        return summary_of(crops)

    with pytest.raises(KeyboardInterrupt):
        embed_photographs(model_of(compute), folder, tmp_path / "o.npz", SETTINGS)
    total = []
    model = model_of(lambda crops: total.append(len(crops)) or summary_of(crops))
    if change == "model":
        model = model_of(model.compute, fingerprint="b" * 64)
    else:
        (folder / "b" / "7.png").unlink()
    embed_photographs(model, folder, tmp_path / "o.npz", SETTINGS)
    check(tmp_path / "o.npz", folder, colours, ORDER if change == "model" else ORDER[:-1])
    assert sum(total) == (9 if change == "model" else 8)


def test_slices_together_are_the_whole(folder, tmp_path):
    embed_photographs(model_of(), folder, tmp_path / "whole.npz", SETTINGS)
    for i in (1, 2, 3):
        embed_photographs(model_of(), folder, tmp_path / f"{i}.npz", SETTINGS, list_slice=(i, 3))
    with np.load(tmp_path / "whole.npz") as whole:
        slices = [np.load(tmp_path / f"{i}.npz") for i in (1, 2, 3)]
        for name in whole:
            np.testing.assert_array_equal(np.concatenate([each[name] for each in slices]), whole[name])


def test_sources_without_images(folder, tmp_path):
    def sentence(source, **options):
        with pytest.raises(UrfrError) as error:
            embed_photographs(model_of(), source, tmp_path / "o.npz", SETTINGS, **options)
        assert not (tmp_path / "o.npz").exists()
        return str(error.value)

    (tmp_path / "empty").mkdir()
    assert "there is none" in sentence(tmp_path / "empty")
    assert "could not read the list" in sentence(tmp_path / "nothing")
    assert "is binary" in sentence(folder / "a" / "0.png")
    assert "is empty" in sentence(folder, list_slice=(1, 20))
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "x.jpg").write_bytes(b"")
    assert "none of the 1 images" in sentence(tmp_path / "bad") and "empty file" in sentence(tmp_path / "bad")


def test_the_result_cannot_be_a_folder(folder, tmp_path):
    with pytest.raises(UrfrError, match="is a folder"):
        embed_photographs(model_of(), folder, tmp_path, SETTINGS)


def test_names_of_any_bytes(tmp_path, colours):
    name = b"\xff\xfe\n.png".decode("utf-8", "surrogateescape")
    (tmp_path / "images").mkdir()
    _, data = cv2.imencode(".png", np.full([SIZE, SIZE, 3], colours[0][::-1], np.uint8))
    (tmp_path / "images" / name).write_bytes(data.tobytes())
    embed_photographs(model_of(), tmp_path / "images", tmp_path / "o.npz", SETTINGS)
    with np.load(tmp_path / "o.npz") as arrays:
        assert arrays["path"][0] == str(tmp_path / "images" / name) and arrays["found"][0]


def test_every_file_of_a_folder_is_accounted_for(tmp_path, colours):
    """By content, whatever the names are: what is no image is refused, and hidden files are counted."""
    _, png = cv2.imencode(".png", np.full([SIZE, SIZE, 3], 200, np.uint8))
    content = {"a.jfif": png, "b": png, "c.txt": png, "z/d.PNG": png, "notes.txt": b"x", "empty.jpg": b""}
    content["e.heic"] = b"\0\0\0\x18ftypheic"
    for name, data in content.items():
        (tmp_path / "all" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "all" / name).write_bytes(bytes(data))
    (tmp_path / "all" / "loop").symlink_to(tmp_path / "all")
    (tmp_path / "all" / "gone.jpg").symlink_to(tmp_path / "nowhere")
    (tmp_path / "all" / "empty" / "x").mkdir(parents=True)
    junk = put_junk(tmp_path / "all" / "z") + put_junk(tmp_path / "all" / "empty" / "x")
    summary = embed_photographs(model_of(), tmp_path / "all", tmp_path / "o.npz", SETTINGS)
    with np.load(tmp_path / "o.npz") as arrays:
        rows = zip(arrays["path"], arrays["found"], arrays["refused"], strict=True)
        reasons = {name[len(str(tmp_path)) + 5 :]: reason for name, found, reason in rows if not found}
        assert list(arrays["path"][arrays["found"]]) == [
            str(tmp_path / "all" / name) for name in ("a.jfif", "b", "c.txt", "z/d.PNG")
        ]
    assert reasons == {
        "loop": "unreadable: Is a directory",
        "e.heic": "format not read: HEIC, AVIF or a video; convert it to JPEG or PNG",
        "empty.jpg": "empty file",
        "gone.jpg": "unreadable: No such file or directory",
        "notes.txt": NO_IMAGE,
    }
    kinds = {"unreadable": 2, "format not read": 1, "empty file": 1, "not an image": 1}
    assert (summary.images, summary.found, summary.refused) == (9, 4, kinds)
    assert summary.ignored == f"ignored {junk} hidden or system files, for instance #recycle"


def test_a_folder_that_cannot_be_read_is_accounted_for(folder, monkeypatch):
    refuse_folder(monkeypatch, "a")
    assert list(list_images(folder)) == [
        *(str(folder / "b" / f"{i}.png") for i in (1, 3, 5, 7)),
        str(folder / "a"),
    ]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-8"])
def test_lists_of_any_editor(folder, tmp_path, encoding):
    """With a byte-order mark, other line ends, and names in another Unicode form than on the disk."""
    shutil.copy(folder / "a" / "0.png", folder / "a" / "Zoe\u0308.png")
    text = "b/3.png\r\n\r\na/Zo\u00eb.png\r\na/with space .png\r\na"
    (folder / "list.txt").write_bytes(text.encode(encoding))
    embed_photographs(model_of(), folder / "list.txt", tmp_path / "o.npz", SETTINGS)
    with np.load(tmp_path / "o.npz") as arrays:
        names = [name[len(str(folder)) + 1 :] for name in arrays["path"]]
        assert names == ["b/3.png", "a/Zo\u00eb.png", "a/with space .png", "a"]
        assert list(arrays["refused"]) == [
            "",
            "",
            "unreadable: No such file or directory",
            "unreadable: Is a directory",
        ]


def test_work_of_an_earlier_version_goes_on(folder, colours, tmp_path, monkeypatch):
    """It has no array of reasons; what it refused is told apart from what is refused now."""
    monkeypatch.setattr(embedding_folder, "BATCH", 6)
    (folder / "b" / "8.png").write_bytes(b"")

    def compute(crops):
        if len(crops) < 5:
            raise KeyboardInterrupt
        return summary_of(crops)

    with pytest.raises(KeyboardInterrupt):
        embed_photographs(model_of(compute), folder, tmp_path / "o.npz", SETTINGS)
    (tmp_path / ".o.npz.part" / "refused.npy").unlink()
    summary = embed_photographs(model_of(), folder, tmp_path / "o.npz", SETTINGS)
    assert summary.found == 9 and summary.refused == {"not an image": 1, "empty file": 1}
    with np.load(tmp_path / "o.npz") as arrays:
        reasons = arrays["refused"][~arrays["found"]].tolist()
    assert reasons == ["not known: refused by an earlier version, which kept no reasons", "empty file"]


def test_listing_is_sorted(folder):
    names = [path[len(str(folder)) + 1 :] for path in list_images(folder)]
    assert names == ["a/0.png", "a/2.png", "a/4.png", "a/6.png", "a/8.png", "a/9.jpg"] + [
        f"b/{i}.png" for i in (1, 3, 5, 7)
    ]


def test_command(folder, colours, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("urfr_tf.runs.load_model.load_model", lambda path: model_of())
    parser = argparse.ArgumentParser()
    command.arguments(parser)
    words = ["--model", "M", "--images", str(folder), "--out", str(tmp_path / "o.npz")]
    assert command.run(parser.parse_args([*words, "--json"])) == 0
    shown = capsys.readouterr()
    # No template in the card: the crops are centred squares.
    assert json.loads(shown.out) == {
        "out": str(tmp_path / "o.npz"),
        "align": "none",
        "images": 10,
        "found": 9,
        "refused": {"not an image": 1},
        "ignored": "",
    }
    assert "| 10/10 [" in shown.err
    check(tmp_path / "o.npz", folder, colours)
    assert command.run(parser.parse_args(words)) == 0
    assert "9 of 10 images embedded (align none), 1 not an image" in capsys.readouterr().out
    for bad in ("0/2", "3/2", "x", "1/"):
        with pytest.raises(SystemExit):
            parser.parse_args([*words, "--slice", bad])


@pytest.mark.parametrize(
    ("other", "starts_again"),
    [({}, False), ({"faces": "central"}, True), ({"min_face": 20}, True), ({"max_pixels": 10**6}, True)],
)
def test_interrupted_work_goes_on_with_the_same_settings_only(
    folder, tmp_path, monkeypatch, other, starts_again
):
    """Batches of 2: the second raises; the third call is of row 2, or of row 0 where it starts again."""
    monkeypatch.setattr(embedding_folder, "BATCH", 2)
    calls = []

    def compute(crops):
        calls.append(len(crops))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return summary_of(crops)

    with pytest.raises(KeyboardInterrupt):
        embed_photographs(model_of(compute), folder, tmp_path / "o.npz", SETTINGS)
    begun = []
    embed_photographs(
        model_of(compute),
        folder,
        tmp_path / "o.npz",
        CropSettings(size=SIZE, **other),
        on_progress=lambda total, done: begun.append(done),
    )
    assert (begun[0] == 0) == starts_again
