"""`urfr bench score`: all-pairs likelihood scores beside the matrix product of the same embeddings.

10,000 x 10,000 templates of 16 groups of 32 numbers. The product is NumPy's (its BLAS, all cores), the scores are
`likelihood_score` as it is called, with everything it prepares; both allocate their result of 400 MB. The formula itself in float64, by differences, is measured on some rows and scaled. The parts take
turns, and a ratio is the median over the rounds.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from urfr_tf.bench.spread import spread
from urfr_tf.metrics import likelihood_kernel, likelihood_score
from urfr_tf.runs.origin import collect_versions, describe_machine

TEMPLATES, GROUPS, WIDTH = 10_000, 16, 32
_DIRECT_ROWS = 20


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measures; see interface.md for the keys.

    Beside the ratios of interface.md: `direct_over_likelihood`, how many times faster than the formula in
    float64, and `worst_difference` to it, as a share of the largest score. `engine`: the instructions that the
    compiled kernel uses here, or tensorflow where it was not built.
    """
    return measure(TEMPLATES, args.repeat)


def measure(templates: int, rounds: int) -> dict[str, Any]:
    """The measurement with this many templates on either side."""
    random = np.random.default_rng(0)
    a, va = made_up(random, templates)
    b, vb = made_up(random, templates)
    flat_a, flat_b = a.reshape(templates, -1), b.reshape(templates, -1)
    scores = likelihood_score(a, va, b, vb, all_pairs=True)
    rows = slice(0, min(_DIRECT_ROWS, templates))
    expected = direct(a[rows], va[rows], b, vb)
    difference = float(np.abs(scores[rows] - expected).max() / np.abs(expected).max())
    del scores
    parts: dict[str, Callable[[], Any]] = {
        # Both allocate: the pages of a fresh result can cost more than the product.
        "gemm": lambda: np.matmul(flat_a, flat_b.T),
        "likelihood": lambda: likelihood_score(a, va, b, vb, all_pairs=True),
        "direct_float64": lambda: direct(a[rows], va[rows], b, vb),
    }
    seconds: dict[str, list[float]] = {name: [] for name in parts}
    for _ in range(rounds):
        for name, work in parts.items():
            scale = templates / (rows.stop - rows.start) if name == "direct_float64" else 1.0
            start = time.perf_counter()
            work()
            seconds[name].append((time.perf_counter() - start) * scale)
    kernel = likelihood_kernel.load_kernel()
    ratio = [slow / fast for slow, fast in zip(seconds["likelihood"], seconds["gemm"], strict=True)]
    gain = [slow / fast for slow, fast in zip(seconds["direct_float64"], seconds["likelihood"], strict=True)]
    return {
        "machine": describe_machine(),
        "versions": collect_versions(),
        "engine": "tensorflow" if kernel is None else likelihood_kernel.NAMES[kernel.lanes],
        "seconds": {name: spread(values) for name, values in seconds.items()},
        "ratios": {
            "likelihood_over_gemm": statistics.median(ratio),
            "likelihood_over_gemm_min": min(ratio),
            "likelihood_over_gemm_max": max(ratio),
            "direct_over_likelihood": statistics.median(gain),
            "worst_difference": difference,
        },
    }


def made_up(random: np.random.Generator, templates: int) -> tuple[np.ndarray, np.ndarray]:
    """Random unit groups float32 [N, 16, 32], and variances float32 [N, 16] of confidences from 5 to 200."""
    embedding = random.standard_normal((templates, GROUPS, WIDTH), np.float32)
    embedding /= np.linalg.norm(embedding, axis=-1, keepdims=True)
    return embedding, (1 / random.uniform(5, 200, (templates, GROUPS))).astype(np.float32)


def direct(a: np.ndarray, va: np.ndarray, b: np.ndarray, vb: np.ndarray) -> np.ndarray:
    """The formula of the method, section 6, in float64 from differences: [N, M], one row at a time."""
    b, vb = b.astype(np.float64), vb.astype(np.float64)
    scores = np.empty((len(a), len(b)))
    for row in range(len(a)):
        distance = ((a[row] - b) ** 2).sum(axis=2)
        total = va[row] + vb
        scores[row] = -0.5 * (distance / total + a.shape[2] * np.log(total)).sum(axis=1)
    return scores
