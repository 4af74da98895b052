"""What `urfr_tf.load` says of everything that is no model; whole exports: tests/export."""

from small_run import sentence


def test_paths_without_a_model(tmp_path):
    assert "does not exist" in sentence(tmp_path / "nothing")
    assert "is empty" in sentence(tmp_path)
    (tmp_path / "notes.txt").write_text("x")
    assert "neither config.yaml nor saved_model.pb" in sentence(tmp_path)
    assert "does not end in .tflite" in sentence(tmp_path / "notes.txt")


def test_files_that_are_no_tflite(tmp_path):
    path = tmp_path / "m.tflite"
    for content, words in [
        (b"", "does not start like one"),
        (b"just a text, not a model", "does not start like one"),
        (b"\x1c\0\0\0TFL3" + bytes(4), "truncated or damaged"),
        (b"\xff\xff\xff\x7fTFL3" + bytes(400), "truncated or damaged"),
    ]:
        path.write_bytes(content)
        assert words in sentence(path)


def test_saved_model_that_is_not_ours_or_damaged(tmp_path):
    (tmp_path / "saved_model.pb").touch()
    assert "that urfr export wrote" in sentence(tmp_path)
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "urfr.json").write_text("[]")
    assert "expected an object" in sentence(tmp_path)
    (tmp_path / "assets" / "urfr.json").write_text('{"input_size": 32, "groups": 4, "dim": 16}')
    assert "is damaged" in sentence(tmp_path)
