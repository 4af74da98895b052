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
from urfr_tf.data.text_lists import open_list
from urfr_tf.data.tree import Ignored, walk
from urfr_tf.embedding.photographs import Photograph, crop_photographs
from urfr_tf.errors import UrfrError
from urfr_tf.files import disk_error, read_json, replacing, write_json
from urfr_tf.runs.embedder import Embedder

BATCH = 64
REFUSED = "refused"
_ORIGIN = ("model", "images", "align", "faces", "min_face", "max_pixels", "part")
"""Keys of state.json that must be equal for the work to go on."""
_FIXED = {key: getattr(CropSettings, key) for key in ("faces", "min_face", "max_pixels")}
_ARRAYS = (keys.EMBEDDING, keys.CONFIDENCE, "path", "found", REFUSED)
_LONGEST_REASON = 200
_UNKNOWN = "not known: refused by an earlier version, which kept no reasons"


@dataclass(frozen=True)
class Summary:
    """How many images there were, how many were embedded, and why the others were not.

    Attributes:
        images: number of images.
        found: number of images that were embedded.
        refused: kind of reason -> number of images.
        ignored: what is to be said about hidden and system files; empty where there were none.
    """

    images: int
    found: int
    refused: dict[str, int]
    ignored: str = ""

    def lines(self, out: str, align: str) -> list[str]:
        """What the user is told: every file of the source is in one of the counts."""
        reasons = "".join(f", {count} {reason}" for reason, count in sorted(self.refused.items()))
        counts = f"{out}: {self.found} of {self.images} images embedded (align {align}){reasons}"
        return [counts, self.ignored] if self.ignored else [counts]


def list_images(source: str | os.PathLike[str], ignored: Ignored | None = None) -> Iterator[str]:
    """Lists all files of a folder, or reads the paths of a list.

    Whether a file is an image is told by its content when it is read. So a folder has all its files listed,
    folder by folder, sorted, but for hidden and system files. Links to folders are not followed; they and
    folders that cannot be read are listed themselves, and refused like other files that are no images. A list
    is text with one path a line, relative to the folder of the list; empty lines are left out.

    Args:
        source: the folder or the list.
        ignored: counts hidden and system files.

    Raises:
        UrfrError: neither a folder nor a text file.
    """
    if os.path.isdir(source):
        yield from _list_folder(os.fspath(source), ignored)
        return
    parent = Path(source).parent
    with open_list(os.fspath(source)) as lines:
        for line in lines:
            if line.strip():
                yield os.path.join(parent, line.rstrip("\n"))


def _list_folder(source: str, ignored: Ignored | None) -> Iterator[str]:
    unreadable: list[OSError] = []
    for folder, folders, files in walk(source, ignored, unreadable.append):
        folders.sort()
        paths = [os.path.join(folder, name) for name in folders]
        yield from (path for path in paths if os.path.islink(path))
        yield from (os.path.join(folder, name) for name in sorted(files))
    yield from (str(error.filename) for error in unreadable)


