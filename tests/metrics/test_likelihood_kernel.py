"""The compiled kernel, built here from its source with the compiler that is there."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from paths import ROOT

from urfr_tf.metrics import likelihood, likelihood_kernel, likelihood_score

SOURCE = Path(likelihood_kernel.__file__).with_name("likelihood_tile.c")
COMPILER = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
pytestmark = pytest.mark.skipif(COMPILER is None, reason="needs a C compiler")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    path = tmp_path_factory.mktemp("kernel") / "tile.so"
    words = ["-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", path, SOURCE]
    subprocess.run([COMPILER, *words], check=True)
    return likelihood_kernel.open_kernel(path)


@pytest.fixture(params=[16, 8, 4], ids=likelihood_kernel.NAMES.get)
def kernel(request, built):
    """One copy of the kernel, as far as this processor can run it."""
    if request.param > built.lanes:
        pytest.skip("this processor has not the instructions")
    return built._replace(lanes=request.param)


def made_up(rng, count, groups, width, low, high):
    x = rng.standard_normal((count, groups, width)).astype(np.float32)
    x /= np.linalg.norm(x, axis=-1, keepdims=True)
    return x, (10 ** rng.uniform(low, high, (count, groups))).astype(np.float32)


def oracle(a, va, b, vb):
    """The formula of the method, section 6, in float64 from differences: [N, M]."""
    a, va, b, vb = (np.asarray(x, np.float64) for x in (a, va, b, vb))
    distance = ((a[:, np.newaxis] - b) ** 2).sum(axis=-1)
    total = va[:, np.newaxis] + vb
    return -0.5 * (distance / total + a.shape[2] * np.log(total)).sum(axis=-1)


def scores(kernel, a, va, b, vb, memory=1 << 20):
    scale, runs = likelihood.product_runs(va, vb)
    return likelihood_kernel.score_all_pairs(kernel, a, va, b, vb, scale, runs, memory)


# Neither rows nor columns fill a tile of 6 x 64; one row, one column, one group, an odd width; more than one
# block.
@pytest.mark.parametrize("rows, columns, groups, width", [(1, 1, 1, 1), (7, 65, 16, 32), (200, 131, 3, 5)])
@pytest.mark.parametrize("low, high", [(-2.4, -1.0), (-3.5, 6.0), (15, 25)], ids=["usual", "mixed", "large"])
def test_equals_the_formula(kernel, rows, columns, groups, width, low, high):
    rng = np.random.default_rng(0)
    a, va = made_up(rng, rows, groups, width, low, high)
    b, vb = made_up(rng, columns, groups, width, low, high)
    b[0] = a[0]  # the same photograph twice: distance 0
    expected = oracle(a, va, b, vb)
    got = scores(kernel, a, va, b, vb)
    assert got.dtype == np.float32 and got.shape == (rows, columns)
    assert np.abs(got - expected).max() < 2e-5 * np.abs(expected).max()


def test_runs_are_cut_where_a_product_would_overflow(kernel):
    # Sums from 2e-3 to 2e19: three groups could give 8e57, out of the range of float32.
    rng = np.random.default_rng(1)
    a, va = made_up(rng, 40, 3, 4, -3, 19)
    b, vb = made_up(rng, 70, 3, 4, -3, 19)
    va[0], vb[0], va[1], vb[1] = 1e-3, 1e-3, 1e19, 1e19
    assert len(likelihood.product_runs(va, vb)[1]) > 1
    expected = oracle(a, va, b, vb)
    np.testing.assert_allclose(scores(kernel, a, va, b, vb), expected, atol=2e-5 * np.abs(expected).max())


def test_the_same_bits_whatever_the_memory_and_the_threads(kernel, monkeypatch):
    rng = np.random.default_rng(2)
    a, va = made_up(rng, 400, 4, 8, -2, 0)
    b, vb = made_up(rng, 300, 4, 8, -2, 0)
    whole = scores(kernel, a, va, b, vb)
    # 4 groups of 8 + 2 numbers are 160 bytes a row: blocks of 6 rows, the least, and of 12.
    for memory, threads in ((1, 3), (160 * 12, 1), (1 << 30, 2)):
        monkeypatch.setattr(likelihood_kernel, "count_cores", lambda threads=threads: threads)
        np.testing.assert_array_equal(scores(kernel, a, va, b, vb, memory), whole)
    # Nor does it matter which other rows and columns are asked for, where the scale is the same.
    scale, runs = likelihood.product_runs(va, vb)
    block = likelihood_kernel.score_all_pairs(
        kernel, a[100:200], va[100:200], b[:50], vb[:50], scale, runs, 1 << 20
    )
    np.testing.assert_array_equal(block, whole[100:200, :50])


def test_the_score_uses_it_and_does_without(built, monkeypatch):
    rng = np.random.default_rng(3)
    a, va = made_up(rng, 30, 4, 8, -2, 0)
    scored = {}
    for name, library in (("kernel", built), ("tensorflow", None)):
        monkeypatch.setattr(likelihood_kernel, "load_kernel", lambda library=library: library)
        scored[name] = likelihood_score(a, va, a, va, all_pairs=True)
    np.testing.assert_array_equal(scored["kernel"], scores(built, a, va, a, va))
    np.testing.assert_allclose(scored["tensorflow"], scored["kernel"], rtol=1e-5, atol=1e-4)


def test_a_file_that_is_no_library_counts_as_none(tmp_path):
    (tmp_path / "tile.so").write_text("no library")
    assert likelihood_kernel.open_kernel(tmp_path / "tile.so") is None


@pytest.mark.slow
def test_an_installation_without_a_compiler_succeeds(tmp_path):
    """`setup.py build_ext` without a compiler warns and ends with 0; with one, the file is there."""
    root = ROOT
    command = [sys.executable, "setup.py", "build_ext"]
    for compiler, libraries in (("/nowhere/cc", 0), (COMPILER, 1)):
        out = tmp_path / str(libraries)
        words = [*command, "--build-lib", str(out), "--build-temp", str(tmp_path / f"temp{libraries}")]
        subprocess.run(words, cwd=root, env={**os.environ, "CC": compiler}, check=True, capture_output=True)
        assert len(list(out.rglob("likelihood_tile*"))) == libraries
