"""`urfr bench gallery`: the search of one face among 1e4, 1e5 and 1e6 people, against a product of that size.

The gallery is a file in a temporary folder, and grows from size to size. People have one image of 16 groups
of 32 numbers. The product is NumPy's, of a float32 matrix [N, 512] and a vector. They take turns, and a ratio
is that of their medians (p50) and of their 95 % quantiles (p95). With --postgres the gallery of 1e5 is copied
into that database and searched there, too.
"""

import argparse
import contextlib
import hashlib
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from urfr_tf.bench.score import GROUPS, WIDTH
from urfr_tf.bench.spread import BenchResult, Spread, summarize
from urfr_tf.files import size_of
from urfr_tf.gallery import Gallery
from urfr_tf.gallery.copying import copy_gallery
from urfr_tf.gallery.records import StoredImage
from urfr_tf.gallery.templates import Faces
from urfr_tf.metrics import likelihood_kernel
from urfr_tf.metrics.arrays import Float32s
from urfr_tf.runs.embedder import Embedder, Outputs
from urfr_tf.runs.origin import collect_versions
from urfr_tf.system.memory import available
from urfr_tf.system.processor import describe_machine

SIZES = (10_000, 100_000, 1_000_000)
_IN_POSTGRES = 100_000
_FACTORS = 64  # embeddings of faces fill fewer dimensions than they have
_BATCH = 4096
_PROBES = 200
_NOISE = 0.7
_BYTES = 8000  # of memory and of the disk's cache, a template


class Crowd:
    """Made-up people: each has a direction in a space of 64 factors."""

    def __init__(self) -> None:
        self._map = np.random.default_rng(0).standard_normal((_FACTORS, GROUPS * WIDTH), np.float32)

    def embed(self, people: NDArray[np.int64], noise: float, seed: int) -> tuple[Float32s, Float32s]:
        """An image of each: embeddings float32 [N, D] of unit norm and confidences float32 [N, K]."""
        factors = np.stack([np.random.default_rng([1, n]).standard_normal(_FACTORS) for n in people.tolist()])
        random = np.random.default_rng([seed, int(people[0])])
        factors += noise * random.standard_normal(factors.shape)
        groups = (factors.astype(np.float32) @ self._map).reshape(len(people), GROUPS, WIDTH)
        groups /= np.linalg.norm(groups, axis=2, keepdims=True)
        confidence = random.uniform(5, 200, (len(people), GROUPS)).astype(np.float32)
        return groups.reshape(len(people), -1) / np.float32(np.sqrt(GROUPS)), confidence

    def enroll(self, gallery: Gallery, first: int, last: int) -> float:
        """Adds people `first` to `last`; gives the seconds that the gallery took."""
        seconds = 0.0
        for start in range(first, last, _BATCH):
            people = np.arange(start, min(start + _BATCH, last))
            embedding, confidence = self.embed(people, _NOISE, 2)
            images = [
                StoredImage(hashlib.sha256(b"%d" % n).digest(), "", "none", row.astype(np.float16), each)
                for n, row, each in zip(people.tolist(), embedding, confidence, strict=True)
            ]
            begin = time.perf_counter()
            gallery.add([(str(n), [one]) for n, one in zip(people.tolist(), images, strict=True)])
            seconds += time.perf_counter() - begin
        return seconds


def run(args: argparse.Namespace) -> BenchResult:
    """Measures; sizes that memory does not hold are left out.

    Some of the ratios: `likelihood_over_gemv_1e6` (p50) and `likelihood_p95_over_gemv_1e6`; the same for
    `cosine`. `bytes_per_template`: of the database and of the matrix of one score.
    """
    room = available()
    sizes = [size for size in SIZES if room is None or size * _BYTES < room]
    return measure_galleries(sizes, max(20, 4 * args.repeat), args.postgres)


def measure_galleries(sizes: Sequence[int], searches: int, postgres: str | None = None) -> BenchResult:
    """Measures with galleries of these sizes, rising, and so many searches in each."""
    seconds: dict[str, Spread] = {}
    ratios: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="urfr-bench-") as folder:
        path, crowd = Path(folder) / "bench.gallery", Crowd()
        Gallery.create(path, _model()).close()
        before = 0
        for size in sizes:
            name = f"{size:.0e}".replace("+0", "")
            with Gallery(path) as gallery:
                took = crowd.enroll(gallery, before, size)
            ratios[f"enrolled_per_second_{name}"] = (size - before) / took
            before = size
            _measure_size(path, crowd, size, name, searches, seconds, ratios)
            if postgres is not None and size == min(_IN_POSTGRES, sizes[-1]):
                _measure_postgres(path, postgres, crowd, size, seconds, ratios)
        ratios["bytes_per_template_stored"] = path.stat().st_size / before
        ratios["bytes_per_template_matrix"] = size_of(Path(f"{path}-likelihood.matrix")) / before
    kernel = likelihood_kernel.load_kernel()
    return {
        "machine": describe_machine(),
        "versions": collect_versions(),
        "engine": "tensorflow" if kernel is None else likelihood_kernel.NAMES[kernel.lanes],
        "seconds": seconds,
        "ratios": ratios,
    }


