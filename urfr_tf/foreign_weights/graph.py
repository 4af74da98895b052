"""A network as a small graph of operations: the common form of every file that is imported.

Readers (mxnet, torch, onnx) build it, and `tidy_graph` brings it into one shape. The same form is read off a
Keras backbone. Two graphs are then compared operation by operation.
"""

import dataclasses
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from urfr_tf.errors import UrfrError
from urfr_tf.foreign_weights.bounded import AnyArray
from urfr_tf.foreign_weights.pixels import PIXELS, Pixels, choose_pixels

INPUT, CONVOLUTION, NORM, PRELU, DENSE, ADD = "input", "convolution", "batch norm", "PReLU", "dense", "add"


class Signature(NamedTuple):
    """What two operations must share for the weights of one to fit the other; the shape is the weights'."""

    kind: str
    shape: tuple[int, ...]
    stride: int
    padding: int
    groups: int


@dataclasses.dataclass(eq=False)
class Operation:
    """One operation on the outputs of `sources`.

    Arrays by kind, float32:

    - convolution: `kernel` [k, k, in / groups, out] and perhaps `bias` [out]
    - dense: `kernel` [in, out] with `in` in the order channel, row, column, and perhaps `bias` [out]
    - batch norm: `scale`, `offset`, `mean`, `variance`, each [C]
    - PReLU: `slope` [C]
    - input: `scale` and `offset`, each [3]: what the network makes of pixels 0..255 in its own order of
      channels; none where the file does not say it
    """

    kind: str
    name: str
    sources: list["Operation"] = dataclasses.field(default_factory=list)
    arrays: dict[str, AnyArray] = dataclasses.field(default_factory=dict)
    stride: int = 1
    padding: int = 0
    groups: int = 1
    epsilon: float = 0.0

    def signature(self) -> Signature:
        """Gives what must be equal for the weights of one operation to fit another."""
        shape: tuple[int, ...] = ()
        if self.kind in (CONVOLUTION, DENSE):
            shape = self.arrays["kernel"].shape
        elif self.kind == NORM:
            shape = self.arrays["offset"].shape
        return Signature(self.kind, shape, self.stride, self.padding, self.groups)

    def __str__(self) -> str:
        """Gives kind, name and what the signature holds, for messages."""
        _, shape, stride, padding, groups = self.signature()
        words = [f"{self.kind} {self.name}"]
        if shape:
            words.append("x".join(map(str, shape)))
        if self.kind == CONVOLUTION:
            words.append(f"stride {stride} padding {padding}" + (f" groups {groups}" if groups > 1 else ""))
        return " ".join(words)


def make_image_input(scale: float = 1.0, offset: float = 0.0) -> Operation:
    """Makes the input of a network that sees pixel * scale + offset."""
    return Operation(INPUT, "image", arrays={"scale": np.full(3, scale), "offset": np.full(3, offset)})


def make_open_input() -> Operation:
    """Makes the input of a network whose file does not say what it makes of pixels."""
    return Operation(INPUT, "image")


def make_offset_norm(name: str, source: Operation, offset: AnyArray) -> Operation:
    """Makes the batch norm that only adds `offset` [C]."""
    one = np.ones_like(offset, np.float32)
    arrays = {"scale": one, "offset": offset.astype(np.float32), "mean": 0 * one, "variance": one}
    return Operation(NORM, name, [source], arrays)


def take_every_second(source: Operation, name: str) -> Operation:
    """Takes every second row and column, with a 1 x 1 convolution and a batch norm that do just that.

    Raises:
        UrfrError: no operation before says how many channels there are.
    """
    before = source
    while before.kind not in (CONVOLUTION, NORM):
        if not before.sources:
            raise UrfrError(f"the number of channels at {name} cannot be told")
        before = before.sources[0]
    channels = before.signature().shape[-1]
    kernel = np.eye(channels, dtype=np.float32)[None, None]
    convolution = Operation(CONVOLUTION, name, [source], {"kernel": kernel}, stride=2)
    return make_offset_norm(f"{name}_norm", convolution, np.zeros(channels, np.float32))


def list_operations(output: Operation) -> list[Operation]:
    """Lists all operations that `output` needs, sources before users, in an order of structure alone.

    At an addition the longer branch comes first. So two graphs of one structure list their operations in the
    same order, whatever order their files have.

    Raises:
        UrfrError: the graph has a loop, or an addition with two branches of the same length.
    """
    depth: dict[int, int] = {}
    for operation in _walk_sources_first(output):
        depth[id(operation)] = 1 + max((depth[id(source)] for source in operation.sources), default=0)
    for operation in _walk_sources_first(output):
        depths = [depth[id(source)] for source in operation.sources]
        if len(set(depths)) < len(depths):
            raise UrfrError(f"the branches of {operation} have the same length and cannot be told apart")
        operation.sources.sort(key=lambda source: -depth[id(source)])
    return list(_walk_sources_first(output))


