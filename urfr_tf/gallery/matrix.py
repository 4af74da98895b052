"""The templates of a gallery as a memory-mapped matrix in a file of its own, and the search through it.

The file is a cache: everything in it follows from the images in the gallery, and it is written anew where it
is missing, damaged, of another processor, or of a state that the gallery does not know (one that was restored
from a backup). It holds a header (JSON in 16 KiB), the templates in the order in which the compiled kernel
reads them (`likelihood_kernel.Panels`), and whose they are (int64).

A template has a slot, which is its column. What changed since the file was written is found by the number of
the change, so a search after an enrollment reads only what is new. Locks of the system on the file keep
searches and changes apart. A process that dies in the middle of a change leaves a header without a state.
"""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, Protocol, TypedDict, cast

import numpy as np
from numpy.typing import NDArray

from urfr_tf.errors import UrfrError
from urfr_tf.evaluation.scoring import LIKELIHOOD
from urfr_tf.files import disk_error
from urfr_tf.gallery.templates import Faces
from urfr_tf.metrics import likelihood_kernel, likelihood_score
from urfr_tf.metrics.arrays import Float32s, Float64s, Ints
from urfr_tf.metrics.cosine import normalize_rows
from urfr_tf.metrics.likelihood import LEAST_IN_FLOAT32
from urfr_tf.metrics.likelihood_kernel import Kernel, Panels
from urfr_tf.system.cores import count_cores

_FORMAT = "urfr-gallery-matrix/1"
_HEADER = 16384
_MOST_GROUPS = 256  # of which the header can hold the bounds
_DIRTY = -1
_BLOCK_BYTES = 16 << 20
_MOST_FACES = 48  # searched in one pass


class Slots(NamedTuple):
    """Templates that are to be written: their slots int64 [N], whose they are int64 [N], themselves."""

    slots: Ints
    people: Ints
    templates: Faces


class State(NamedTuple):
    """A state of the gallery: the number of the change that led to it, its random mark, and the people."""

    number: int
    mark: str
    people: int


class Changes(Protocol):
    """What the matrix needs of a gallery."""

    def newest(self) -> int:
        """The number of the newest change."""

    def knows(self, number: int, mark: str) -> bool:
        """Whether a change with this number and mark is one of the latest of this gallery."""

    def snapshot(self) -> contextlib.AbstractContextManager[State]:
        """The newest state; until the end of the block `changed_since` reads from it."""

    def changed_since(self, number: int, score: str) -> Iterator[Slots]:
        """The templates that later changes made or moved, in blocks."""


class _Header(TypedDict):
    """What the file says about itself; another file is written where a part differs."""

    format: str
    gallery: str
    score: str
    groups: int
    width: int
    columns: int
    state: int
    mark: str
    people: int
    low: list[float]
    high: list[float]


