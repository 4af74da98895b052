"""The three networks of MTCNN over lists of images: pyramid, proposals, patches, suppression.

Zhang et al., "Joint face detection and alignment using multitask cascaded convolutional networks" (IEEE
SPL 2016). Networks and weights come from the package `mtcnn` (MIT). The way between them is ours, because
that of mtcnn 1.0.0 finds nothing at all when its smallest face is set above about 20 pixels (its pyramid
goes on below the network's 12 pixels, and the error is taken for "no face"), shifts the boxes of a batch
by another image's padding, and keeps memory proportional to the square of the number of proposals.
"""

import contextlib
import dataclasses
import functools
import sys
from collections.abc import Callable, Iterator, Sequence

import cv2
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from urfr_tf.keras2 import keras

CELL, STRIDE = 12, 2  # The proposal network looks at 12 x 12 pixels, every second pixel.
_PIXELS = 1 << 19  # of one call of the proposal network: about 200 MB of activations
_PATCHES = 256  # of one call of a later network
_PROPOSALS = 4000  # kept of one image; the best
_OUTSIDE = 0
_POINT_SHIFT = -0.5

Network = Callable[[NDArray[np.uint8]], list[tf.Tensor]]
Boxes = NDArray[np.float64]  # float64 [N, 4]: left, top, right, bottom; edges, so that a pixel is 1 wide


@functools.cache
def load_networks() -> tuple[Network, Network, Network]:
    """The proposal, refinement and output network as functions of uint8 [N, h, w, 3].

    They give ([N, y, x, 4], [N, y, x, 2]), ([N, 4], [N, 2]) and ([N, 4], [N, 10], [N, 2]): corrections of
    the box in units of its size, landmarks (five x, five y) in the same units, and probabilities of
    (nothing, face). Loaded once a process.
    """
    from mtcnn.stages import StageONet, StagePNet, StageRNet

    def compiled(model: keras.Model, side: int | None) -> Network:
        @tf.function(input_signature=[tf.TensorSpec([None, side, side, 3], tf.uint8)])
        def network(images: tf.Tensor) -> tf.Tensor:
            return model((tf.cast(images, tf.float32) - 127.5) / 128.0)

        compiled_network: Network = network
        return compiled_network

    with tf.device("CPU:0"), _ignore_closed_files():
        return (
            compiled(StagePNet().model, None),
            compiled(StageRNet().model, 24),
            compiled(StageONet().model, 48),
        )


@contextlib.contextmanager
def _ignore_closed_files() -> Iterator[None]:
    """Keeps Python from printing an error of lz4 (4.4), which flushes files of weights that are closed.

    It happens where Python cannot raise it, in 3.13 when the object of the file goes away.
    """
    before = sys.unraisablehook

    def hook(error: "sys.UnraisableHookArgs") -> None:
        if not isinstance(error.exc_value, ValueError) or "closed file" not in str(error.exc_value):
            before(error)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before


def pyramid(height: int, width: int, min_size: float, scale_factor: float) -> list[float]:
    """Scales at which the proposal network sees faces of `min_size` pixels up to the whole image.

    Each is `scale_factor` times the one before; the last has a shorter side of at least 12 pixels. An image
    whose shorter side is below `min_size` gets one level, its shorter side at 12.
    """
    scale = min(CELL / min_size, 1e9)
    shorter = min(height, width)
    scales = []
    while shorter * scale >= CELL:
        scales.append(scale)
        scale *= scale_factor
    return scales or [CELL / shorter]


def suppress(
    boxes: Boxes, scores: NDArray[np.float64], threshold: float, limit: int = _PROPOSALS
) -> NDArray[np.int64]:
    """Greedy non-maximum suppression: indices of the boxes kept, best first, at most `limit` considered.

    A box goes when intersection over union with a better one that stays is above `threshold`.
    """
    if len(boxes) == 0:
        return np.zeros(0, np.int64)
    best = np.argsort(-scores, kind="stable")[:limit]
    boxes = boxes[best].astype(np.float64)
    rectangles = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    survivors = cv2.dnn.NMSBoxes(rectangles.tolist(), scores[best].tolist(), 0.0, threshold)
    indices: NDArray[np.int64] = best[np.asarray(survivors, np.int64).reshape(-1)]
    return indices


