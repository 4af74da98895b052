"""A folder or list of photographs -> one .npz of embeddings: streamed, in order, resumable.

Everything goes through memory-mapped files in the folder `.NAME.part/` next to the result. Memory does not
grow with the number of images, and the same command continues an interrupted run.
"""

import hashlib
import os
import shutil
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict, cast

import numpy as np
import numpy.typing as npt
from numpy.lib.format import open_memmap

from urfr_tf import keys
from urfr_tf.data.cropper import CropSettings
from urfr_tf.embedding.photographs import Photograph, crop_photographs
from urfr_tf.errors import UrfrError
from urfr_tf.files import disk_error, read_json, replacing, write_json
from urfr_tf.runs.embedder import Embedder

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".pgm", ".ppm", ".pnm")
BATCH = 64
_ARRAYS = (keys.EMBEDDING, keys.CONFIDENCE, "path", "found")


@dataclass(frozen=True)
class Summary:
    """How many images there were, how many were embedded, and why the others were not.

    Attributes:
        images: number of images.
        found: number of images that were embedded.
        refused: reason -> number of images.
    """

    images: int
    found: int
    refused: dict[str, int]


def list_images(source: str | os.PathLike[str]) -> Iterator[str]:
    """Lists the images of a folder, or reads the paths of a list.

    The images of a folder are those whose names end in one of `SUFFIXES`, folder by folder, sorted. A list
    has one path a line, relative to the folder of the list; empty lines are left out.

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


def embed_photographs(
    model: Embedder,
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    align: str,
    *,
    list_slice: tuple[int, int] = (1, 1),
    on_progress: Callable[[int, int], object] = lambda total, done: None,
) -> Summary:
    """Embeds every image of `source` and writes the .npz `out`.

    The file has `embedding` float32 [N, D], `confidence` float32 [N, K], `path` str [N] and `found`
    bool [N], in the order of `list_images`. Where no face or no image was found, `found` is False, and
    embedding and confidence are 0. A confidence of 0 weighs nothing in a fusion.

    Args:
        model: the model.
        source: a folder or a list, see `list_images`.
        out: the file to write.
        align: `mtcnn` or `none`.
        list_slice: (i, n) takes the i-th of n equal slices of the list, 1-based, for several processes.
        on_progress: called with (images in all, done so far) at the start and after every batch.

    Raises:
        UrfrError: no image in the source, none that could be embedded, a full disk.
    """
    out = Path(out)
    if out.is_dir():
        raise UrfrError(f"expected the name of an .npz file to write, but {out} is a folder")
    folder = out.with_name(f".{out.name}.part")
    try:
        work = _open_work(folder, model, source, align, list_slice)
        on_progress(work.total, work.done)
        batch: list[Photograph] = []
        settings = CropSettings(size=model.aligned_size, align=align)
        for photograph in crop_photographs(work.remaining(), settings):
            batch.append(photograph)
            if len(batch) == BATCH:
                work.add(batch, model)
                batch = []
                on_progress(work.total, work.done)
        if batch:
            work.add(batch, model)
            on_progress(work.total, work.done)
        embedded = int(np.count_nonzero(work.arrays["found"]))
        if not embedded:
            reasons = "; ".join(f"{count} {reason}" for reason, count in work.refused.most_common(3))
            raise UrfrError(
                f"none of the {work.total} images of {source} could be embedded ({reasons}); "
                "nothing was written"
            )
        with replacing(out) as tmp_path:
            _pack_arrays(folder, tmp_path)
    except OSError as error:
        raise disk_error(error, out) from error
    shutil.rmtree(folder, ignore_errors=True)
    return Summary(work.total, embedded, dict(work.refused))


class _State(TypedDict):
    """state.json: what the work belongs to, and how far it is."""

    model: str
    """Fingerprint of the model."""
    images: str
    """Digest of the paths."""
    align: str
    part: list[int]
    """The slice of the list; the key has the name of an earlier option."""
    total: int
    done: int
    refused: dict[str, int]


class _Work:
    """The memory-mapped arrays of one command, and how many of their rows are done."""

    def __init__(self, folder: Path, state: _State) -> None:
        self.folder = folder
        self.state = state
        self.total = state["total"]
        self.done = state["done"]
        self.refused: Counter[str] = Counter(state["refused"])
        self.arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r+") for name in _ARRAYS}

    def remaining(self) -> Iterator[str]:
        """Gives the paths that are not done."""
        for row in range(self.done, self.total):
            yield str(self.arrays["path"][row])

    def add(self, batch: list[Photograph], model: Embedder) -> None:
        """Embeds and stores one batch; afterwards it counts as done."""
        rows = slice(self.done, self.done + len(batch))
        crop_of_row = {
            i: photograph.crop for i, photograph in enumerate(batch) if photograph.crop is not None
        }
        if crop_of_row:
            rows_with_crop = list(crop_of_row)
            outputs = model(np.stack(list(crop_of_row.values())))
            for name in (keys.EMBEDDING, keys.CONFIDENCE):
                self.arrays[name][rows][rows_with_crop] = outputs[name]
            self.arrays["found"][rows][rows_with_crop] = True
        self.refused.update(p.refused.partition(":")[0] for p in batch if p.crop is None)
        self.done += len(batch)
        for array in self.arrays.values():
            array.flush()
        write_json(self.folder / "state.json", {**self.state, "done": self.done, "refused": self.refused})


def _open_work(
    folder: Path, model: Embedder, source: str | os.PathLike[str], align: str, list_slice: tuple[int, int]
) -> _Work:
    """Continues the work in `folder` if it is the same, else begins it."""
    count, longest, digest = _survey_paths(list_images(source))
    if not count:
        raise UrfrError(f"expected images ({', '.join(SUFFIXES)}) in {source}, but there is none")
    number, slices = list_slice
    first, last = ((count * i) // slices for i in (number - 1, number))
    if first == last:
        raise UrfrError(f"slice {number} of {slices} of the {count} images of {source} is empty")
    state: _State = {
        "model": model.fingerprint,
        "images": digest,
        "align": align,
        "part": list(list_slice),
        "total": last - first,
        "done": 0,
        "refused": {},
    }
    path = folder / "state.json"
    if path.is_file():
        earlier = read_json(path)
        origin = {key: state[key] for key in ("model", "images", "align", "part")}
        if isinstance(earlier, dict) and all(earlier.get(key) == value for key, value in origin.items()):
            return _Work(folder, cast(_State, earlier))
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shapes: list[tuple[str, npt.DTypeLike, tuple[int, ...]]] = [
        (keys.EMBEDDING, np.float32, (state["total"], model.dim)),
        (keys.CONFIDENCE, np.float32, (state["total"], model.groups)),
        ("found", np.bool_, (state["total"],)),
    ]
    for name, dtype, shape in shapes:
        open_memmap(folder / f"{name}.npy", "w+", dtype, shape).flush()
    paths = open_memmap(folder / "path.npy", "w+", f"<U{longest}", (state["total"],))
    for row, image in enumerate(list_images(source)):
        if first <= row < last:
            paths[row - first] = image
    paths.flush()
    write_json(path, state)
    return _Work(folder, state)


def _survey_paths(paths: Iterable[str]) -> tuple[int, int, str]:
    """Counts paths; gives their number, the length of the longest, and a digest of all of them."""
    count = longest = 0
    digest = hashlib.sha256()
    for path in paths:
        count += 1
        longest = max(longest, len(path))
        digest.update(path.encode("utf-8", "surrogateescape") + b"\0")
    return count, longest, digest.hexdigest()


def _pack_arrays(folder: Path, out: Path) -> None:
    """Writes the .npy files of `folder` as one uncompressed .npz, as np.savez writes it."""
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name in _ARRAYS:
            archive.write(folder / f"{name}.npy", f"{name}.npy")
