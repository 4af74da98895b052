"""A folder or list of photographs -> one .npz of embeddings: streamed, in order, resumable.

Everything goes through memory-mapped files in `.NAME.part/` beside the result, so memory does not
grow with the number of images, and an interrupted run goes on where it was.
"""

import hashlib
import os
import shutil
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap

from urfr_tf import keys
from urfr_tf.embedding.photographs import Photograph, crops
from urfr_tf.errors import UrfrError
from urfr_tf.files import disk_error, read_json, replacing, write_json
from urfr_tf.runs.embedder import Embedder

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".pgm", ".ppm", ".pnm")
BATCH = 64
_ARRAYS = (keys.EMBEDDING, keys.CONFIDENCE, "path", "found")


@dataclass(frozen=True)
class Summary:
    """How many images there were, how many were embedded, and why the others were not."""

    images: int
    found: int
    refused: dict[str, int]


def list_images(source: str | os.PathLike[str]) -> Iterator[str]:
    """Paths of a folder's images (by their names' ends, folder by folder, sorted) or of a list.

    A list has one path a line, relative to the list's own folder; empty lines are left out.

    Raises:
        UrfrError: neither a folder nor a text file.
    """
    source = Path(source)
    if source.is_dir():
        for folder, folders, files in os.walk(source):
            folders.sort()
            yield from (os.path.join(folder, f) for f in sorted(files) if f.lower().endswith(SUFFIXES))
        return
    try:
        with open(source, encoding="utf-8", errors="strict") as lines:
            for line in lines:
                if "\0" in line:
                    raise UrfrError(
                        f"expected a folder or a text file with one path a line, but {source} is binary"
                    )
                if line.strip():
                    yield os.path.join(source.parent, line.rstrip("\r\n"))
    except UnicodeDecodeError as error:
        raise UrfrError(
            f"expected a folder or a text file with one path a line, but {source} is binary"
        ) from error
    except OSError as error:
        raise UrfrError(
            f"expected a folder of images or a list, but could not read {source}: {error.strerror}"
        ) from error


def embed_images(
    model: Embedder,
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    align: str,
    *,
    part: tuple[int, int] = (1, 1),
    on_progress: Callable[[int, int], Any] = lambda total, done: None,
) -> Summary:
    """Embeds every image of `source` and writes the .npz `out`.

    The file has `embedding` float32 [N, D], `confidence` float32 [N, K], `path` str [N] and `found`
    bool [N], in the order of `list_images`. Where no face or no image was found, found is False and
    the other two are 0: a confidence of 0 weighs nothing in a fusion.

    Args:
        part: (i, n): only the i-th of n equal slices of the list, 1-based, for several processes.
        on_progress: called with (images in all, done so far) at the start and after every batch.

    Raises:
        UrfrError: no image in the source, none that could be embedded, a full disk.
    """
    out = Path(out)
    if out.is_dir():
        raise UrfrError(f"expected the name of an .npz file to write, but {out} is a folder")
    folder = out.with_name(f".{out.name}.part")
    try:
        work = _open(folder, model, source, align, part)
        on_progress(work.total, work.done)
        batch: list[Photograph] = []
        for photograph in crops(work.remaining(), align, model.aligned_size):
            batch.append(photograph)
            if len(batch) == BATCH:
                work.add(batch, model)
                batch = []
                on_progress(work.total, work.done)
        if batch:
            work.add(batch, model)
            on_progress(work.total, work.done)
        found = int(np.count_nonzero(work.arrays["found"]))
        if not found:
            raise UrfrError(
                f"none of the {work.total} images of {source} could be embedded "
                f"({'; '.join(f'{n} {reason}' for reason, n in work.refused.most_common(3))}); nothing was written"
            )
        with replacing(out) as tmp_path:
            _pack(folder, tmp_path)
    except OSError as error:
        raise disk_error(error, out) from error
    shutil.rmtree(folder, ignore_errors=True)
    return Summary(work.total, found, dict(work.refused))


class _Work:
    """The memory-mapped arrays of one run, and how many of their rows are done."""

    def __init__(self, folder: Path, state: dict[str, Any]) -> None:
        self.folder = folder
        self.state = state
        self.total: int = state["total"]
        self.done: int = state["done"]
        self.refused: Counter[str] = Counter(state["refused"])
        self.arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r+") for name in _ARRAYS}

    def remaining(self) -> Iterator[str]:
        """The paths that are not done."""
        for row in range(self.done, self.total):
            yield str(self.arrays["path"][row])

    def add(self, batch: list[Photograph], model: Embedder) -> None:
        """Embeds and stores one batch; afterwards it counts as done."""
        rows = slice(self.done, self.done + len(batch))
        found = {i: photograph.crop for i, photograph in enumerate(batch) if photograph.crop is not None}
        if found:
            good = list(found)
            outputs = model(np.stack(list(found.values())))
            for name in (keys.EMBEDDING, keys.CONFIDENCE):
                self.arrays[name][rows][good] = outputs[name]
            self.arrays["found"][rows][good] = True
        self.refused.update(p.refused.partition(":")[0] for p in batch if p.crop is None)
        self.done += len(batch)
        for array in self.arrays.values():
            array.flush()
        write_json(self.folder / "state.json", {**self.state, "done": self.done, "refused": self.refused})


def _open(
    folder: Path, model: Embedder, source: str | os.PathLike[str], align: str, part: tuple[int, int]
) -> _Work:
    """Goes on with the run in `folder` if it is the same, else starts anew."""
    count, longest, digest = _survey(list_images(source))
    if not count:
        raise UrfrError(f"expected images ({', '.join(SUFFIXES)}) in {source}, but there is none")
    first, last = ((count * i) // part[1] for i in (part[0] - 1, part[0]))
    if first == last:
        raise UrfrError(f"part {part[0]} of {part[1]} of the {count} images of {source} is empty")
    same = {"model": model.fingerprint, "images": digest, "align": align, "part": list(part)}
    path = folder / "state.json"
    if path.is_file():
        state = read_json(path)
        if isinstance(state, dict) and all(state.get(key) == value for key, value in same.items()):
            return _Work(folder, state)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    total = last - first
    for name, dtype, shape in (
        (keys.EMBEDDING, np.float32, (total, model.dim)),
        (keys.CONFIDENCE, np.float32, (total, model.groups)),
        ("found", np.bool_, (total,)),
    ):
        open_memmap(folder / f"{name}.npy", "w+", dtype, shape).flush()
    paths = open_memmap(folder / "path.npy", "w+", f"<U{longest}", (total,))
    for row, image in enumerate(list_images(source)):
        if first <= row < last:
            paths[row - first] = image
    paths.flush()
    state = {**same, "total": total, "done": 0, "refused": {}}
    write_json(path, state)
    return _Work(folder, state)


def _survey(paths: Iterable[str]) -> tuple[int, int, str]:
    """Number of paths, length of the longest, and a digest of them all."""
    count = longest = 0
    digest = hashlib.sha256()
    for path in paths:
        count += 1
        longest = max(longest, len(path))
        digest.update(path.encode("utf-8", "surrogateescape") + b"\0")
    return count, longest, digest.hexdigest()


def _pack(folder: Path, out: Path) -> None:
    """The .npy files of `folder` as one uncompressed .npz, as np.savez writes it."""
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name in _ARRAYS:
            archive.write(folder / f"{name}.npy", f"{name}.npy")
