"""ONNX tensors -> arrays, inside the file or in a data file in the same folder."""

import math
import os
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from urfr_tf.errors import UrfrError
from urfr_tf.files import find_beside, open_regular
from urfr_tf.foreign_weights.bounded import AnyArray
from urfr_tf.foreign_weights.onnx_schema import OnnxTensor

# TensorProto.DataType: (NumPy type of raw_data, field of unpacked values)
TYPES = {
    1: ("<f4", "float_data"),
    6: ("<i4", "int32_data"),
    7: ("<i8", "int64_data"),
    10: ("<f2", "int32_data"),
    11: ("<f8", "double_data"),
}
EXTERNAL = 1
_NUMBER = re.compile(r"[0-9]{1,18}")


class TensorReader:
    """Decodes the tensors of one ONNX file; external data must lie in the same folder."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.files: dict[str, NDArray[np.uint8]] = {}

    def read(self, tensor: OnnxTensor) -> AnyArray:
        """Gives the array of a tensor message; halves become float32.

        Raises:
            UrfrError: a type that weights do not have, or a size that the data do not have.
        """
        shape = tuple(tensor.dims)
        if tensor.data_type not in TYPES or len(shape) > 8 or any(n < 0 for n in shape):
            raise UrfrError(
                f"the tensor {tensor.name} of {self.path} has type {tensor.data_type} and shape {shape}, "
                "which weights of a network do not have"
            )
        layout, field = TYPES[tensor.data_type]
        dtype = np.dtype(layout)
        if tensor.data_location == EXTERNAL:
            flat = np.frombuffer(self._external(tensor, math.prod(shape) * dtype.itemsize), dtype)
        elif tensor.raw_data:
            if len(tensor.raw_data) % dtype.itemsize:
                raise UrfrError(f"the tensor {tensor.name} of {self.path} is cut short")
            flat = np.frombuffer(tensor.raw_data, dtype)
        elif dtype == np.float16:  # Unpacked halves are stored as the integers of their bits.
            flat = np.array(getattr(tensor, field), np.uint32).astype(np.uint16).view(np.float16)
        else:
            flat = np.array(getattr(tensor, field), dtype)
        if flat.size != math.prod(shape):
            raise UrfrError(
                f"the tensor {tensor.name} of {self.path} has {flat.size} values for the shape {shape}"
            )
        return flat.reshape(shape).astype(np.float32 if dtype == np.float16 else dtype)

    def _external(self, tensor: OnnxTensor, size: int) -> bytes:
        entries = {entry.key: entry.value for entry in tensor.external_data}
        location = entries.get("location", "")
        numbers = entries.get("offset", "0"), entries.get("length", str(size))
        if not all(_NUMBER.fullmatch(number) for number in numbers):
            raise UrfrError(
                f"expected offset and length of the tensor {tensor.name} of {self.path} in bytes, but got "
                f"{' and '.join(number[:20] for number in numbers)}"
            )
        start, length = map(int, numbers)
        if length != size:
            raise UrfrError(
                f"expected {size} bytes of the tensor {tensor.name} of {self.path}, but it has {length}"
            )
        if location not in self.files:
            self.files[location] = self._map_file(find_beside(self.path, location))
        data = self.files[location]
        if start + size > data.size:
            raise UrfrError(
                f"{self.path.with_name(location)} is cut short: {tensor.name} ends at {start + size}"
            )
        return data[start : start + size].tobytes()

    def _map_file(self, data_file: Path) -> NDArray[np.uint8]:
        try:
            with open_regular(data_file) as file:
                return np.memmap(file, np.uint8, "r")
        except (OSError, ValueError) as error:  # An empty file cannot be mapped.
            raise UrfrError(f"could not read {data_file}, which {self.path} names: {error}") from error
