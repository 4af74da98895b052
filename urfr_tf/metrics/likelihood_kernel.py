"""The compiled all-pairs kernel, likelihood_tile.c, where it was built.

`setup.py` builds it as a plain library where a C compiler is there; where none is, or the build failed,
`load_kernel` gives None and `likelihood.py` goes through TensorFlow.
"""

import ctypes
import functools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from urfr_tf.metrics.arrays import Float32s, Float64s
from urfr_tf.system.cores import count_cores

ROWS = 6  # of a tile, in every copy of the kernel
_BLOCK = 384  # rows that are packed at a time, and that a panel of columns is read for
_LINE = 64  # bytes of a cache line
_DECADES = 30  # that a product may go from 1 in float32
NAMES = {16: "avx512", 8: "avx2", 4: "plain"}


class Kernel(NamedTuple):
    """The loaded library, and how many floats its widest vector on this processor has (16, 8 or 4)."""

    library: ctypes.CDLL
    lanes: int


class _Sizes(ctypes.Structure):
    _fields_ = (
        ("columns", ctypes.c_int64),
        ("groups", ctypes.c_int64),
        ("width", ctypes.c_int64),
        ("root", ctypes.c_void_p),
        ("inverse", ctypes.c_void_p),
    )


@functools.cache
def load_kernel() -> Kernel | None:
    """The library next to this file, or None."""
    stem = Path(__file__).with_name("likelihood_tile")
    for suffix in EXTENSION_SUFFIXES:
        if (path := stem.with_name(stem.name + suffix)).is_file():
            return open_kernel(path)
    return None


def open_kernel(path: Path) -> Kernel | None:
    """A library that was built from likelihood_tile.c; None where it cannot be loaded here."""
    try:
        library = ctypes.CDLL(str(path))
        pointer, whole, size = ctypes.c_void_p, ctypes.c_int64, ctypes.POINTER(_Sizes)
        library.urfr_pack.argtypes = [size, pointer, pointer, whole, whole, ctypes.c_int32, pointer]
        library.urfr_pack.restype = None
        library.urfr_scores.argtypes = [
            *(size, pointer, pointer, whole, whole, pointer, pointer),
            *(ctypes.c_float, whole, ctypes.c_int32, pointer, pointer),
        ]
        library.urfr_scores.restype = None
        return Kernel(library, library.urfr_lanes())
    except (OSError, AttributeError):
        return None