def _walk_sources_first(output: Operation) -> Iterator[Operation]:
    """Walks the graph without recursion, since a file decides how deep it is."""
    done: set[int] = set()
    on_path: set[int] = set()
    stack = [output]
    while stack:
        operation = stack[-1]
        waiting = [source for source in operation.sources if id(source) not in done]
        if not waiting:
            stack.pop()
            on_path.discard(id(operation))
            if id(operation) not in done:
                done.add(id(operation))
                yield operation
            continue
        if id(operation) in on_path:
            raise UrfrError(f"the graph has a loop at {operation.kind} {operation.name}")
        on_path.add(id(operation))
        stack.extend(reversed(waiting))


def accept_our_pixels(
    output: Operation,
    blue_first: bool = False,
    said: Pixels | None = None,
    assumed: Pixels | None = PIXELS["centered"],
) -> Pixels:
    """Changes the first convolution so that it takes (pixel - zero) / 128 in the order R, G, B.

    This is exact up to float32's rounding, at the image's border too, if our network is built for the
    returned zero: what pads the border stands for the same pixel before and after.

    Args:
        output: the graph, changed in place.
        blue_first: the network was trained on B, G, R.
        said: what the user says that the network makes of pixels.
        assumed: what it makes of them where nobody says it; None asks.

    Returns:
        What the network makes of pixels.

    Raises:
        UrfrError: the input goes into no convolution, or `choose_pixels` refuses.
    """
    chosen: Pixels | None = None
    for operation in _walk_sources_first(output):
        for source in operation.sources:
            if source.kind != INPUT:
                continue
            if operation.kind != CONVOLUTION:
                raise UrfrError(f"expected a convolution at the input, but the file has {operation}")
            chosen = choose_pixels(_read_pixels(source, blue_first), said, assumed)
            scale, _ = chosen.network_order(blue_first)
            kernel = operation.arrays["kernel"] * (128 * scale)[:, None]
            operation.arrays["kernel"] = (kernel[:, :, ::-1] if blue_first else kernel).astype(np.float32)
    if chosen is None:
        raise UrfrError("expected a convolution at the input, but nothing in the file takes the image")
    return chosen


def says_pixels(output: Operation) -> bool:
    """Returns whether a file says what its network makes of pixels."""
    return any(operation.kind == INPUT and operation.arrays for operation in _walk_sources_first(output))


def _read_pixels(image: Operation, blue_first: bool) -> Pixels | None:
    """Gives what a file says that its network makes of pixels, for R, G, B; None where it does not say it."""
    if not image.arrays:
        return None
    step = -1 if blue_first else 1
    scale, offset = (np.broadcast_to(image.arrays[name], 3)[::step] for name in ("scale", "offset"))
    with np.errstate(divide="ignore", invalid="ignore"):
        zero = 0.0 - offset / scale
    return Pixels(tuple(map(float, zero)), tuple(map(float, scale)))


def tidy_graph(output: Operation) -> tuple[Operation, int]:
    """Gives every convolution and dense layer a batch norm of its own, and no bias.

    A bias goes into the mean of the batch norm that follows: (x + b - mean) = x - (mean - b). Where an
    exporter has folded the batch norm away, one that only adds the bias takes its place.

    Args:
        output: the graph, changed in place.

    Returns:
        The graph's output, and how many batch norms the exporter had folded away.
    """
    folded = 0
    operations = list(_walk_sources_first(output))
    users: dict[int, list[Operation]] = {}
    for operation in operations:
        for source in operation.sources:
            users.setdefault(id(source), []).append(operation)
    for operation in operations:
        if operation.kind not in (CONVOLUTION, DENSE):
            continue
        bias = operation.arrays.pop("bias", None)
        after = users.get(id(operation), [])
        if len(after) == 1 and after[0].kind == NORM:
            if bias is not None:
                after[0].arrays["mean"] = after[0].arrays["mean"] - bias
            continue
        if bias is None:
            bias = np.zeros(operation.arrays["kernel"].shape[-1], np.float32)
        folded += 1
        norm = make_offset_norm(f"{operation.name}_bias", operation, bias)
        for user in after:
            user.sources = [norm if source is operation else source for source in user.sources]
        if operation is output:
            output = norm
    return output, folded
