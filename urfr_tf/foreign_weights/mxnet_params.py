"""MXNet's `.params` files, without MXNet: a list of named arrays.

Layout after MXNet's `src/ndarray/ndarray.cc` (NDArray::Load, kMXAPINDArrayListMagic): a header of two
64-bit words, a counted list of arrays, a counted list of names, everything little-endian.
"""

import math
import os

import numpy as np

from urfr_tf.errors import UrfrError
from urfr_tf.foreign_weights.bounded import AnyArray, BoundedReader, read_file

LIST_MAGIC = 0x112
ARRAY_V1, ARRAY_V2, ARRAY_V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA
TYPES = ("<f4", "<f8", "<f2", "u1", "<i4", "i1", "<i8")
MOST_DIMENSIONS = 8
SMALLEST_ARRAY = 8


def read_params(path: str | os.PathLike[str]) -> dict[str, AnyArray]:
    """Reads the arrays of a `.params` file by name, with `arg:` and `aux:`.

    Raises:
        UrfrError: the file is unreadable, is not such a list, or says sizes that it does not have.
    """
    reader = BoundedReader(read_file(path), str(path))
    magic, _ = reader.unpack("QQ", "the header")
    if magic != LIST_MAGIC:
        raise UrfrError(f"expected an MXNet .params file (magic 0x112) in {path}, but got 0x{magic:x}")
    arrays = [_array(reader) for _ in range(_count(reader, SMALLEST_ARRAY, "arrays"))]
    names = [_name(reader) for _ in range(_count(reader, 8, "names"))]
    if len(names) != len(arrays) or len(set(names)) != len(names):
        raise UrfrError(f"expected one name for each of {len(arrays)} arrays in {path}, but got {len(names)}")
    if reader.left:
        raise UrfrError(f"{path} has {reader.left} bytes after its end; it is not a plain .params file")
    return dict(zip(names, arrays, strict=True))


def _count(reader: BoundedReader, smallest: int, what: str) -> int:
    (count,) = reader.unpack("Q", f"the number of {what}")
    if count * smallest > reader.left:
        raise UrfrError(f"{reader.where} is cut short or damaged: it promises {count} {what}")
    return int(count)


def _name(reader: BoundedReader) -> str:
    (length,) = reader.unpack("Q", "a name's length")
    try:
        return bytes(reader.take(length, "a name")).decode("utf-8")
    except UnicodeDecodeError as error:
        raise UrfrError(f"{reader.where} is damaged: a name is not UTF-8") from error


def _array(reader: BoundedReader) -> AnyArray:
    (magic,) = reader.unpack("I", "an array's header")
    if magic in (ARRAY_V2, ARRAY_V3):
        (storage,) = reader.unpack("i", "an array's storage type")
        if storage != 0:
            raise UrfrError(f"expected dense arrays in {reader.where}, but got storage type {storage}")
    if magic in (ARRAY_V1, ARRAY_V2, ARRAY_V3):
        (dimensions,) = reader.unpack("i", "an array's number of dimensions")
        word = "q"
    else:  # Before version 1 the place of the magic held the number of dimensions, each of 32 bits.
        dimensions, word = magic, "I"
    # A none-array, which ends here, has no place in a list of weights: 0 dimensions, or -1 in version 3.
    if not 1 <= dimensions <= MOST_DIMENSIONS:
        raise UrfrError(f"expected 1 to {MOST_DIMENSIONS} dimensions in {reader.where}, but got {dimensions}")
    shape = reader.unpack(f"{dimensions}{word}", "an array's shape")
    _, _, kind = reader.unpack("iii", "an array's device and type")
    if not 0 <= kind < len(TYPES):
        raise UrfrError(
            f"expected an array type from 0 to {len(TYPES) - 1} in {reader.where}, but got {kind}"
        )
    if min(shape) < 1:
        raise UrfrError(f"expected sizes of 1 and more in {reader.where}, but got the shape {shape}")
    dtype = np.dtype(TYPES[kind])
    content = reader.take(math.prod(shape) * dtype.itemsize, f"an array of shape {shape}")
    return np.frombuffer(content, dtype).reshape(shape)
