"""How many bytes of tensors are alive at once while a graph runs.

The graph is walked in the order of TensorFlow's executor, which starts operations in the order in which they
become ready and runs two of them side by side. A tensor lives from the operation that makes it until the last
that reads it. Operations that return their input share its memory. Elementwise operations take over the
memory of an input that nobody else needs any more, as their kernels do.
"""

import collections
import dataclasses
from collections.abc import Hashable

import tensorflow as tf

from urfr_tf.planning.trace import BytesByHandle

# Return their inputs without a copy.
_SAME = frozenset(
    ("Identity", "IdentityN", "Reshape", "StopGradient", "PreventGradient", "Squeeze", "ExpandDims")
    + ("EnsureShape", "Snapshot", "CheckNumerics")
)
# Their kernels reuse the memory of an input of the same size.
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
# The variables that they write in place, as positions among their inputs.
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


def peak_bytes(graph: tf.Graph, variables: BytesByHandle, *, unknown: int = 1) -> int:
    """Computes the most bytes that are alive at once besides the variables.

    Args:
        graph: the graph of the step. Of a function that it calls only the outputs count.
        variables: the bytes of each variable by its handle.
        unknown: stands for a dimension that is known only when the graph runs.

    Returns:
        Bytes of intermediate tensors and copies of variables. Constants and what is fed are not counted.
    """
    return _Walk(graph, variables, unknown).peak()


class _Walk:
    """Runs the operations of a graph in order and counts the bytes that are alive."""

    def __init__(self, graph: tf.Graph, variables: BytesByHandle, unknown: int) -> None:
        self.operations = graph.get_operations()
        self.unknown = unknown
        self.readers = collections.Counter(t.ref() for op in self.operations for t in op.inputs)
        self.buffers: dict[Hashable, _Buffer] = {}
        self.variables = {handle: _Buffer(size, 0) for handle, size in variables.items()}
        self.alive = 0

    def peak(self) -> int:
        """Runs all operations; returns the most bytes that were alive."""
        inputs = {op: {*(t.op for t in op.inputs), *op.control_inputs} for op in self.operations}
        waiting = {op: len(needed) for op, needed in inputs.items()}
        consumers: dict[tf.Operation, list[tf.Operation]] = collections.defaultdict(list)
        for op, needed in inputs.items():
            for producer in needed:
                consumers[producer].append(op)
        ready = collections.deque(op for op in self.operations if not waiting[op])
        running: collections.deque[tf.Operation] = collections.deque()
        peak = 0
        while ready:
            op = ready.popleft()
            peak = max(peak, self._start(op, running))
            for consumer in consumers[op]:
                waiting[consumer] -= 1
                if not waiting[consumer]:
                    ready.append(consumer)
        return peak

    def _start(self, op: tf.Operation, running: collections.deque[tf.Operation]) -> int:
        """Runs an operation while another one is running; returns the bytes that are alive meanwhile."""
        self._copy_written(op)
        alive_before = self.alive
        for index, tensor in enumerate(op.outputs):
            self._make(op, index, tensor)
        alive = self.alive
        if alive == alive_before:  # It needs no memory and ends at once, on the thread that started it.
            self._release(op)
        else:
            running.append(op)
        if len(running) > 1:
            self._release(running.popleft())
        return alive

    def _copy_written(self, op: tf.Operation) -> None:
        """Copies a variable that is written while its old value will still be read."""
        for position in _WRITES.get(op.type, ()):
            buffer = self.variables.get(op.inputs[position].ref())
            if buffer is not None and buffer.readers:
                self.variables[op.inputs[position].ref()] = _Buffer(buffer.size, 0)
                self.alive += buffer.size

    def _make(self, op: tf.Operation, index: int, tensor: tf.Tensor) -> None:
        """Gives an output its buffer: that of an input, or a new one."""
        buffer = self._shared(op, index)
        if buffer is None:
            buffer = _Buffer(0 if op.type in _NOT_COUNTED else tensor_bytes(tensor, self.unknown), 0)
            self.alive += buffer.size
        buffer.readers += self.readers[tensor.ref()]
        self.buffers[tensor.ref()] = buffer

    def _shared(self, op: tf.Operation, index: int) -> _Buffer | None:
        """Returns the buffer of an input that this output shares or takes over."""
        if op.type == "ReadVariableOp":
            return self.variables.get(op.inputs[0].ref(), _Buffer(0, 0))
        if op.type in _SAME and index < len(op.inputs):
            return self.buffers[op.inputs[index].ref()]
        if op.type in _IN_PLACE and index == 0:
            size = tensor_bytes(op.outputs[0], self.unknown)
            reads = collections.Counter(id(self.buffers[t.ref()]) for t in op.inputs)
            for tensor in op.inputs:
                buffer = self.buffers[tensor.ref()]
                if (
                    buffer.size == size > 0
                    and buffer.readers == reads[id(buffer)]
                    and self._may_take_over(buffer)
                ):
                    return buffer
        return None

    def _may_take_over(self, buffer: _Buffer) -> bool:
        """Returns whether a buffer may be taken over, because it is not a variable's."""
        return all(buffer is not other for other in self.variables.values())

    def _release(self, op: tf.Operation) -> None:
        """Frees what nobody reads any more."""
        for tensor in op.inputs:
            self.buffers[tensor.ref()].readers -= 1
        for tensor in (*op.inputs, *op.outputs):
            buffer = self.buffers[tensor.ref()]
            if not buffer.readers and self._may_take_over(buffer):
                self.alive -= buffer.size
                buffer.size = 0


def tensor_bytes(tensor: tf.Tensor, unknown: int = 1) -> int:
    """Computes the bytes of a tensor whose unknown dimensions are `unknown`; 0 where the rank is unknown."""
    if tensor.shape.rank is None or tensor.dtype in (tf.resource, tf.variant, tf.string):
        return 0
    size = int(tensor.dtype.size)
    for dimension in tensor.shape:
        size *= unknown if dimension is None else dimension
    return size