def suppress_nested(boxes: Boxes, scores: NDArray[np.float64], threshold: float) -> NDArray[np.int64]:
    """As `suppress`, with the smaller of both areas in place of the union: a box inside a better one goes."""
    areas = np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=1)
    survivors: list[int] = []
    for i in np.argsort(-scores, kind="stable")[:_PROPOSALS]:
        low = np.maximum(boxes[i, :2], boxes[survivors, :2])
        high = np.minimum(boxes[i, 2:], boxes[survivors, 2:])
        shared = np.prod(np.maximum(high - low, 0), axis=1)
        if np.all(shared <= threshold * np.minimum(areas[i], areas[survivors])):
            survivors.append(int(i))
    return np.asarray(survivors, np.int64)


def square(boxes: Boxes) -> Boxes:
    """The squares about the same centres, as large as the longer side."""
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True) / 2
    return np.concatenate([centres - half, centres + half], axis=1)


def cut_patches(image: NDArray[np.uint8], boxes: Boxes, side: int) -> tuple[NDArray[np.uint8], Boxes]:
    """Square patches of an image, uint8 [N, side, side, 3], and the boxes they show, in whole pixels.

    Averages over pixels where it shrinks; what lies outside of the image is black.
    """
    boxes = np.round(boxes)
    boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 1)
    patches = np.zeros((len(boxes), side, side, 3), np.uint8)
    height, width = image.shape[:2]
    for patch, (left, top, right, bottom) in zip(patches, boxes.astype(int), strict=True):
        inside = image[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
        if inside.size == 0:
            continue
        if inside.shape[:2] != (bottom - top, right - left):
            bordered = cv2.copyMakeBorder(
                inside,
                max(-top, 0),
                max(bottom - max(height, top), 0),
                max(-left, 0),
                max(right - max(width, left), 0),
                cv2.BORDER_CONSTANT,
                value=(_OUTSIDE,) * 3,
            )
            inside = np.asarray(bordered, np.uint8)
        shrinks = bottom - top > side
        cv2.resize(inside, (side, side), patch, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return patches, boxes


@dataclasses.dataclass(frozen=True)
class Candidates:
    """What a later network left of one image's boxes: [N, 4], [N] and [N, 5, 2], or [N, 0] without points."""

    boxes: Boxes
    scores: NDArray[np.float64]
    points: NDArray[np.float64]


def examine(
    network: Network, images: Sequence[NDArray[np.uint8]], boxes: Sequence[Boxes], side: int, threshold: float
) -> list[Candidates]:
    """The second or third stage: looks at patches of all images together, corrects boxes, drops non-faces.

    Args:
        network: refinement (side 24) or output (side 48) network of `load_networks`.
        images: uint8 [H, W, 3] each.
        boxes: for every image, [N, 4].
        side: patch size of the network.
        threshold: boxes with at most this probability of a face are dropped.
    """
    cut = [cut_patches(image, mine, side) for image, mine in zip(images, boxes, strict=True)]
    patches = np.concatenate([c[0] for c in cut])
    if len(patches) == 0:
        return [Candidates(np.zeros((0, 4)), np.zeros(0), np.zeros((0, 5, 2))) for _ in images]
    chunks = [network(patches[i : i + _PATCHES]) for i in range(0, len(patches), _PATCHES)]
    columns = [np.concatenate([tensor.numpy() for tensor in c]) for c in zip(*chunks, strict=True)]
    correction, probability = columns[0].astype(np.float64), columns[-1][:, 1]
    seen = np.concatenate([c[1] for c in cut])
    extent = seen[:, 2:] - seen[:, :2]
    corrected = seen + correction * np.tile(extent, 2)
    points = np.zeros((len(seen), 0))
    if len(columns) == 3:
        xy = columns[1].astype(np.float64).reshape(-1, 2, 5).transpose(0, 2, 1)
        points = seen[:, None, :2] + xy * extent[:, None] + _POINT_SHIFT
    owner = np.repeat(np.arange(len(images)), [len(c[1]) for c in cut])
    keep = probability > threshold
    return [
        Candidates(corrected[mine], probability[mine], points[mine])
        for mine in (keep & (owner == i) for i in range(len(images)))
    ]


def propose(
    network: Network,
    images: Sequence[NDArray[np.uint8]],
    min_size: float,
    scale_factor: float,
    threshold: float,
) -> list[Boxes]:
    """Squares that may hold a face; the first stage.

    The levels of all images' pyramids are worked on together where they are about equally large: each is
    continued at its right and lower edge to a size of few (a new size costs the library milliseconds). That
    size depends on the level alone, so nothing depends on which images come together.

    Returns:
        For every image float64 [N, 4], N at most 4000.
    """
    alike: dict[tuple[int, int], list[tuple[int, tuple[int, int]]]] = {}
    for i, image in enumerate(images):
        for scale in pyramid(image.shape[0], image.shape[1], min_size, scale_factor):
            level = max(round(image.shape[0] * scale), CELL), max(round(image.shape[1] * scale), CELL)
            alike.setdefault((_few(level[0]), _few(level[1])), []).append((i, level))
    by_image: list[list[NDArray[np.float64]]] = [[] for _ in images]
    for shape, members in alike.items():
        at_once = max(1, _PIXELS // (shape[0] * shape[1]))
        for first in range(0, len(members), at_once):
            some = members[first : first + at_once]
            stack = np.stack([_level(images[i], level, shape) for i, level in some])
            boxes, scores, owner = proposals_of_level(network, stack, [level for _, level in some], threshold)
            for j, (i, level) in enumerate(some):
                height, width = images[i].shape[:2]
                ratio = np.tile([width / level[1], height / level[0]], 2)
                mine = owner == j
                survivors = suppress(boxes[mine], scores[mine], 0.5)
                by_image[i].append(np.column_stack([boxes[mine][survivors] * ratio, scores[mine][survivors]]))
    return [_merged(np.concatenate(levels)) for levels in by_image]


def _few(length: int) -> int:
    """The next of few lengths: multiples of 16, above 128 of the power of two that is a tenth or so."""
    step = 1 << max(4, length.bit_length() - 4)
    return -(-length // step) * step


def _level(image: NDArray[np.uint8], level: tuple[int, int], shape: tuple[int, int]) -> NDArray[np.uint8]:
    interpolation = cv2.INTER_AREA if level[0] < image.shape[0] else cv2.INTER_LINEAR
    resized = cv2.resize(image, level[::-1], interpolation=interpolation)
    rest = shape[0] - level[0], shape[1] - level[1]
    return np.asarray(cv2.copyMakeBorder(resized, 0, rest[0], 0, rest[1], cv2.BORDER_REPLICATE), np.uint8)


def _merged(scored: NDArray[np.float64]) -> Boxes:
    return square(scored[suppress(scored[:, :4], scored[:, 4], 0.7), :4])


def proposals_of_level(
    network: Network, images: NDArray[np.uint8], sizes: Sequence[tuple[int, int]], threshold: float
) -> tuple[Boxes, NDArray[np.float64], NDArray[np.int64]]:
    """The cells that the proposal network takes for faces.

    Tall images go in strips that overlap by what one cell sees beyond its stride, so that they give what the
    whole would.

    Args:
        images: uint8 [N, h, w, 3], h and w at least 12.
        sizes: for every image the area (height, width) from the upper left that is real; cells that reach
            more than one pixel beyond are left out.
        threshold: cells with at most this probability are left out.

    Returns:
        Boxes [M, 4] in pixels of `images`, probabilities [M], and for each the number of its image [M].
    """
    real = np.asarray(sizes)
    rows = max(1, (_PIXELS // images.shape[2] - CELL) // STRIDE + 1)
    by_scale = []
    for first in range(0, images.shape[1] - CELL + 1, rows * STRIDE):
        last = first + (rows - 1) * STRIDE + CELL
        correction, probability = (tensor.numpy() for tensor in network(images[:, first:last]))
        owner, y, x = np.nonzero(probability[..., 1] > threshold)
        corner = np.column_stack([x * STRIDE, y * STRIDE + first])
        boxes = np.concatenate([corner, corner + CELL], axis=1) + correction[owner, y, x] * float(CELL)
        inside = (corner[:, ::-1] + CELL <= real[owner] + 1).all(axis=1)
        by_scale.append((boxes[inside], probability[owner, y, x, 1][inside], owner[inside]))
    boxes, scores, owner = (np.concatenate(column) for column in zip(*by_scale, strict=True))
    return boxes, scores, owner
