"""Paths that TensorFlow takes for a pattern, or refuses, under another name."""

import os

import pytest
import tensorflow as tf

from urfr_tf.system.plain_paths import plain_path, real_path

ODD = [
    "exp[1]", "a*b", "what?", "back\\slash", "new\nline", b"caf\xe9".decode("utf-8", "surrogateescape"),
    "[!a]-{b,c}", "both\udce9[0]",
]  # fmt: skip
EVEN = ["a b", "quo'te\"s", "#1", "100%", "-x", "~", "$HOME", "café", "日本", "a,b@2", "]"]


@pytest.mark.parametrize("name", EVEN)
def test_other_names_stay_as_they_are(tmp_path, name):
    assert plain_path(tmp_path / name) == str(tmp_path / name)
    assert plain_path(name) == name


@pytest.mark.parametrize("name", ODD)
def test_odd_names_lead_to_the_same_place(tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    other = plain_path(folder)
    assert other != str(folder) and other.isascii() and plain_path(folder) == other
    assert os.path.samefile(other, folder)
    assert real_path(other) == str(folder) and real_path(f"{other}/step-1") == str(folder / "step-1")
    # A file that is about to be written, by TensorFlow, and is then read under its own name.
    with tf.io.TFRecordWriter(plain_path(folder / "a.tfrecord")) as writer:
        writer.write(b"record")
    assert list(tf.data.TFRecordDataset(plain_path(folder / "a.tfrecord")).as_numpy_iterator()) == [b"record"]
    # A file whose own name is odd.
    os.rename(folder / "a.tfrecord", folder / f"{name}.tfrecord")
    assert plain_path(folder / f"{name}.tfrecord").endswith(".tfrecord")
    assert len(list(tf.data.TFRecordDataset(plain_path(folder / f"{name}.tfrecord")))) == 1


@pytest.mark.parametrize("name", ODD)
def test_relative_paths(tmp_path, monkeypatch, name):
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / name)
    assert plain_path("x") == "x"
    os.mkdir(name)
    assert os.path.samefile(plain_path(name), tmp_path / name / name)


def test_an_error_of_tensorflow_stays_one(tmp_path):
    """With the bytes in its message it would be a UnicodeDecodeError."""
    folder = tmp_path / b"caf\xe9".decode("utf-8", "surrogateescape")
    folder.mkdir()
    with pytest.raises(tf.errors.NotFoundError):
        list(tf.data.TFRecordDataset(plain_path(folder / "none.tfrecord")))
