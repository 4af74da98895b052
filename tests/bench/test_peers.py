"""The locks of the benchmark's peers: every distribution has a version and a hash."""

import re

import pytest

from urfr_tf.bench import peers


@pytest.mark.parametrize("lock", [peers.RUNTIMES, peers.CONVERTER], ids=lambda path: path.stem)
def test_a_lock_has_what_was_asked_for_and_a_hash_for_everything(lock):
    versions = peers.locked_versions(lock)
    text = lock.with_suffix(".in").read_text()
    requested = dict(line.split("==") for line in text.splitlines() if "==" in line)
    assert {name: versions[name] for name in requested} == requested
    entries = re.split(r"\n(?=[a-z])", lock.read_text())[1:]
    assert len(entries) >= len(versions)
    assert all("--hash=sha256:" in entry for entry in entries)


def test_the_converter_brings_nothing_that_this_environment_has():
    assert set(peers.locked_versions(peers.CONVERTER)) == {"tf2onnx", "onnx"}


def test_another_lock_is_another_environment(tmp_path, monkeypatch):
    """A complete environment is taken as it is; the digest of the locks is in its folder's name."""
    monkeypatch.setenv("URFR_HOME", str(tmp_path))
    installed = []
    monkeypatch.setattr(peers.venv, "create", lambda folder, **_: folder.mkdir(parents=True))
    monkeypatch.setattr(peers, "_pip", lambda python, words: installed.append(python.parent.parent))
    first = peers.peers_environment()
    assert peers.peers_environment() == first
    assert len(installed) == 2  # once each
    other = tmp_path / "converter.txt"
    other.write_text(peers.CONVERTER.read_text() + "\n# changed\n")
    monkeypatch.setattr(peers, "CONVERTER", other)
    assert peers.peers_environment().python != first.python
    assert first.versions == {
        "ai-edge-litert": "2.3.0",
        "onnxruntime": "1.23.2",
        "tf2onnx": "1.16.1",
        "onnx": "1.16.1",
    }
