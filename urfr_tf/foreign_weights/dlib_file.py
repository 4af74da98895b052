"""dlib's `dlib_face_recognition_resnet_model_v1.dat`, without dlib.

Layout after dlib's `serialize.h`, `dnn/core.h`, `dnn/layers.h` and `cuda/tensor.h`: an integer is a control
byte (how many bytes follow, and the sign) and little-endian bytes; a real number is mantissa and exponent; a
tensor is a version, four sizes and raw float32. The file names its layers from the input to the output. A
network is known by that list, so another network of dlib's is refused by the first layer that differs.
"""

import dataclasses
import hashlib
import math
import os
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from urfr_tf import keys
from urfr_tf.errors import UrfrError
from urfr_tf.foreign_weights.bounded import BoundedReader, read_file
from urfr_tf.keras2 import keras

SHA256 = "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30"
"""Of the file as its author published it."""
LICENCE = (
    "license: CC0 1.0, which waives the rights of dlib's author, Davis King; the photographs that he trained "
    "on are from FaceScrub, VGG and the web"
)
"""Of that file, as a sentence for the user."""
LARGEST = 64 << 20
"""Bytes; the published file has 22,466,066."""
_LONGEST_NAME = 64
_MOST_VERSIONS = 1024  # the published file has 129
STAGES = ((32, 3), (64, 4), (128, 3), (256, 3), (256, 1))
"""Filters and blocks of the published network's stages."""
NUMBERS = 128
"""Of the embedding."""
_EMPTY = (0, 0, 0, 0)
Floats = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Convolution:
    """A convolution with the affine layer behind it folded in.

    Attributes:
        kernel: float64 [rows, columns, channels in, channels out].
        bias: float64 [channels out].
    """

    kernel: Floats
    bias: Floats


@dataclasses.dataclass(frozen=True)
class DlibNetwork:
    """The numbers of the network.

    Attributes:
        convolutions: from the input on; the published network has 29.
        dense: float64 [features, 128].
        mean: red, green and blue that are subtracted from pixels in 0..255 before they are divided by 256.
        sha256: of the file.
    """

    convolutions: tuple[Convolution, ...]
    dense: Floats
    mean: tuple[float, float, float]
    sha256: str


def read_dlib_network(path: str | os.PathLike[str], sha256: str | None = None) -> DlibNetwork:
    """Reads the face network.

    Args:
        path: the file.
        sha256: what the file must have; None accepts other weights of the same layers.

    Raises:
        UrfrError: the file is unreadable, too large, cut short, longer, another network, another file than
            `sha256`, or has values that are not finite.
    """
    try:
        size = os.stat(path).st_size
    except OSError as error:
        raise UrfrError(f"could not read {path}: {error.strerror or error}") from error
    if size > LARGEST:
        raise UrfrError(f"expected dlib's face network of 22 MB in {path}, but the file has {size} bytes")
    content = read_file(path)
    if sha256 and (digest := hashlib.sha256(content).hexdigest()) != sha256:
        raise UrfrError(
            f"expected dlib's face network with the SHA-256 {sha256} in {path}, but the file has {digest}"
        )
    return parse_dlib_network(content, str(path))


def parse_dlib_network(content: bytes, where: str, stages: Sequence[tuple[int, int]] = STAGES) -> DlibNetwork:
    """Reads a network of this kind that is in memory.

    Args:
        content: the file.
        where: its name, for messages.
        stages: filters and blocks of each stage; the first has the filters of the first convolution.

    Raises:
        UrfrError: see `read_dlib_network`.
    """
    reader = _Reader(content, where)
    mean = _read_head(reader)
    convolutions = tuple(_read_layers(reader, stages))
    dense = _read_dense(reader, stages[-1][0])
    if reader.left:
        raise UrfrError(f"{where} has {reader.left} bytes after its end; it is not dlib's face network")
    arrays = [array for layer in convolutions for array in (layer.kernel, layer.bias)]
    if not all(np.isfinite(array).all() for array in (*arrays, dense, np.asarray(mean))):
        raise UrfrError(f"{where} has weights that are not finite; it is damaged")
    return DlibNetwork(convolutions, dense, mean, hashlib.sha256(content).hexdigest())


