"""PyTorch checkpoints (`torch.save`, zip format) and safetensors files, without PyTorch.

Only tensors are rebuilt; everything else in a checkpoint is stepped over (see pickle_machine).
"""

import dataclasses
import io
import json
import math
import os
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np

from urfr_tf.errors import UrfrError
from urfr_tf.foreign_weights.bounded import BoundedReader, read_file
from urfr_tf.foreign_weights.pickle_machine import Inert, PickleRules, run_pickle

BFLOAT16 = "bfloat16"
STORAGES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "BFloat16Storage": BFLOAT16,
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}
SAFETENSORS = {
    "F32": "<f4",
    "F64": "<f8",
    "F16": "<f2",
    "BF16": BFLOAT16,
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U8": "u1",
    "BOOL": "?",
}
# Where projects keep the network inside a checkpoint: PyTorch Lightning (AdaFace), arcface_torch, others.
NESTED = ("state_dict", "state_dict_backbone", "model_state_dict", "backbone", "model", "net")
_LONGEST_HEADER = 100_000_000


@dataclasses.dataclass
class _Storage:
    kind: str
    key: str


@dataclasses.dataclass
class _Tensor:
    storage: _Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


def read_tensors(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """The named tensors of a network: a `torch.save` file in zip format or a safetensors file.

    Returns:
        Arrays by name; halves and bfloat16 as float32.

    Raises:
        UrfrError: neither format, no tensors by name in it, or sizes that the file does not have.
    """
    content = read_file(path)
    if content[:4] == b"PK\x03\x04":
        return _read_zip(content, str(path))
    if content[8:9] == b"{":
        return _read_safetensors(content, str(path))
    raise UrfrError(
        "expected a PyTorch checkpoint in zip format (torch.save of PyTorch 1.6 or newer) or safetensors "
        f"in {path}; load an older one in PyTorch and save its state_dict again"
    )


def _read_zip(content: bytes, where: str) -> dict[str, np.ndarray]:
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
        infos = {info.filename: info for info in archive.infolist()}
        pickles = [name for name in infos if name == "data.pkl" or name.endswith("/data.pkl")]
        # torch.save stores without compression, so nothing may grow beyond the file itself.
        if any(i.compress_type != zipfile.ZIP_STORED or i.flag_bits & 1 for i in infos.values()):
            raise UrfrError(
                f"expected an uncompressed archive as torch.save writes it, but {where} is compressed"
            )
        if sum(info.file_size for info in infos.values()) > len(content):
            raise UrfrError(f"{where} is damaged: its parts are larger than the file")
        if len(pickles) != 1:
            raise UrfrError(f"expected one data.pkl in the archive {where}, but it has {len(pickles)}")
        folder = pickles[0][: -len("data.pkl")]
        order = f"{folder}byteorder"
        if order in infos and archive.read(order) != b"little":
            raise UrfrError(f"{where} was written on a big-endian machine, which is not supported")
        tree = run_pickle(archive.read(pickles[0]), where, _RULES)
        tensors = _named_tensors(tree, where)
        # Names may share a storage; a small file must not ask for a huge memory by that.
        if sum(math.prod(tensor.size) for tensor in tensors.values()) > len(content):
            raise UrfrError(f"{where} is damaged: its tensors are larger than the file")
        return {name: _as_array(t, archive, f"{folder}data/", where) for name, t in tensors.items()}
    except (zipfile.BadZipFile, NotImplementedError, OSError, EOFError, ValueError, OverflowError) as error:
        raise UrfrError(f"{where} is damaged: {error}") from error


def _rebuild_tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> _Tensor:
    if not isinstance(storage, _Storage) or len(size) != len(stride) or not 0 <= len(size) <= 8:
        raise ValueError("a tensor without a storage")
    if not all(type(n) is int and 0 <= n < 2**48 for n in (offset, *size, *stride)):
        raise ValueError("a tensor of impossible size")
    return _Tensor(storage, offset, tuple(size), tuple(stride))


def _persistent(identity: Any) -> _Storage:
    _, kind, key = identity[:3]
    return _Storage(kind.name.rpartition(".")[2], str(key))


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "torch._utils._rebuild_tensor_v2": _rebuild_tensor,
    "torch._utils._rebuild_parameter": lambda tensor, *_: tensor,
    "collections.OrderedDict": lambda *_: {},
}
_RULES = PickleRules(FUNCTIONS, _persistent)


