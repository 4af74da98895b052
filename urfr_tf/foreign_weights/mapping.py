"""Puts the weights of an imported graph into a Keras model of ours, by structure and shape."""

import dataclasses
import math

import numpy as np
import tensorflow as tf

from urfr_tf.errors import UrfrError
from urfr_tf.foreign_weights.bounded import AnyArray
from urfr_tf.foreign_weights.graph import CONVOLUTION, DENSE, NORM, PRELU, Operation, list_operations
from urfr_tf.foreign_weights.keras_graph import KerasGraph
from urfr_tf.keras2 import keras

IR_BLOCKS = {8: "ir18", 16: "ir34", 24: "ir50", 49: "ir100"}
FIRST_CHANNELS = 64
REDUCTION = 16
SHOWN = 5


@dataclasses.dataclass(frozen=True)
class Proportions:
    """The settings of the model that a graph fits into."""

    backbone: str
    width: float
    input_size: int
    embedding_dim: int


def recognize_backbone(output: Operation, input_size: int | None = None) -> Proportions:
    """Recognizes the backbone of a tidy graph: kind, depth, width, input and embedding.

    Args:
        output: the graph; its last operations are a dense layer and a batch norm.
        input_size: the side of the input in px if the file says it, or None for 16 times the side of the last
            map.

    Raises:
        UrfrError: it has no dense layer at its end, or a number of residual blocks that none of ours has.
    """
    operations = list_operations(output)
    dense = output.sources[0] if output.sources else output
    convolutions = [operation for operation in operations if operation.kind == CONVOLUTION]
    if dense.kind != DENSE or not convolutions:
        raise UrfrError(
            f"expected convolutions, then a dense layer and a batch norm, but the file ends in {dense}"
        )
    whole = [c for c in convolutions if c.groups > 1 and c.padding == 0]
    if any(c.groups > 1 for c in convolutions):
        backbone = "mobilefacenet"
        side = whole[-1].arrays["kernel"].shape[0] if whole else 1
    else:
        blocks = sum(operation.kind == "add" for operation in operations)
        if blocks not in IR_BLOCKS:
            known = ", ".join(f"{count} ({name})" for count, name in IR_BLOCKS.items())
            raise UrfrError(f"the file has {blocks} residual blocks; our IR backbones have {known}")
        backbone = IR_BLOCKS[blocks]
        channels = next(c.arrays["kernel"].shape[-1] for c in reversed(convolutions))
        side = math.isqrt(dense.arrays["kernel"].shape[0] // channels)
    width = convolutions[0].arrays["kernel"].shape[-1] / FIRST_CHANNELS
    return Proportions(backbone, width, input_size or REDUCTION * side, dense.arrays["kernel"].shape[1])


def assign_weights(output: Operation, target: KerasGraph) -> int:
    """Copies every array of a tidy graph into the layers of `target`.

    Nothing is changed unless everything fits.

    Args:
        output: the imported graph.
        target: our model, freshly built.

    Returns:
        How many numbers were copied.

    Raises:
        UrfrError: the structures or shapes differ (the message names what did not fit), a value is not
            finite, or a variance is negative.
    """
    theirs, ours = list_operations(output), list_operations(target.output)
    _compare(theirs, ours)
    values: list[tuple[tf.Variable, AnyArray]] = []
    for source, place in zip(theirs, ours, strict=True):
        if id(place) not in target.layers:
            continue
        layer = target.layers[id(place)]
        for name, array in source.arrays.items():
            if not np.isfinite(array).all():
                raise UrfrError(f"{name} of {source} has values that are not finite")
        if source.kind == CONVOLUTION:
            kernel = source.arrays["kernel"]
            depthwise = hasattr(layer, "depthwise_kernel")
            values.append(
                (layer.depthwise_kernel, kernel.swapaxes(2, 3)) if depthwise else (layer.kernel, kernel)
            )
        elif source.kind == DENSE:
            kernel = _rows_columns_channels(source.arrays["kernel"], target.map_shape)
            values.append((layer.kernel, kernel * _gain(theirs[-1], target.layers[id(ours[-1])])))
        elif source.kind == NORM:
            values.extend(_norm_values(source, layer, 1.0 if layer.scale else _gain(source, layer)))
        elif source.kind == PRELU:
            slope = source.arrays["slope"]
            if slope.size not in (1, layer.alpha.shape[-1]):
                raise UrfrError(f"expected {layer.alpha.shape[-1]} slopes of {source}, but got {slope.size}")
            values.append((layer.alpha, np.broadcast_to(slope, layer.alpha.shape)))
    for variable, array in values:
        variable.assign(array)
    return sum(array.size for _, array in values)


def _compare(theirs: list[Operation], ours: list[Operation]) -> None:
    def form(operations: list[Operation]) -> list[tuple[str, list[int]]]:
        place = {id(operation): number for number, operation in enumerate(operations)}
        return [(o.kind, [place[id(source)] for source in o.sources]) for o in operations]

    pairs = list(zip(theirs, ours, strict=False))
    for (one, other), (one_form, other_form) in zip(
        pairs, zip(form(theirs), form(ours), strict=False), strict=True
    ):
        if one_form != other_form:
            raise UrfrError(f"the structures differ: the file has {one} where our backbone has {other}")
    if len(theirs) != len(ours):
        raise UrfrError(f"the file has {len(theirs)} operations, but our backbone has {len(ours)}")
    unfit = [f"{one} for {other}" for one, other in pairs if one.signature() != other.signature()]
    if unfit:
        more = f" and {len(unfit) - SHOWN} more" if len(unfit) > SHOWN else ""
        raise UrfrError(f"{len(unfit)} operations do not fit: {'; '.join(unfit[:SHOWN])}{more}")


def _rows_columns_channels(kernel: AnyArray, map_shape: tuple[int, int, int]) -> AnyArray:
    """Reorders a dense kernel's inputs from (channel, row, column) to Keras's (row, column, channel)."""
    rows, columns, channels = map_shape
    dim = kernel.shape[1]
    return kernel.reshape(channels, rows, columns, dim).transpose(1, 2, 0, 3).reshape(-1, dim)


def _gain(source: Operation, layer: keras.layers.Layer) -> float:
    """Gives the factor of the embedding before its batch norm, which has no scale and another epsilon.

    (c x - c mean) / sqrt(c^2 variance + ours) is (x - mean) / sqrt(variance + theirs) for c = sqrt(ours /
    theirs). That holds for the statistics of a batch as well as for the stored ones.
    """
    return math.sqrt(layer.epsilon / source.epsilon) if source.epsilon > 0 else 1.0


def _norm_values(
    source: Operation, layer: keras.layers.Layer, gain: float
) -> list[tuple[tf.Variable, AnyArray]]:
    """Values for a Keras batch norm of another epsilon, which may have no scale.

    With a scale, gamma is multiplied by sqrt((variance + our epsilon) / (variance + theirs)), so the
    variance stays what was measured. Without, gamma goes into the variance v' that solves
    gamma / sqrt(variance + theirs) = gain / sqrt(v' + ours); for gamma = 1 that is gain^2 variance.
    """
    arrays = {name: array.astype(np.float64) for name, array in source.arrays.items()}
    scale, variance = arrays["scale"], arrays["variance"]
    if (variance < 0).any() or (variance + source.epsilon <= 0).any():
        raise UrfrError(f"expected variances of 0 and more in {source}, but got {variance.min():g}")
    values = [(layer.beta, arrays["offset"]), (layer.moving_mean, arrays["mean"] * gain)]
    if layer.scale:
        scale = scale * np.sqrt((variance + layer.epsilon) / (variance + source.epsilon))
        return [*values, (layer.gamma, scale), (layer.moving_variance, variance)]
    if (scale <= 0).any():
        raise UrfrError(f"expected scales above 0 in {source}, but got {scale.min():g}")
    solved = gain**2 * (variance + source.epsilon) / scale**2 - layer.epsilon
    return [*values, (layer.moving_variance, solved)]