def _measure_size(
    path: Path,
    crowd: Crowd,
    size: int,
    name: str,
    searches: int,
    seconds: dict[str, Spread],
    ratios: dict[str, float],
) -> None:
    matrix, vector = _dense(crowd, size)
    faces = _probes(crowd, size, searches)
    with _opened(path, name, seconds) as gallery:
        for score in ("likelihood", "cosine"):
            begin = time.perf_counter()
            gallery.search(faces.take(slice(0, 1)), score=score)
            seconds[f"first search {score} {name}"] = summarize([time.perf_counter() - begin])
        turns: dict[str, Callable[[int], object]] = {
            "gemv": lambda turn: matrix @ vector,
            "likelihood": lambda turn: gallery.search(faces.take(slice(turn, turn + 1))),
            "cosine": lambda turn: gallery.search(faces.take(slice(turn, turn + 1)), score="cosine"),
        }
        times: dict[str, list[float]] = {what: [] for what in turns}
        for turn in range(searches):
            for what, work in turns.items():
                begin = time.perf_counter()
                work(turn)
                times[what].append(time.perf_counter() - begin)
    for what, values in times.items():
        seconds[f"{what} {name}"] = summarize(values)
        if what != "gemv":
            p50, p95 = np.quantile(values, [0.5, 0.95]) / np.quantile(times["gemv"], [0.5, 0.95])
            ratios[f"{what}_over_gemv_{name}"] = float(p50)
            ratios[f"{what}_p95_over_gemv_{name}"] = float(p95)


@contextlib.contextmanager
def _opened(where: "Path | str", name: str, seconds: dict[str, Spread]) -> Iterator[Gallery]:
    begin = time.perf_counter()
    with Gallery(where) as gallery:
        seconds[f"open {name}"] = summarize([time.perf_counter() - begin])
        yield gallery


def _measure_postgres(
    path: Path, address: str, crowd: Crowd, size: int, seconds: dict[str, Spread], ratios: dict[str, float]
) -> None:
    """Searches the same gallery in a database: how long, and how often its best is the exact search's."""
    with Gallery(path) as exact:
        begin = time.perf_counter()
        copy_gallery(exact, address)
        ratios["postgres_copied_per_second"] = size / (time.perf_counter() - begin)
        for what, first in (("known", 0), ("strangers", SIZES[-1])):
            faces = _probes(crowd, size, _PROBES, first)
            wanted = [answer.candidates[0].person for answer in exact.search(faces, top=1)]
            with _opened(address, "postgres", seconds) as gallery:
                times, found = [], 0
                for turn in range(_PROBES):
                    begin = time.perf_counter()
                    (answer,) = gallery.search(faces.take(slice(turn, turn + 1)), top=1)
                    times.append(time.perf_counter() - begin)
                    found += answer.candidates[0].person == wanted[turn]
            seconds[f"postgres {what}"] = summarize(times)
            ratios[f"postgres_recall_{what}"] = found / _PROBES


def _probes(crowd: Crowd, size: int, count: int, first: int = 0) -> Faces:
    """Other images of people spread over the gallery, or of people beyond it."""
    people = first + np.linspace(0, size - 1, count).astype(np.int64)
    embedding, confidence = crowd.embed(people, _NOISE, 3)
    groups = embedding.reshape(count, GROUPS, WIDTH) * np.float32(np.sqrt(GROUPS))
    return Faces(groups, np.float32(1) / confidence)


def _dense(crowd: Crowd, size: int) -> tuple[Float32s, Float32s]:
    """A matrix of so many rows and a vector; the numbers do not change how long their product takes."""
    matrix = np.empty((size, GROUPS * WIDTH), np.float32)
    block = crowd.embed(np.arange(min(size, _BATCH)), _NOISE, 4)[0]
    for start in range(0, size, _BATCH):
        matrix[start : start + _BATCH] = block[: size - start]
    return matrix, block[0].copy()


def _model() -> Embedder:
    """What the galleries are bound to; the people are made up, and no image is ever embedded."""

    def compute(images: NDArray[np.float32]) -> Outputs:
        raise NotImplementedError

    return Embedder("bench", "run", 112, GROUPS, GROUPS * WIDTH, "0" * 64, compute)
