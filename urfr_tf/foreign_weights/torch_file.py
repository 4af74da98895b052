"""PyTorch checkpoints (`torch.save`, zip format) and safetensors files, without PyTorch.

Only tensors are rebuilt. Everything else in a checkpoint is stepped over (see pickle_machine).
"""

import dataclasses
import io
import math
import os
import zipfile
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, deserialize

from urfr_tf.errors import UrfrError
from urfr_tf.foreign_weights.bounded import AnyArray, read_file
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


def read_tensors(path: str | os.PathLike[str]) -> dict[str, AnyArray]:
    """Reads the named tensors of a network from a `torch.save` file in zip format or a safetensors file.

    Returns:
        Arrays by name. Halves and bfloat16 become float32.

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


def _read_zip(content: bytes, where: str) -> dict[str, AnyArray]:
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
            raise UrfrError(f"{where} is damaged: its members are larger than the file")
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


def _rebuild_tensor(storage: object, offset: object, size: object, stride: object, *_: object) -> _Tensor:
    if not isinstance(storage, _Storage):
        raise ValueError("a tensor without a storage")
    sizes, strides, (start,) = _integers(size), _integers(stride), _integers((offset,))
    if len(sizes) != len(strides) or len(sizes) > 8:
        raise ValueError("a tensor of impossible size")
    return _Tensor(storage, start, sizes, strides)


def _integers(values: object) -> tuple[int, ...]:
    """Sizes of a tensor, checked."""
    if not isinstance(values, tuple | list):
        raise ValueError("a tensor of impossible size")
    integers = tuple(value for value in values if type(value) is int and 0 <= value < 2**48)
    if len(integers) < len(values):
        raise ValueError("a tensor of impossible size")
    return integers


def _find_storage(identity: object) -> _Storage:
    """("storage", the storage's class, its key, ...)."""
    if not isinstance(identity, tuple) or len(identity) < 3 or not isinstance(identity[1], Inert):
        raise ValueError("a storage without a type")
    return _Storage(identity[1].name.rpartition(".")[2], str(identity[2]))


_FUNCTIONS: dict[str, Callable[..., object]] = {
    "torch._utils._rebuild_tensor_v2": _rebuild_tensor,
    "torch._utils._rebuild_parameter": lambda tensor, *_: tensor,
    "collections.OrderedDict": lambda *_: {},
}
_RULES = PickleRules(_FUNCTIONS, _find_storage)


def _named_tensors(tree: object, where: str) -> dict[str, _Tensor]:
    if isinstance(tree, Inert):
        raise UrfrError(
            f"expected a state_dict in {where}, but got an object of {tree.name}; save model.state_dict()"
        )
    folders = [tree, *(tree[key] for key in NESTED if key in tree)] if isinstance(tree, dict) else []
    for folder in reversed(folders):
        values = folder if isinstance(folder, dict) else {}
        tensors = {k: v for k, v in values.items() if isinstance(k, str) and isinstance(v, _Tensor)}
        if tensors:
            return tensors
    raise UrfrError(
        f"expected tensors by name in {where} (also looked under {', '.join(NESTED)}), but there are none"
    )


def _as_array(tensor: _Tensor, archive: zipfile.ZipFile, folder: str, where: str) -> AnyArray:
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


def _decode(content: bytes, kind: str) -> AnyArray:
    if kind == BFLOAT16:  # The upper half of a float32.
        halves: NDArray[np.uint32] = np.frombuffer(content, "<u2").astype(np.uint32)
        return (halves << 16).view(np.float32)
    array: AnyArray = np.frombuffer(content, kind)
    return array.astype(np.float32) if kind == "<f2" else array


def _read_safetensors(content: bytes, where: str) -> dict[str, AnyArray]:
    """The library checks the header's length, the types, and that the tensors fill the file without
    overlapping.
    """
    try:
        return {
            name: _decode(entry["data"], SAFETENSORS[entry["dtype"]]).reshape(entry["shape"])
            for name, entry in sorted(deserialize(content), key=lambda item: item[0])
        }
    except (SafetensorError, ValueError, KeyError, OverflowError) as error:
        raise UrfrError(f"{where} is damaged: its safetensors header cannot be followed ({error})") from error
