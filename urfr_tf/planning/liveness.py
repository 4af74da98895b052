"""How many bytes of tensors are alive at once while a graph runs.

The graph is walked in the order of TensorFlow's executor, which starts what is ready first come, first
served, two operations side by side. A tensor lives from the operation that makes it until the last that reads it. Operations that return
their input share its memory; elementwise ones take over the memory of an input that nobody else needs any
more, as their kernels do.
"""

import collections
import dataclasses
from typing import Any

import tensorflow as tf

# Return their inputs without a copy.
_SAME = frozenset(
    ("Identity", "IdentityN", "Reshape", "StopGradient", "PreventGradient", "Squeeze", "ExpandDims")
    + ("EnsureShape", "Snapshot", "CheckNumerics")
)
# Their kernels ask for the memory of an input of the same size.
_IN_PLACE = frozenset(
    ("Add", "AddN", "AddV2", "Sub", "Mul", "RealDiv", "Div", "DivNoNan", "Neg", "Abs", "Square", "Sqrt")
    + ("Rsqrt", "Exp", "Log", "Log1p", "Sigmoid", "Tanh", "Relu", "Relu6", "Maximum", "Minimum", "Pow")
    + ("SquaredDifference", "ReluGrad", "Relu6Grad", "SqrtGrad", "RsqrtGrad", "SigmoidGrad", "TanhGrad")
    + ("Reciprocal", "ReciprocalGrad", "BiasAdd", "Softplus", "SoftplusGrad", "Softmax", "LogSoftmax")
    + ("ClipByValue", "Select", "SelectV2", "FusedBatchNormGradV3")
    + ("TensorScatterAdd", "TensorScatterSub", "TensorScatterUpdate")
)
# Their memory is a variable's, or the graph's own.
_NOT_COUNTED = frozenset(("Const", "Placeholder", "VarHandleOp", "NoOp", "Shape", "ShapeN", "Size", "Rank"))
# The variables that they write in place, as places among their inputs.
_WRITES = {
    "AssignAddVariableOp": (0,),
    "AssignSubVariableOp": (0,),
    "ResourceApplyKerasMomentum": (0, 1),
    "ResourceSparseApplyKerasMomentum": (0, 1),
    "ResourceScatterSub": (0,),
    "ResourceScatterUpdate": (0,),
}


@dataclasses.dataclass
class _Buffer:
    """Memory of so many bytes, and how often it will still be read."""

    size: int
    readers: int


def peak_bytes(graph: tf.Graph, variables: dict[Any, int], *, unknown: int = 1) -> int:
    """The most bytes that are alive at once beside the variables.

    Args:
        graph: of the step; a function that it calls counts with its outputs alone.
        variables: the graph's tensor of each variable's handle, as `tensor.ref()` -> the variable's bytes.
        unknown: in the place of a dimension that is known only when the graph runs.

    Returns:
        Bytes of intermediate tensors and copies of variables; constants and what is fed are not counted.
    """
    return _Walk(graph, variables, unknown).peak()


class _Walk:
    def __init__(self, graph: tf.Graph, variables: dict[Any, int], unknown: int) -> None:
        self.operations = graph.get_operations()
        self.unknown = unknown
        self.readers = collections.Counter(t.ref() for op in self.operations for t in op.inputs)
        self.buffers: dict[Any, _Buffer] = {}
        self.variables = {handle: _Buffer(size, 0) for handle, size in variables.items()}
        self.alive = 0

    def peak(self) -> int:
        before = {op: {*(t.op for t in op.inputs), *op.control_inputs} for op in self.operations}
        waiting = {op: len(those) for op, those in before.items()}
        after: dict[Any, list[Any]] = collections.defaultdict(list)
        for op, those in before.items():
            for one in those:
                after[one].append(op)
        ready = collections.deque(op for op in self.operations if not waiting[op])
        running: collections.deque[Any] = collections.deque()
        most = 0
        while ready:
            op = ready.popleft()
            self._copy_written(op)
            before_it = self.alive
            for index, tensor in enumerate(op.outputs):
                self._make(op, index, tensor)
            most = max(most, self.alive)
            if self.alive == before_it:  # At once, on the thread that found it ready.
                self._release(op)
            else:
                running.append(op)
            if len(running) > 1:
                self._release(running.popleft())
            for following in after[op]:
                waiting[following] -= 1
                if not waiting[following]:
                    ready.append(following)
        return most

    def _copy_written(self, op: Any) -> None:
        for place in _WRITES.get(op.type, ()):
            buffer = self.variables.get(op.inputs[place].ref())
            if buffer is not None and buffer.readers:
                self.variables[op.inputs[place].ref()] = _Buffer(buffer.size, 0)
                self.alive += buffer.size

    def _make(self, op: Any, index: int, tensor: tf.Tensor) -> None:
        """Gives an output its buffer: one that is there, or a new one."""
        buffer = self._shared(op, index)
        if buffer is None:
            buffer = _Buffer(0 if op.type in _NOT_COUNTED else tensor_bytes(tensor, self.unknown), 0)
            self.alive += buffer.size
        buffer.readers += self.readers[tensor.ref()]
        self.buffers[tensor.ref()] = buffer

    def _shared(self, op: Any, index: int) -> _Buffer | None:
        """The buffer of an input that this output is, or takes over."""
        if op.type == "ReadVariableOp":
            return self.variables.get(op.inputs[0].ref(), _Buffer(0, 0))
        if op.type in _SAME and index < len(op.inputs):
            return self.buffers[op.inputs[index].ref()]
        if op.type in _IN_PLACE and index == 0:
            size = tensor_bytes(op.outputs[0], self.unknown)
            reads = collections.Counter(id(self.buffers[t.ref()]) for t in op.inputs)
            for tensor in op.inputs:
                buffer = self.buffers[tensor.ref()]
                if buffer.size == size > 0 and buffer.readers == reads[id(buffer)] and self._free(buffer):
                    return buffer
        return None

    def _free(self, buffer: _Buffer) -> bool:
        """Whether a buffer is no variable's: those are not taken over."""
        return all(buffer is not own for own in self.variables.values())

    def _release(self, op: Any) -> None:
        """Lets go of what nobody reads any more."""
        for tensor in op.inputs:
            self.buffers[tensor.ref()].readers -= 1
        for tensor in (*op.inputs, *op.outputs):
            buffer = self.buffers[tensor.ref()]
            if not buffer.readers and self._free(buffer):
                self.alive -= buffer.size
                buffer.size = 0


def tensor_bytes(tensor: tf.Tensor, unknown: int = 1) -> int:
    """Bytes of a tensor whose unknown dimensions are `unknown`; 0 of an unknown rank."""
    if tensor.shape.rank is None or tensor.dtype in (tf.resource, tf.variant, tf.string):
        return 0
    size = tensor.dtype.size
    for dimension in tensor.shape:
        size *= unknown if dimension is None else dimension
    return size
