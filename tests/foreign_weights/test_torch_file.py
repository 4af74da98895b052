"""PyTorch checkpoints and safetensors: goldens that PyTorch wrote (goldens/make_goldens.py), and damage."""

import json
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from urfr_tf.errors import UrfrError
from urfr_tf.foreign_weights.torch_file import read_tensors

GOLDENS = Path(__file__).parent / "goldens"
BASE = np.arange(6, dtype=np.float32).reshape(2, 3)
PLAIN = {
    "float": BASE,
    "double": BASE.astype(np.float64),
    "half": BASE,
    "bfloat16": BASE,
    "long": BASE.astype(np.int64),
    "bool": BASE > 2,
}


def test_lightning_checkpoint():
    """The network's tensors only: not the optimizer's, nor the Namespace and the path next to them."""
    tensors = read_tensors(GOLDENS / "lightning.ckpt")
    expected = {
        **PLAIN,
        "transposed": BASE.T,
        "row": BASE[1],
        "every_second": BASE[:, ::2],
        "parameter": BASE + 0.5,
        "scalar": np.float32(7),
        "empty": np.zeros((0, 3), np.float32),
    }
    assert list(tensors) == [f"model.{name}" for name in expected]
    for name, array in expected.items():
        np.testing.assert_array_equal(tensors[f"model.{name}"], array, err_msg=name, strict=True)


def test_safetensors():
    tensors = read_tensors(GOLDENS / "plain.safetensors")
    assert set(tensors) == set(PLAIN)
    for name, array in PLAIN.items():
        np.testing.assert_array_equal(tensors[name], array, err_msg=name, strict=True)


def test_a_whole_module_is_refused_by_name():
    with pytest.raises(
        UrfrError, match=r"an object of torch\.nn\.modules\.linear\.Linear; save model\.state_dict"
    ):
        read_tensors(GOLDENS / "whole_module.pt")


def rewritten(path, target, change, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w", compression) as new:
        for info in old.infolist():
            content = change(info.filename, old.read(info))
            if content is not None:
                new.writestr(info.filename, content)
    return target


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda name, c: None if name.endswith("data/0") else c, "the storage 0 is missing"),
        (
            lambda name, c: c[:-8] if name.endswith("data/0") else c,
            r"a tensor of \(2, 3\) exceeds its storage",
        ),
        (lambda name, c: None if name.endswith("data.pkl") else c, "expected one data.pkl"),
        (lambda name, c: b"big" if name.endswith("byteorder") else c, "big-endian"),
        (lambda name, c: c.replace(b"FloatStorage", b"QuuxxStorage"), "QuuxxStorage .* not supported"),
        # The first tensor's size (2, 3) becomes (255, 255), with the strides that it had.
        (
            lambda name, c: c.replace(b"K\x02K\x03\x86", b"K\xffK\xff\x86", 1),
            r"\(255, 255\) exceeds|larger than",
        ),
    ],
)
def test_checkpoints_with_something_wrong(tmp_path, change, message):
    path = rewritten(GOLDENS / "lightning.ckpt", tmp_path / "bad.ckpt", change)
    with pytest.raises(UrfrError, match=message):
        read_tensors(path)


def test_a_compressed_archive_is_refused(tmp_path):
    """It could unpack to a thousand times its size; torch.save never compresses."""
    path = rewritten(
        GOLDENS / "lightning.ckpt", tmp_path / "z.ckpt", lambda _, content: content, zipfile.ZIP_DEFLATED
    )
    with pytest.raises(UrfrError, match="is compressed"):
        read_tensors(path)


def test_other_files_are_named(tmp_path):
    for content in (b"", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", b"\x89PNG\r\n\x1a\n" * 4):
        (tmp_path / "x.pt").write_bytes(content)
        with pytest.raises(UrfrError, match="expected a PyTorch checkpoint in zip format"):
            read_tensors(tmp_path / "x.pt")
    with pytest.raises(UrfrError, match="could not read"):
        read_tensors(tmp_path / "missing.pt")


def test_no_tensors_is_one_sentence(tmp_path):
    path = rewritten(
        GOLDENS / "lightning.ckpt",
        tmp_path / "none.ckpt",
        lambda name, c: c.replace(b"state_dict", b"statE_dict"),
    )
    with pytest.raises(UrfrError, match="expected tensors by name"):
        read_tensors(path)


def safetensors(tmp_path, header, body=b"\0" * 24):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path = tmp_path / "x.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)
    return path


@pytest.mark.parametrize(
    "header",
    [
        {"a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 28]}},
        {"a": {"dtype": "F32", "shape": [2, 4], "data_offsets": [0, 24]}},
        {"a": {"dtype": "F32", "shape": [-2, -3], "data_offsets": [0, 24]}},
        {"a": {"dtype": "F32", "shape": [6], "data_offsets": [24, 0]}},
        {"a": {"dtype": "X9", "shape": [6], "data_offsets": [0, 24]}},
        {"a": {"dtype": "F32", "shape": 6, "data_offsets": [0, 24]}},
        {"a": {"dtype": "F32", "shape": [6]}},
        {"a": []},
        {f"a{i}": {"dtype": "F32", "shape": [6], "data_offsets": [0, 24]} for i in range(100)},
        {"a": {"dtype": "F32", "shape": [2**62, 4], "data_offsets": [0, 24]}},
        {"a": {"dtype": "F32", "shape": [6], "data_offsets": [0, 2**64 - 1]}},
        {"a": {"dtype": "F32", "shape": [3], "data_offsets": [12, 24]}},  # a gap
        {"a": {"dtype": "F8_E4M3", "shape": [24], "data_offsets": [0, 24]}},
        {"a": {"dtype": "F32", "shape": [1] * 200 + [6], "data_offsets": [0, 24]}},
        b"{" * 5000,
        b"{\xff}",
        b'{"a":' + b"[" * 100_000,
    ],
)
def test_safetensors_with_something_wrong(tmp_path, header):
    with pytest.raises(UrfrError, match="damaged"):
        read_tensors(safetensors(tmp_path, header))


@pytest.mark.parametrize("length", [1 << 20, 200_000_000, 1 << 63])
def test_a_header_longer_than_the_file_is_one_sentence(tmp_path, length):
    path = tmp_path / "x.safetensors"
    path.write_bytes(struct.pack("<Q", length) + b"{" + b" " * 50)
    with pytest.raises(UrfrError, match=r"x\.safetensors is damaged: its safetensors header"):
        read_tensors(path)


@pytest.mark.parametrize("golden", ["lightning.ckpt", "plain.safetensors"])
def test_cut_short_or_changed_anywhere(tmp_path, golden):
    content = (GOLDENS / golden).read_bytes()
    random, path = np.random.default_rng(0), tmp_path / golden
    for length in range(0, len(content), 37):
        path.write_bytes(content[:length])
        with pytest.raises(UrfrError):
            read_tensors(path)
    for _ in range(200):
        changed = bytearray(content)
        for place in random.integers(0, len(content), 3):
            changed[place] = random.integers(0, 256)
        path.write_bytes(changed)
        try:
            read_tensors(path)
        except UrfrError as error:
            assert str(path) in str(error)
