"""Bytes alive in small graphs, counted by hand. Tensors without a shape are float32 [256], 1,024 bytes."""

import tensorflow as tf
from tensorflow.python.framework.func_graph import FuncGraph

from urfr_tf.planning.liveness import peak_bytes, tensor_bytes

KIB = 1024


def placeholder(*shape):
    return tf.compat.v1.placeholder(tf.float32, shape or [256])


def test_a_chain_takes_over_memory():
    """exp(sin(x)): Sin is not in place and makes 1 KiB; Exp takes it over; the input is not counted."""
    with FuncGraph("g").as_default() as graph:
        tf.exp(tf.sin(placeholder()))
    assert peak_bytes(graph, {}) == KIB


def test_what_is_read_later_stays():
    """a = sin x; b = tan a; c = b * a: a and b are alive, c takes one of them over."""
    with FuncGraph("g").as_default() as graph:
        a = tf.sin(placeholder())
        _ = tf.tan(a) * a
    assert peak_bytes(graph, {}) == 2 * KIB


def test_views_share_memory():
    """Two reshapes of sin x need no memory; tan of one is."""
    with FuncGraph("g").as_default() as graph:
        a = tf.sin(placeholder())
        tf.tan(tf.reshape(tf.reshape(a, [16, 16]), [256]))
    assert peak_bytes(graph, {}) == 2 * KIB


def test_two_operations_run_side_by_side():
    """sin of three inputs, each dropped at once: the second begins before the first has let go."""
    with FuncGraph("g").as_default() as graph:
        for _ in range(3):
            tf.sin(placeholder())
    assert peak_bytes(graph, {}) == 2 * KIB


def test_a_variable_that_is_still_read_is_copied():
    """v is read, then written; the old value is needed after: 1 KiB for its copy, one for tan of it.

    Without a reader afterwards nothing is copied.
    """
    with FuncGraph("g").as_default() as graph:
        handle = tf.compat.v1.placeholder(tf.resource, [])
        value = tf.raw_ops.ReadVariableOp(resource=handle, dtype=tf.float32)
        change = placeholder()
        with tf.control_dependencies([value]):
            write = tf.raw_ops.AssignSubVariableOp(resource=handle, value=change)
        with tf.control_dependencies([write]):
            tf.tan(tf.ensure_shape(value, [256]))
    assert peak_bytes(graph, {handle.ref(): KIB}) == 2 * KIB
    with FuncGraph("g").as_default() as graph:
        handle = tf.compat.v1.placeholder(tf.resource, [])
        tf.raw_ops.AssignSubVariableOp(resource=handle, value=placeholder())
    assert peak_bytes(graph, {handle.ref(): KIB}) == 0


def test_unknown_dimensions():
    with FuncGraph("g").as_default():
        assert tensor_bytes(placeholder(None, 3), 5) == 5 * 3 * 4
        assert tensor_bytes(tf.cast(placeholder(7), tf.bfloat16)) == 14
        assert tensor_bytes(tf.compat.v1.placeholder(tf.float32)) == 0
        assert tensor_bytes(tf.compat.v1.placeholder(tf.resource, [])) == 0
