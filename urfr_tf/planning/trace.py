"""The training step as a graph, and its variables, without memory for any of them.

The model is built and its step traced as `urfr train` does, but every variable is a handle without a value, so
that a head of many gigabytes is planned on a small machine.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf
from tensorflow.python.framework.func_graph import FuncGraph
from tensorflow.python.ops.resource_variable_ops import UninitializedVariable


@dataclasses.dataclass(frozen=True)
class Traced:
    """A step that was traced.

    Attributes:
        graph: of the step.
        model: the model; its variables have no values.
        variables: everything that was made, the optimizer's slots and the metrics too.
    """

    graph: tf.Graph
    model: Any
    variables: list[tf.Variable]

    def bytes_by_handle(self) -> dict[Any, int]:
        """The graph's tensor of each variable's handle -> the variable's bytes, as `peak_bytes` wants it."""
        size = {id(v.handle): variable_bytes(v) for v in self.variables}
        captures = self.graph.captures
        return {inside.ref(): size[id(outside)] for outside, inside in captures if id(outside) in size}


def trace(build: Callable[[], Any], inputs: Any) -> Traced:
    """Traces `build().train_step` for inputs of these types.

    Args:
        build: makes a compiled model with `train_step`.
        inputs: a structure of `tf.TensorSpec`, the argument of `train_step`.
    """
    variables: list[tf.Variable] = []
    with _graph("build", variables):
        model = build()
    with _graph("step", variables) as graph:
        placeholder = tf.compat.v1.placeholder
        model.train_step(tf.nest.map_structure(lambda spec: placeholder(spec.dtype, spec.shape), inputs))
    return Traced(graph, model, variables)


def variables_of(build: Callable[[], Any]) -> list[tf.Variable]:
    """The variables that `build` makes, without values."""
    variables: list[tf.Variable] = []
    with _graph("build", variables):
        build()
    return variables


@contextlib.contextmanager
def _graph(name: str, made: list[tf.Variable]) -> Iterator[Any]:
    """A graph in which, and around which, every new variable is without a value and is put into `made`."""

    def without_value(_: Any, **settings: Any) -> tf.Variable:
        shape, dtype = _form(settings)
        names = ("trainable", "name", "synchronization", "aggregation")
        rest = {key: settings[key] for key in names if key in settings}
        made.append(UninitializedVariable(shape=shape, dtype=dtype, **rest))
        return made[-1]

    graph = FuncGraph(name)
    # An optimizer makes its slots outside of the graph that is being traced.
    with (
        tf.variable_creator_scope(without_value),
        graph.as_default(),
        tf.variable_creator_scope(without_value),
    ):
        yield graph


def _form(settings: dict[str, Any]) -> tuple[tf.TensorShape, tf.DType]:
    """Shape and type of a variable, from its initial value where they are not given."""
    shape, dtype = settings.get("shape"), settings.get("dtype")
    if shape is not None and dtype is not None and tf.TensorShape(shape).is_fully_defined():
        return tf.TensorShape(shape), tf.as_dtype(dtype)
    with FuncGraph("initial_value").as_default():
        initial = settings["initial_value"]
        value = tf.convert_to_tensor(initial() if callable(initial) else initial, dtype)
        return value.shape, value.dtype


def variable_bytes(variable: tf.Variable) -> int:
    """Bytes of a variable's values."""
    return int(variable.shape.num_elements()) * variable.dtype.size