def _named_tensors(tree: Any, where: str) -> dict[str, _Tensor]:
    if isinstance(tree, Inert):
        raise UrfrError(
            f"expected a state_dict in {where}, but got an object of {tree.name}; save model.state_dict()"
        )
    places = [tree, *(tree[key] for key in NESTED if key in tree)] if isinstance(tree, dict) else []
    for place in reversed(places):
        tensors = place if isinstance(place, dict) else {}
        tensors = {k: v for k, v in tensors.items() if isinstance(k, str) and isinstance(v, _Tensor)}
        if tensors:
            return tensors
    raise UrfrError(
        f"expected tensors by name in {where} (also looked under {', '.join(NESTED)}), but there are none"
    )


def _as_array(tensor: _Tensor, archive: zipfile.ZipFile, folder: str, where: str) -> np.ndarray:
    kind = STORAGES.get(tensor.storage.kind)
    if kind is None:
        raise UrfrError(f"tensors of {tensor.storage.kind} in {where} are not supported")
    try:
        content = archive.read(folder + tensor.storage.key)
    except KeyError as error:
        raise UrfrError(f"{where} is damaged: the storage {tensor.storage.key} is missing") from error
    count = math.prod(tensor.size)
    flat = _decode(content[: len(content) // _width(kind) * _width(kind)], kind)
    last = tensor.offset + sum((n - 1) * step for n, step in zip(tensor.size, tensor.stride, strict=True))
    if count and (last >= flat.size or count > flat.size):
        raise UrfrError(f"{where} is damaged: a tensor of {tensor.size} exceeds its storage of {flat.size}")
    if not count:
        return np.zeros(tensor.size, flat.dtype)
    strides = [step * flat.itemsize for step in tensor.stride]
    return np.lib.stride_tricks.as_strided(flat[tensor.offset :], tensor.size, strides).copy()


def _width(kind: str) -> int:
    return 2 if kind == BFLOAT16 else np.dtype(kind).itemsize


def _decode(content: bytes | memoryview, kind: str) -> np.ndarray:
    if kind == BFLOAT16:  # The upper half of a float32.
        return (np.frombuffer(content, "<u2").astype(np.uint32) << 16).view(np.float32)
    array = np.frombuffer(content, kind)
    return array.astype(np.float32) if kind == "<f2" else array


def _read_safetensors(content: bytes, where: str) -> dict[str, np.ndarray]:
    reader = BoundedReader(content, where)
    (length,) = reader.unpack("Q", "the header's length")
    if length > _LONGEST_HEADER:
        raise UrfrError(f"expected a safetensors file in {where}, but its header would be {length} bytes")
    try:
        header = json.loads(bytes(reader.take(length, "the header")))
        entries = {name: entry for name, entry in header.items() if name != "__metadata__"}
        body = reader.take(reader.left, "the tensors")
        if sum(math.prod(entry["shape"]) for entry in entries.values()) > len(body):
            raise ValueError("its tensors are larger than the file")
        return {name: _safetensor(entry, body) for name, entry in entries.items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError) as error:
        raise UrfrError(f"{where} is damaged: its safetensors header cannot be followed ({error})") from error


def _safetensor(entry: Any, body: memoryview) -> np.ndarray:
    kind, shape, (start, end) = SAFETENSORS[entry["dtype"]], entry["shape"], entry["data_offsets"]
    if not all(type(n) is int and n >= 0 for n in (*shape, start, end)) or not start <= end <= len(body):
        raise ValueError("a tensor outside the file")
    if math.prod(shape) * _width(kind) != end - start:
        raise ValueError(f"{end - start} bytes for a tensor of {shape}")
    return _decode(body[start:end], kind).reshape(shape)
