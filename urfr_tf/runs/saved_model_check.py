"""Looks through a SavedModel before TensorFlow runs it.

A SavedModel is a program. TensorFlow has operations that read and write files, call Python or end the
process, and its loader runs whatever the graph holds. What is accepted is what the networks and signatures of
`urfr export` need: arithmetic, shapes, control flow, variables and the decoding of images. Reading and
writing of checkpoints is accepted only where every SavedModel has it: in the two functions of its saver,
which our loader does not call. A graph may still compute for very long.
"""

from collections.abc import Iterable
from pathlib import Path

from google.protobuf.message import DecodeError
from tensorflow.core.framework import function_pb2, node_def_pb2
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

from urfr_tf.errors import UrfrError
from urfr_tf.files import open_regular

# Control flow and variables; arithmetic; comparison and reduction; layers; shapes, lists and images.
_NAMES = """
Assert AssignVariableOp Const DisableCopyOnRead EnsureShape Identity IdentityN If NoOp
PartitionedCall Placeholder PreventGradient ReadVariableOp StatefulPartitionedCall StatelessIf
StatelessWhile StopGradient VarHandleOp VarIsInitializedOp While

Abs Add AddN AddV2 BatchMatMulV2 BiasAdd Ceil ClipByValue Cumsum Einsum Erf Exp Expm1 Floor FloorDiv
FloorMod Log Log1p MatMul Maximum Minimum Mul Neg Pow RealDiv Reciprocal Rint Round Rsqrt Sigmoid
Sign Softmax Softplus Sqrt Square SquaredDifference Sub Tanh

All Any ArgMax ArgMin Equal Greater GreaterEqual IsFinite Less LessEqual LogicalAnd LogicalNot
LogicalOr Max Mean Min NotEqual Prod Select SelectV2 Sum TopKV2 Unique UnsortedSegmentMax
UnsortedSegmentMin UnsortedSegmentSum Where

AvgPool Conv2D DepthwiseConv2dNative Elu FakeQuantWithMinMaxVars FakeQuantWithMinMaxVarsPerChannel
FusedBatchNormV3 LeakyRelu MaxPool QuantizeAndDequantizeV4 Relu Relu6 ResizeBilinear

BroadcastTo Cast ConcatV2 DecodeJpeg DecodePng DecodeRaw ExpandDims ExtractJpegShape Fill GatherNd
GatherV2 InvertPermutation OnesLike Pack Pad PadV2 Range Rank Reshape ReverseV2 ScatterNd Shape Size
Slice Split SplitV Squeeze StridedSlice StringLength Substr TensorListFromTensor TensorListGetItem
TensorListReserve TensorListSetItem TensorListStack Tile Transpose Unpack ZerosLike
"""
_NAMES_OF_THE_SAVER = "MergeV2Checkpoints RestoreV2 SaveV2 ShardedFilename StaticRegexFullMatch StringJoin"
_ACCEPTED = frozenset(_NAMES.split())
_ACCEPTED_IN_SAVERS = _ACCEPTED | set(_NAMES_OF_THE_SAVER.split())


def check_saved_model(folder: Path) -> None:
    """Makes sure that a SavedModel has no operation but those that an export needs.

    Args:
        folder: the folder that holds `saved_model.pb`.

    Raises:
        UrfrError: the file is damaged, is of TensorFlow 1, or has another operation; the message names it.
    """
    path = folder / "saved_model.pb"
    model = saved_model_pb2.SavedModel()
    try:
        with open_regular(path) as file:
            model.ParseFromString(file.read())
    except (DecodeError, OSError, RuntimeError) as error:
        raise UrfrError(f"expected a SavedModel in {path}, but it is damaged: it does not parse") from error
    if len(model.meta_graphs) != 1 or not model.meta_graphs[0].HasField("object_graph_def"):
        raise UrfrError(f"expected one graph of TensorFlow 2 in {path}, but it is damaged or of another kind")
    (graph,) = model.meta_graphs
    functions = {function.signature.name: function for function in graph.graph_def.library.function}
    savers = _find_savers(graph, functions)
    _check_nodes(graph.graph_def.node, _ACCEPTED, path)
    for name, function in functions.items():
        _check_nodes(function.node_def, _ACCEPTED_IN_SAVERS if name in savers else _ACCEPTED, path)


def _find_savers(
    graph: meta_graph_pb2.MetaGraphDef, functions: dict[str, function_pb2.FunctionDef]
) -> set[str]:
    """Names the functions that only the outermost graph calls; the loader runs all but these."""
    called = set(graph.object_graph_def.concrete_functions)
    for item in graph.object_graph_def.nodes:
        called.update(item.function.concrete_functions)
        called.add(item.bare_concrete_function.concrete_function_name)
    for function in functions.values():
        called.update(_list_functions(function.node_def))
    # TensorFlow may put a function that implements an interface in the place of another one.
    swapped = {name for name, function in functions.items() if "api_implements" in function.attr}
    return set(functions) - called - swapped


def _list_functions(nodes: Iterable[node_def_pb2.NodeDef]) -> Iterable[str]:
    """Lists the functions that nodes call."""
    for node in nodes:
        for attribute in node.attr.values():
            yield attribute.func.name
            yield from (function.name for function in attribute.list.func)


def _check_nodes(nodes: Iterable[node_def_pb2.NodeDef], accepted: frozenset[str], path: Path) -> None:
    for node in nodes:
        if node.op not in accepted:
            raise UrfrError(
                f"expected a network that urfr export wrote in {path}, but it has the operation "
                f"{node.op[:100]!r}, which no export needs; it was not loaded"
            )