def embed_photographs(
    model: Embedder,
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    settings: CropSettings,
    *,
    list_slice: tuple[int, int] = (1, 1),
    on_progress: Callable[[int, int], object] = lambda total, done: None,
) -> Summary:
    """Embeds every image of `source` and writes the .npz `out`.

    The file has `embedding` float32 [N, D], `confidence` float32 [N, K], `path` str [N], `found` bool [N] and
    `refused` str [N], in the order of `list_images`. Where no face or no image was found, `found` is False,
    `refused` says why, and embedding and confidence are 0. A confidence of 0 weighs nothing in a fusion.

    Args:
        model: the model.
        source: a folder or a list, see `list_images`.
        out: the file to write.
        settings: how a photograph becomes a crop; its size is the model's.
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
        work = _open_work(folder, model, source, settings, list_slice)
        on_progress(work.total, work.done)
        batch: list[Photograph] = []
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
    return Summary(work.total, embedded, dict(work.refused), work.ignored)


class _State(TypedDict):
    """state.json: what the work belongs to, and how far it is."""

    model: str
    """Fingerprint of the model."""
    images: str
    """Digest of the paths."""
    align: str
    faces: str
    min_face: int
    max_pixels: int
    part: list[int]
    """The slice of the list; the key has the name of an earlier option."""
    total: int
    done: int
    refused: dict[str, int]


class _Work:
    """The memory-mapped arrays of one command, and how many of their rows are done."""

    def __init__(self, folder: Path, state: _State, ignored: str) -> None:
        self.folder = folder
        self.state = state
        self.ignored = ignored
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
        self.arrays[REFUSED][rows] = [photograph.refused[:_LONGEST_REASON] for photograph in batch]
        self.refused.update(p.refused.partition(":")[0] for p in batch if p.crop is None)
        self.done += len(batch)
        for array in self.arrays.values():
            array.flush()
        write_json(self.folder / "state.json", {**self.state, "done": self.done, "refused": self.refused})


def _open_work(
    folder: Path,
    model: Embedder,
    source: str | os.PathLike[str],
    settings: CropSettings,
    list_slice: tuple[int, int],
) -> _Work:
    """Continues the work in `folder` if it is the same, else begins it."""
    ignored = Ignored()
    count, longest, digest = _survey_paths(list_images(source, ignored))
    if not count:
        raise UrfrError(f"expected images in {source}, but there is none{ignored.remark()}")
    number, slices = list_slice
    first, last = ((count * i) // slices for i in (number - 1, number))
    if first == last:
        raise UrfrError(f"slice {number} of {slices} of the {count} images of {source} is empty")
    state: _State = {
        "model": model.fingerprint,
        "images": digest,
        "align": settings.align,
        "faces": settings.faces,
        "min_face": settings.min_face,
        "max_pixels": settings.max_pixels,
        "part": list(list_slice),
        "total": last - first,
        "done": 0,
        "refused": {},
    }
    path = folder / "state.json"
    if path.is_file():
        earlier = read_json(path)
        if isinstance(earlier, dict):  # a file without these keys is of a time when they were fixed
            earlier = {**_FIXED, **earlier}
        origin = {key: value for key, value in state.items() if key in _ORIGIN}
        if isinstance(earlier, dict) and all(earlier.get(key) == value for key, value in origin.items()):
            if not (folder / f"{REFUSED}.npy").is_file():
                _add_reasons(folder, earlier["total"], earlier["done"])
            return _Work(folder, cast(_State, earlier), ignored.sentence())
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shapes: list[tuple[str, npt.DTypeLike, tuple[int, ...]]] = [
        (keys.EMBEDDING, np.float32, (state["total"], model.dim)),
        (keys.CONFIDENCE, np.float32, (state["total"], model.groups)),
        ("found", np.bool_, (state["total"],)),
        (REFUSED, f"<U{_LONGEST_REASON}", (state["total"],)),
    ]
    for name, dtype, shape in shapes:
        open_memmap(folder / f"{name}.npy", "w+", dtype, shape).flush()
    paths = open_memmap(folder / "path.npy", "w+", f"<U{longest}", (state["total"],))
    for row, image in enumerate(list_images(source)):
        if first <= row < last:
            paths[row - first] = image
    paths.flush()
    write_json(path, state)
    return _Work(folder, state, ignored.sentence())


def _add_reasons(folder: Path, total: int, done: int) -> None:
    """Adds the array of reasons to work that a version without it began."""
    found = np.load(folder / "found.npy", mmap_mode="r")
    with replacing(folder / f"{REFUSED}.npy") as tmp_path:
        reasons = open_memmap(tmp_path, "w+", f"<U{_LONGEST_REASON}", (total,))
        reasons[:done][~found[:done]] = _UNKNOWN
        reasons.flush()


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
    narrow = _narrow_reasons(folder)
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name in _ARRAYS:
            archive.write(narrow if name == REFUSED else folder / f"{name}.npy", f"{name}.npy")


def _narrow_reasons(folder: Path) -> Path:
    """Writes the reasons again, as wide as the longest of them; until then there was room for any."""
    reasons = np.load(folder / f"{REFUSED}.npy", mmap_mode="r")
    rows = np.flatnonzero(~np.load(folder / "found.npy", mmap_mode="r"))
    texts = reasons[rows]
    width = int(np.char.str_len(texts).max(initial=1))
    path = folder / "narrow.npy"
    narrow = open_memmap(path, "w+", f"<U{width}", reasons.shape)
    narrow[rows] = texts
    narrow.flush()
    return path