class _Reader(BoundedReader):
    """dlib's numbers, names and tensors."""

    def integer(self, what: str) -> int:
        control = self.take(1, what)[0]
        count = control & 0x0F
        if not 1 <= count <= 8 or control & 0x70:
            raise UrfrError(
                f"{self.where} is damaged: no integer of dlib's at byte {self.position - 1} ({what})"
            )
        value = int.from_bytes(self.take(count, what), "little")
        return -value if control & 0x80 else value

    def integers(self, count: int, what: str) -> tuple[int, ...]:
        return tuple(self.integer(what) for _ in range(count))

    def real(self, what: str) -> float:
        mantissa, exponent = self.integers(2, what)
        if abs(exponent) > 1024:
            raise UrfrError(f"{self.where} is damaged: {what} has the exponent {exponent}")
        try:
            return math.ldexp(float(mantissa), exponent)
        except OverflowError as error:
            raise UrfrError(f"{self.where} is damaged: {what} is too large") from error

    def name(self, what: str) -> str:
        length = self.integer(what)
        if not 0 < length <= _LONGEST_NAME:
            raise UrfrError(
                f"expected dlib's face network in {self.where}, but the name of {what} has {length} letters: "
                "it is another file"
            )
        return bytes(self.take(length, what)).decode("ascii", "replace")

    def tensor(self, shape: tuple[int, ...], what: str) -> Floats:
        """A tensor of this shape, and of no other."""
        self.expect(2, f"the version of {what}")
        sizes = self.integers(4, what)
        if sizes != shape:
            raise self._another(f"{what} of sizes {shape}", sizes)
        raw = self.take(4 * math.prod(shape), what)
        return np.frombuffer(raw, "<f4").reshape(shape).astype(np.float64)

    def expect(self, value: int, what: str) -> None:
        got = self.integer(what)
        if got != value:
            raise UrfrError(f"expected {what} to be {value} in {self.where}, but got {got}")

    def expect_all(self, values: tuple[int, ...], what: str) -> None:
        got = self.integers(len(values), what)
        if got != values:
            raise self._another(f"{what} of {values}", got)

    def expect_name(self, name: str) -> None:
        got = self.name(f"the layer {name}")
        if got != name:
            raise self._another(f"a layer {name} before byte {self.position}", repr(got))

    def _another(self, expected: str, got: object) -> UrfrError:
        return UrfrError(
            f"expected dlib's face network in {self.where}, which has {expected}, but got {got}: "
            "it is another network"
        )

    def state(self) -> None:
        """What dlib keeps with every layer of a network at rest: three flags and three empty tensors."""
        flags = bytes(self.take(3, "a layer's flags"))
        if any(flag not in b"01" for flag in flags):
            raise UrfrError(f"{self.where} is damaged: a layer's flags are {flags!r}")
        for _ in range(3):
            self.tensor(_EMPTY, "a layer's gradient")


def assign_dlib_weights(network: DlibNetwork, model: keras.Model) -> int:
    """Copies the network into a model with the backbone `dlib_resnet` and one group; gives how many numbers.

    The model's pixels are u = (x - 127.5) / 128. dlib's are (x - mean) / 256 = u / 2 + (127.5 - mean) / 256,
    and the first convolution, which has no padding, takes that up exactly. The batch norm of the embedding
    becomes the identity.
    """
    convolutions = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    shift = (127.5 - np.asarray(network.mean)) / 256
    for number, (source, layer) in enumerate(zip(network.convolutions, convolutions, strict=True)):
        kernel, bias = source.kernel, source.bias
        if number == 0:
            kernel, bias = kernel / 2, bias + np.einsum("hwco,c->o", kernel, shift)
        layer.set_weights([kernel, bias])
    head = model.get_layer(keys.EMBEDDING)
    head.dense.set_weights([network.dense])
    if head.norm is not None:
        zeros = np.zeros(network.dense.shape[1])
        head.norm.set_weights([zeros, zeros, zeros + 1 - head.norm.epsilon])  # offset, mean, variance
    return sum(c.kernel.size + c.bias.size for c in network.convolutions) + network.dense.size


