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

from urfr_tf.metrics.arrays import Float32s, Float64s
from urfr_tf.system.cores import count_cores

ROWS = 6  # of a tile, in every copy of the kernel
_BLOCK = 384  # rows that are packed at a time, and that a panel of columns is read for
_LINE = 64  # bytes of a cache line
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
