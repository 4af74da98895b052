"""Digests of files, and files that are opened because somebody else's file names them."""

import os

import pytest

from urfr_tf.errors import UrfrError
from urfr_tf.files import file_sha256, find_beside, open_regular, read_json, write_json, write_text


def test_sha256_of_a_file(tmp_path):
    # The test vector of FIPS 180-2, appendix B.1, and an empty file.
    (tmp_path / "abc").write_bytes(b"abc")
    assert file_sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    (tmp_path / "empty").touch()
    assert (
        file_sha256(tmp_path / "empty") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    )


def test_only_regular_files_are_opened(tmp_path):
    """A pipe would keep the reader waiting and a device would never end."""
    os.mkfifo(tmp_path / "pipe")
    for path, words in [
        (tmp_path / "pipe", "a pipe, a socket or a device"),
        ("/dev/zero", "a pipe, a socket or a device"),
        (tmp_path, "it is a folder"),
        (tmp_path / "missing", "No such file"),
        ("a\0b", "null"),
    ]:
        for read in (open_regular, read_json):
            with pytest.raises(UrfrError, match=words):
                read(path)


def test_json_that_is_deeper_than_the_stack(tmp_path):
    (tmp_path / "a.json").write_text("[" * 100_000)
    with pytest.raises(UrfrError, match="nested too deeply"):
        read_json(tmp_path / "a.json")


def test_a_file_that_another_one_names(tmp_path):
    owner = tmp_path / "net" / "owner"
    owner.parent.mkdir()
    owner.touch()
    (owner.parent / "real").touch()
    (owner.parent / "alias").symlink_to("real")
    (owner.parent / "out").symlink_to("../other")
    (tmp_path / "other").touch()
    (tmp_path / "linked").symlink_to("net")
    for name in ("real", "alias"):
        assert find_beside(owner, name) == owner.parent / name
        assert find_beside(tmp_path / "linked" / "owner", name) == tmp_path / "linked" / name
    for name, words in [
        ("out", "it is a link to"),
        ("gone", "No such file"),
        ("../other", "plain name"),
        (str(tmp_path / "other"), "plain name"),
        ("a\0b", "plain name"),
        ("", "plain name"),
        ("..", "plain name"),
        (None, "plain name"),
        (3, "plain name"),
    ]:
        with pytest.raises(UrfrError, match=words):
            find_beside(owner, name)


def test_names_that_are_not_utf8_are_written_as_utf8_and_read_back(tmp_path):
    name = b"caf\xe9".decode("utf-8", "surrogateescape")
    content = {"path": f"/é/{name}", name: [name]}
    write_json(tmp_path / f"{name}.json", content)
    assert "\\udce9" in (tmp_path / f"{name}.json").read_bytes().decode("utf-8")
    assert read_json(tmp_path / f"{name}.json") == content
    write_text(tmp_path / "page.html", f"<p>{name} é</p>")
    assert (tmp_path / "page.html").read_bytes().decode("utf-8") == "<p>caf\\udce9 é</p>"
