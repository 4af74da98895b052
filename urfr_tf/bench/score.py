"""`urfr bench score`: all-pairs likelihood scores against the matrix product of the same embeddings.

10,000 x 10,000 templates of 16 groups of 32 numbers. The product is NumPy's (its BLAS, all cores), the scores
are `likelihood_score` as it is called, with everything it prepares; both allocate their result of 400 MB. The
formula itself in float64, by differences, is measured on some rows and scaled. The computations take turns,
and a ratio is the median over the rounds.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from urfr_tf.bench.spread import BenchResult, summarize
from urfr_tf.metrics import likelihood_kernel, likelihood_score
from urfr_tf.runs.origin import collect_versions
from urfr_tf.system.processor import describe_machine

Floats: TypeAlias = NDArray[np.float32]
TEMPLATES, GROUPS, WIDTH = 10_000, 16, 32
_DIRECT_ROWS = 20


def run(args: argparse.Namespace) -> BenchResult:
    """Measures.

    Some of the ratios: `direct_over_likelihood`, how many times faster than the formula in
    float64, and `worst_difference` to it, as a share of the largest score. `engine`: the instructions that
    the compiled kernel uses here, or tensorflow where it was not built.
    """
    return measure_scores(TEMPLATES, args.repeat)


def measure_scores(templates: int, rounds: int) -> BenchResult:
    """Measures with this many templates on either side."""
    random = np.random.default_rng(0)
    a, va = make_templates(random, templates)
    b, vb = make_templates(random, templates)
    flat_a, flat_b = a.reshape(templates, -1), b.reshape(templates, -1)
    scores = likelihood_score(a, va, b, vb, all_pairs=True)
    rows = slice(0, min(_DIRECT_ROWS, templates))
    expected = score_directly(a[rows], va[rows], b, vb)
    difference = float(np.abs(scores[rows] - expected).max() / np.abs(expected).max())
    del scores
    computations: dict[str, Callable[[], object]] = {
        # Both allocate: the pages of a fresh result can cost more than the product.
        "gemm": lambda: np.matmul(flat_a, flat_b.T),
        "likelihood": lambda: likelihood_score(a, va, b, vb, all_pairs=True),
        "direct_float64": lambda: score_directly(a[rows], va[rows], b, vb),
    }
    seconds: dict[str, list[float]] = {name: [] for name in computations}
    for _ in range(rounds):
        for name, work in computations.items():
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
        "seconds": {name: summarize(values) for name, values in seconds.items()},
        "ratios": {
            "likelihood_over_gemm": statistics.median(ratio),
            "likelihood_over_gemm_min": min(ratio),
            "likelihood_over_gemm_max": max(ratio),
            "direct_over_likelihood": statistics.median(gain),
            "worst_difference": difference,
        },
    }


def make_templates(random: np.random.Generator, templates: int) -> tuple[Floats, Floats]:
    """Makes random unit groups float32 [N, 16, 32], and variances float32 [N, 16] of confidences from 5 to
    200.
    """
    embedding = random.standard_normal((templates, GROUPS, WIDTH), np.float32)
    embedding /= np.linalg.norm(embedding, axis=-1, keepdims=True)
    return embedding, (1 / random.uniform(5, 200, (templates, GROUPS))).astype(np.float32)


def score_directly(a: Floats, va: Floats, b: Floats, vb: Floats) -> NDArray[np.float64]:
    """Computes the formula of the method, section 6, in float64 from differences: [N, M], one row at a
    time.
    """
    b64, vb64 = b.astype(np.float64), vb.astype(np.float64)
    scores = np.empty((len(a), len(b)))
    for row in range(len(a)):
        distance = ((a[row] - b64) ** 2).sum(axis=2)
        total = va[row] + vb64
        scores[row] = -0.5 * (distance / total + a.shape[2] * np.log(total)).sum(axis=1)
    return scores
