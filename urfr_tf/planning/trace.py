"""The training step as a graph with its variables, without memory for any of them.

The model is built and its step traced as `urfr train` does it, but every variable is a handle without a
value. A head of many gigabytes can therefore be planned on a small machine.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import TypeAlias

import tensorflow as tf
from tensorflow.python.framework.func_graph import FuncGraph
from tensorflow.python.ops.resource_variable_ops import UninitializedVariable

from urfr_tf.keras2 import keras
from urfr_tf.training.tasks.task import TrainingModel

# As `Batch`, with shapes and types in place of tensors.
BatchSpec: TypeAlias = tuple[dict[str, tf.TensorSpec], dict[str, tf.TensorSpec]]
# The graph's tensor of each variable's handle, as `tensor.ref()` -> the variable's bytes.
BytesByHandle: TypeAlias = dict[Hashable, int]


@dataclasses.dataclass(frozen=True)
class TracedStep:
    """A traced training step.

    Attributes:
        graph: the graph of the step.
        model: the model. Its variables have no values.
        variables: all variables, those of the optimizer and of the metrics too.
    """

    graph: tf.Graph
    model: TrainingModel
    variables: list[tf.Variable]

    def bytes_by_handle(self) -> BytesByHandle:
        """Returns the bytes of the variables that the graph uses, as `peak_bytes` takes them."""
        size = {id(v.handle): variable_bytes(v) for v in self.variables}
        captures = self.graph.captures
        return {inside.ref(): size[id(outside)] for outside, inside in captures if id(outside) in size}


def trace_step(build: Callable[[], TrainingModel], batch: BatchSpec) -> TracedStep:
    """Traces `build().train_step`.

    Args:
        build: builds a compiled model.
        batch: shapes and types of the argument of `train_step`.
    """
    variables: list[tf.Variable] = []
    with _graph("build", variables):
        model = build()
    with _graph("step", variables) as graph:
        placeholder = tf.compat.v1.placeholder
        model.train_step(tf.nest.map_structure(lambda spec: placeholder(spec.dtype, spec.shape), batch))
    return TracedStep(graph, model, variables)


def trace_variables(build: Callable[[], keras.Model]) -> list[tf.Variable]:
    """Returns the variables that `build` makes, without values."""
    variables: list[tf.Variable] = []
    with _graph("build", variables):
        build()
    return variables


@contextlib.contextmanager
def _graph(name: str, variables: list[tf.Variable]) -> Iterator[FuncGraph]:
    """A graph in which, and around which, new variables have no value and are appended to `variables`."""

    def create_without_value(_: Callable[..., tf.Variable], **options: object) -> tf.Variable:
        shape, dtype = _shape_and_type(options)
        names = ("trainable", "name", "synchronization", "aggregation")
        rest = {key: options[key] for key in names if key in options}
        variables.append(UninitializedVariable(shape=shape, dtype=dtype, **rest))
        return variables[-1]

    graph = FuncGraph(name)
    # An optimizer makes its slots outside of the graph that is being traced.
    with (
        tf.variable_creator_scope(create_without_value),
        graph.as_default(),
        tf.variable_creator_scope(create_without_value),
    ):
        yield graph


def _shape_and_type(options: Mapping[str, object]) -> tuple[tf.TensorShape, tf.DType]:
    """Returns shape and type of a variable, from its initial value where they are not given."""
    shape, dtype = options.get("shape"), options.get("dtype")
    if shape is not None and dtype is not None and tf.TensorShape(shape).is_fully_defined():
        return tf.TensorShape(shape), tf.as_dtype(dtype)
    with FuncGraph("initial_value").as_default():
        initial = options["initial_value"]
        value = tf.convert_to_tensor(initial() if callable(initial) else initial, dtype)
        return value.shape, value.dtype


def variable_bytes(variable: tf.Variable) -> int:
    """Computes the bytes of a variable's values."""
    return int(variable.shape.num_elements()) * int(variable.dtype.size)