class Matrix:
    """The matrix of one gallery for one score.

    Args:
        path: of the file.
        gallery: the gallery's id.
        score: what the templates are for.
        shape: K and d.
    """

    def __init__(self, path: Path, gallery: str, score: str, shape: tuple[int, int]) -> None:
        if shape[0] > _MOST_GROUPS:
            raise UrfrError(f"expected a model of at most {_MOST_GROUPS} groups, but got {shape[0]}")
        self.path, self.score = path, score
        self._kernel = likelihood_kernel.load_kernel()
        self._groups, self._width = shape
        self._columns = likelihood_kernel.panel_columns(self._kernel)
        self._gallery = gallery
        self._header = self._new_header()
        self._panels: Float32s = np.zeros([0, self._groups, self._width + 2, self._columns], np.float32)
        self._mapped: tuple[int, int, int] | None = None
        self._people: Ints = np.zeros(0, np.int64)

    def search(self, faces: Faces, count: int, changes: Changes) -> list[Ints]:
        """Finds the people whose templates score highest.

        Args:
            faces: what is searched for, groups of norm 1.
            count: how many people are wanted.
            changes: of the gallery.

        Returns:
            For each face their ids, int64, at most `count`, the best first. Scores are compared in float32.

        Raises:
            UrfrError: the file cannot be written, or the model has more than 256 groups.
        """
        with self._open(changes) as people:
            if not people:
                return [np.zeros(0, np.int64) for _ in faces.embedding]
            best = []
            for start in range(0, len(faces.embedding), _MOST_FACES):
                best += self._search_mapped(faces.take(slice(start, start + _MOST_FACES)), count)
            return [self._people[slots] for slots in best]

    def update(self, changes: Changes) -> None:
        """Brings the file up to the state of the gallery; what it held of a removed person is overwritten."""
        with self._open(changes):
            pass

    def read_templates(self, changes: Changes) -> Iterator[Slots]:
        """Reads the file back, in blocks: what is in it, to be compared with the gallery."""
        with self._open(changes) as people:
            per_block = max(1, 4096 // self._columns)
            for start in range(0, len(self._panels), per_block):
                first = start * self._columns
                last = min(people, first + per_block * self._columns)
                faces = self._unpack(slice(start, start + per_block)).take(slice(0, last - first))
                yield Slots(np.arange(first, last), self._people[first:last], faces)

    @contextlib.contextmanager
    def _open(self, changes: Changes) -> Iterator[int]:
        """Maps the file in its newest state and keeps others from changing it; gives the people in it."""
        try:
            with open(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b") as file:
                newest = changes.newest()
                while True:
                    fcntl.flock(file, fcntl.LOCK_SH)
                    if self._is_current(file.fileno(), changes) and self._header["state"] >= newest:
                        break
                    fcntl.flock(file, fcntl.LOCK_EX)
                    self._bring_up_to_date(file.fileno(), changes)
                self._map(file.fileno())
                yield self._header["people"]
        except OSError as error:
            raise disk_error(error, self.path) from error

    def _new_header(self) -> _Header:
        return {
            "format": _FORMAT,
            "gallery": self._gallery,
            "score": self.score,
            "groups": self._groups,
            "width": self._width,
            "columns": self._columns,
            "state": 0,
            "mark": "",
            "people": 0,
            "low": [np.inf] * self._groups,
            "high": [0.0] * self._groups,
        }

    def _read_header(self, file: int) -> bool:
        """Reads the header; False where the file is not what it should be."""
        wanted = self._new_header()
        try:
            header = json.loads(os.pread(file, _HEADER, 0).rstrip(b"\0"))
            fixed = ("format", "gallery", "score", "groups", "width", "columns")
            same = all(header[key] == wanted[key] for key in fixed)  # type: ignore[literal-required]
            bounds = np.array([header["low"], header["high"]], np.float64)
            whole = bounds.shape == (2, self._groups) and header["state"] >= 0 and header["people"] >= 0
            if not same or not whole or os.fstat(file).st_size != self._size(header["people"]):
                return False
        except (ValueError, KeyError, TypeError, RecursionError):
            return False
        self._header = header
        return True

    def _is_current(self, file: int, changes: Changes) -> bool:
        """Whether the file is of one of the latest states of the gallery."""
        return self._read_header(file) and changes.knows(self._header["state"], self._header["mark"])

    def _write_header(self, file: int, header: _Header) -> None:
        os.pwrite(file, json.dumps(header).encode("ascii").ljust(_HEADER, b"\0"), 0)
        self._header = header

    def _size(self, people: int) -> int:
        """Bytes of the file for a number of people."""
        panels = -(-people // self._columns)
        return _HEADER + panels * self._columns * (4 * self._groups * (self._width + 2) + 8)

    def _bring_up_to_date(self, file: int, changes: Changes) -> None:
        """Writes what changed; the file is locked."""
        with changes.snapshot() as newest:
            if not self._is_current(file, changes):
                self._header = self._new_header()
                os.ftruncate(file, 0)
            if self._header["state"] < newest.number:
                self._write_changes(file, changes, newest)

    def _write_changes(self, file: int, changes: Changes, newest: State) -> None:
        header, before, people = self._header, self._header["people"], newest.people
        owners = self._read_people(file, before)
        self._write_header(file, {**header, "state": _DIRTY})
        if people < before:  # the columns of those who are gone
            self._reserve(file, before)
            self._map(file)
            self._fill(np.arange(people, before), 0.0)
        self._reserve(file, people)
        self._map(file)
        owners = np.concatenate([owners[:people], np.zeros(max(0, people - before), np.int64)])
        low, high = np.array(header["low"]), np.array(header["high"])
        for block in changes.changed_since(header["state"], self.score):
            packed = likelihood_kernel.pack_columns(*block.templates)
            self._fill(block.slots, packed)
            owners[block.slots] = block.people
            variance = block.templates.variance.astype(np.float64)
            low, high = np.minimum(low, variance.min(axis=0)), np.maximum(high, variance.max(axis=0))
        owners.resize(-(-people // self._columns) * self._columns)
        os.pwrite(file, owners.tobytes(), self._size(people) - owners.nbytes)
        self._unmap()
        os.fsync(file)
        bounds = {"low": low.tolist(), "high": high.tolist()}
        made = {"state": newest.number, "mark": newest.mark, "people": people}
        self._write_header(file, cast(_Header, {**header, **made, **bounds}))

    def _reserve(self, file: int, people: int) -> None:
        """Gives the file its size and room on the disk: a mapped page without room would end the process."""
        size = self._size(people)
        os.ftruncate(file, size)
        os.posix_fallocate(file, 0, size)
        self._header = {**self._header, "people": people}

    def _read_people(self, file: int, people: int) -> Ints:
        rows = -(-people // self._columns) * self._columns
        content = os.pread(file, 8 * rows, self._size(people) - 8 * rows)
        return np.frombuffer(content, np.int64)[:people].copy()

    def _map(self, file: int) -> None:
        """Maps the file as its header says; does nothing where it is mapped already."""
        status = os.fstat(file)
        key = (status.st_ino, status.st_size, self._header["state"])
        if key != self._mapped or self._header["state"] < 0:
            panels = -(-self._header["people"] // self._columns)
            shape = (panels, *self._panels.shape[1:])
            if panels:
                self._panels = np.memmap(self.path, np.float32, "r+", _HEADER, shape)
            else:
                self._panels = np.zeros(shape, np.float32)
            self._people = self._read_people(file, self._header["people"])
            self._mapped = key

    def _unmap(self) -> None:
        if isinstance(self._panels, np.memmap):
            self._panels.flush()
        self._panels, self._mapped = self._panels[:0], None

    def _fill(self, slots: Ints, columns: "Float32s | float") -> None:
        self._panels[slots // self._columns, :, :, slots % self._columns] = columns

    def _unpack(self, panels: slice) -> Faces:
        """Templates of some panels; those of columns that are room are zeros."""
        rows = np.moveaxis(self._panels[panels], -1, 1)
        rows = np.ascontiguousarray(rows).reshape(-1, self._groups, self._width + 2)
        return Faces(rows[:, :, :-2].copy(), rows[:, :, -1].copy())

    def _search_mapped(self, faces: Faces, count: int) -> list[Ints]:
        people, columns = self._header["people"], self._columns
        score = self._choose_scores(faces)
        step = max(1, _BLOCK_BYTES // self._panels[:1].nbytes)

        def search_block(start: int) -> tuple[Ints, Float32s]:
            scores = score(slice(start, start + step))[:, : people - start * columns]
            kept = min(count, scores.shape[1])
            best = np.argpartition(scores, scores.shape[1] - kept, axis=1)[:, scores.shape[1] - kept :]
            return best + start * columns, np.take_along_axis(scores, best, axis=1)

        with ThreadPoolExecutor(count_cores()) as pool:
            blocks = list(pool.map(search_block, range(0, len(self._panels), step)))
        slots = np.concatenate([block[0] for block in blocks], axis=1)
        scores = np.concatenate([block[1] for block in blocks], axis=1)
        # Ties go to the lower slot, so that the same gallery gives the same answer.
        return [slots[face][np.lexsort((slots[face], -scores[face]))[:count]] for face in range(len(slots))]

    def _choose_scores(self, faces: Faces) -> "_ScoreBlock":
        """What scores all faces against some panels, [F, templates]."""
        if self.score != LIKELIHOOD:
            unit = normalize_rows(faces.embedding).reshape(faces.embedding.shape)
            left = np.concatenate([unit, np.zeros([*unit.shape[:2], 2], np.float32)], axis=2)
            left = left.reshape(len(left), -1)

            def cosine(panels: slice) -> Float32s:
                block = self._panels[panels].reshape(-1, left.shape[1], self._columns)
                scores: Float32s = np.matmul(left, block)
                return np.moveaxis(scores, 0, 1).reshape(len(left), -1)

            return cosine
        low, high = self._sums_of_variances(faces)
        ends = likelihood_kernel.plan_runs(low, high)
        kernel = self._kernel
        if kernel is None or ends is None or low.min() < LEAST_IN_FLOAT32:

            def general(panels: slice) -> Float32s:
                block = self._unpack(panels)
                block.variance[block.variance == 0] = 1.0  # of columns that are room
                return likelihood_score(*faces, *block, all_pairs=True)

            return general
        return _KernelScores(kernel, faces, self._panels, ends)

    def _sums_of_variances(self, faces: Faces) -> tuple[Float64s, Float64s]:
        own = faces.variance.astype(np.float64)
        low, high = np.array(self._header["low"]), np.array(self._header["high"])
        return own.min(axis=0) + low, own.max(axis=0) + high


class _ScoreBlock(Protocol):
    def __call__(self, panels: slice) -> Float32s:
        """Scores all faces against some panels."""


class _KernelScores(NamedTuple):
    """Likelihoods by the compiled kernel."""

    kernel: Kernel
    faces: Faces
    panels: Float32s
    ends: NDArray[np.uint8]

    def __call__(self, panels: slice) -> Float32s:
        return likelihood_kernel.score_panels(
            self.kernel, *self.faces, Panels(self.panels[panels], self.ends)
        )