def score_all_pairs(
    kernel: Kernel,
    a: Float32s,
    va: Float32s,
    b: Float32s,
    vb: Float32s,
    scale: Float64s,
    runs: Sequence[Sequence[int]],
    memory: int,
) -> Float32s:
    """Scores of every row of a against every row of b.

    Args:
        kernel: as `load_kernel` gives it.
        a, va: float32 [N, K, d] and [N, K]; b, vb: [M, K, d] and [M, K]; at least one row each.
        scale: float64 [K], what variances are divided by.
        runs: the groups in rising order, cut where their product could leave the range of float32.
        memory: bytes for packed rows of a; those of b are copied once. Six rows a thread are the least.

    Returns:
        float32 [N, M], each score the same whatever the memory and the threads.
    """
    library, lanes = kernel
    a, va, b, vb = (np.ascontiguousarray(x, np.float32) for x in (a, va, b, vb))
    groups, width = a.shape[1:]
    root, inverse = (np.ascontiguousarray(x, np.float32) for x in (scale**-0.5, 1 / scale))
    size = _Sizes(len(b), groups, width, root.ctypes.data, inverse.ctypes.data)
    ends = np.zeros(groups, np.uint8)
    ends[[run[-1] for run in runs]] = 1
    constant = width * float(np.log(scale).sum())
    depth, columns = groups * (width + 2), library.urfr_columns(lanes)
    right = _aligned(-(-len(b) // columns) * columns * depth)
    scores = _aligned(len(a) * len(b)).reshape(len(a), len(b))
    threads = count_cores()
    most = min(_BLOCK, -(-len(a) // threads) + ROWS - 1, memory // (4 * depth * threads))
    block = most // ROWS * ROWS or ROWS

    def pack(first: int) -> None:
        last = min(first + 16 * columns, len(b))
        place = right[first * depth :].ctypes.data
        library.urfr_pack(size, b.ctypes.data, vb.ctypes.data, first, last, lanes, place)

    def score(first: int) -> None:
        last = min(first + block, len(a))
        left = _aligned(block * depth)
        library.urfr_scores(
            *(size, a.ctypes.data, va.ctypes.data, first, last, right.ctypes.data, ends.ctypes.data),
            *(constant, block, lanes, left.ctypes.data, scores.ctypes.data),
        )

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(pack, range(0, len(b), 16 * columns)))
        list(pool.map(score, range(0, len(a), block)))
    return scores


def _aligned(count: int) -> Float32s:
    """float32 [count] that begins with a cache line: an access that crosses two costs twice."""
    room = np.empty(count + _LINE // 4, np.float32)
    skip = -room.ctypes.data % _LINE // 4
    return room[skip : skip + count]


class Panels(NamedTuple):
    """Templates in the order in which the kernel reads them, so that nothing is packed for a search.

    Attributes:
        numbers: float32 [P, K, d + 2, C], contiguous. Column c of panel p is a template: for each group its
            d numbers, their squared norm and its variance. C is `panel_columns`. Columns of zeros are room.
        ends: uint8 [K], 1 where a run of groups ends, see `plan_runs`.
    """

    numbers: Float32s
    ends: NDArray[np.uint8]


def panel_columns(kernel: Kernel | None) -> int:
    """How many templates lie side by side in a panel; 1 where there is no kernel."""
    return 1 if kernel is None else int(kernel.library.urfr_columns(kernel.lanes))


def pack_columns(embedding: Float32s, variance: Float32s) -> Float32s:
    """Columns of panels, float32 [N, K, d + 2], of embeddings [N, K, d] and variances [N, K]."""
    square = np.einsum("nkd,nkd->nk", embedding, embedding)
    packed: Float32s = np.concatenate([embedding, square[..., np.newaxis], variance[..., np.newaxis]], axis=2)
    return packed


def plan_runs(low: Float64s, high: Float64s) -> NDArray[np.uint8] | None:
    """Cuts the groups into runs of which no product of sums of variances leaves the range of float32.

    Args:
        low: float64 [K], the least sum of two variances in each group.
        high: the largest.

    Returns:
        uint8 [K], 1 where a run ends; None where a single sum is out of the range already.
    """
    reach = np.stack([np.log10(low), np.log10(high)])
    if np.abs(reach).max(initial=0) > _DECADES:
        return None
    ends = np.zeros(len(low), np.uint8)
    ends[-1] = 1
    product = np.zeros(2)
    for group in range(len(low)):
        product += reach[:, group]
        if np.abs(product).max() > _DECADES:
            ends[group - 1] = 1
            product = reach[:, group].copy()
    return ends


def score_panels(kernel: Kernel, embedding: Float32s, variance: Float32s, panels: Panels) -> Float32s:
    """Scores of a few rows against all columns of some panels, in the calling thread.

    Args:
        kernel: as `load_kernel` gives it.
        embedding: float32 [N, K, d].
        variance: float32 [N, K].
        panels: the columns.

    Returns:
        float32 [N, P * C].
    """
    a, va = (np.ascontiguousarray(x, np.float32) for x in (embedding, variance))
    rows, groups, width = a.shape
    columns = len(panels.numbers) * panels.numbers.shape[-1]
    one = np.ones(groups, np.float32)
    size = _Sizes(columns, groups, width, one.ctypes.data, one.ctypes.data)
    block = min(_BLOCK, -(-rows // ROWS) * ROWS)
    left = _aligned(block * groups * (width + 2))
    scores = _aligned(rows * columns).reshape(rows, columns)
    kernel.library.urfr_scores(
        *(size, a.ctypes.data, va.ctypes.data, 0, rows, panels.numbers.ctypes.data, panels.ends.ctypes.data),
        *(0.0, block, kernel.lanes, left.ctypes.data, scores.ctypes.data),
    )
    return scores