def _read_head(reader: _Reader) -> tuple[float, float, float]:
    """The loss, a version for each nested layer, and the input; gives the mean of the pixels."""
    reader.expect(1, "the version of the loss")
    reader.expect_name("loss_metric_2")
    reader.real("the loss's margin")
    reader.real("the loss's threshold")
    for _ in range(_MOST_VERSIONS):
        version = reader.integer("a layer's version")
        if version == 3:  # the input's
            break
        if version not in (1, 2):
            raise UrfrError(f"expected versions of layers in {reader.where}, but got {version}")
    reader.expect_name("input_rgb_image_sized")
    mean = reader.real("red"), reader.real("green"), reader.real("blue")
    reader.expect_all((150, 150), "the input's size")
    return mean


def _read_layers(reader: _Reader, stages: Sequence[tuple[int, int]]) -> Iterator[Convolution]:
    before = stages[0][0]
    yield _read_convolution(reader, 3, before, 7, 2)
    _read_relu(reader)
    _read_pool(reader, "max_pool_2", (3, 3, 2, 2, 0, 0))
    for stage, (filters, blocks) in enumerate(stages):
        for block in range(blocks):
            halve = stage > 0 and block == 0
            yield _read_convolution(reader, before, filters, 3, 2 if halve else 1)
            _read_relu(reader)
            yield _read_convolution(reader, filters, filters, 3, 1)
            if halve:
                _read_pool(reader, "avg_pool_2", (2, 2, 2, 2, 0, 0))
            reader.expect_name("add_prev_")
            reader.state()
            _read_relu(reader)
            before = filters
    _read_pool(reader, "avg_pool_2", (0, 0, 1, 1, 0, 0))


def _read_relu(reader: _Reader) -> None:
    reader.expect_name("relu_")
    reader.state()


def _read_pool(reader: _Reader, name: str, settings: tuple[int, ...]) -> None:
    reader.expect_name(name)
    reader.expect_all(settings, f"rows, columns, strides and padding of {name}")
    reader.state()


def _read_convolution(reader: _Reader, before: int, filters: int, side: int, stride: int) -> Convolution:
    """A convolution and the affine layer behind it."""
    reader.expect_name("con_4")
    count = filters * before * side * side
    numbers = reader.tensor((count + filters, 1, 1, 1), "a convolution's weights").ravel()
    padding = 1 if stride == 1 else 0
    reader.expect_all(
        (filters, side, side, stride, stride, padding, padding), "filters, size, strides and padding of con_4"
    )
    reader.expect_all((1, filters, before, side, side), "the kernel of con_4")
    reader.expect_all((1, 1, filters, 1, 1), "the bias of con_4")
    _read_rates(reader)
    reader.state()
    if before == 3:  # The layer next to the input keeps how many samples an image becomes.
        reader.expect(1, "the samples for an image")
    reader.expect_name("affine_")
    gamma, beta = reader.tensor((2 * filters, 1, 1, 1), "an affine layer's weights").reshape(2, filters)
    for what in ("scale", "offset"):
        reader.expect_all((1, 1, filters, 1, 1), f"the {what} of affine_")
    reader.expect(0, "the mode of affine_")
    reader.state()
    kernel = numbers[:count].reshape(filters, before, side, side).transpose(2, 3, 1, 0)
    return Convolution(kernel * gamma, numbers[count:] * gamma + beta)


def _read_rates(reader: _Reader) -> None:
    """Factors of learning rate and weight decay of weights and biases."""
    for what in ("rate", "decay", "bias's rate", "bias's decay"):
        reader.real(f"the factor of the {what}")


def _read_dense(reader: _Reader, before: int) -> Floats:
    reader.expect_name("fc_2")
    reader.expect_all((NUMBERS, before), "outputs and inputs of fc_2")
    dense = reader.tensor((before, NUMBERS, 1, 1), "the weights of fc_2").reshape(before, NUMBERS)
    reader.expect_all((1, before, NUMBERS, 1, 1), "the kernel of fc_2")
    reader.expect_all((1, *_EMPTY), "the bias of fc_2")
    reader.expect(1, "the mode of fc_2, which has no bias,")
    _read_rates(reader)
    reader.state()
    return dense
