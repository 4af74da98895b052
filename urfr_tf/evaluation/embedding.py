"""The images of a protocol -> embeddings, in pieces that are kept, so that nothing is embedded twice.

A piece is 512 images. Its file is named by a hash of the model, of how crops are made and of the images'
bytes: another score, another protocol over the same images, or an interrupted run finds it again.
"""

import hashlib
import itertools
import os
import zipfile
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from urfr_tf import keys
from urfr_tf.data.headers import ImageError
from urfr_tf.data.images import decode_image
from urfr_tf.data.preparation.aligned import crop_groups
from urfr_tf.data.preparation.crops import Crop, CropSettings
from urfr_tf.data.sources.item import Item, read_item
from urfr_tf.errors import UrfrError
from urfr_tf.evaluation.degradations import Degradation
from urfr_tf.evaluation.scoring import Faces, faces_of
from urfr_tf.files import replacing
from urfr_tf.protocols.protocol import Images
from urfr_tf.system.cores import count_cores

PIECE = 512
_BATCH = 64
_FORMAT = "urfr-embeddings/2"


class Model(Protocol):
    """What `urfr_tf.load` gives: images [B, H, W, 3] -> embedding [B, D], variance [B, K], as NumPy."""

    @property
    def input_size(self) -> int: ...
    @property
    def dim(self) -> int: ...
    @property
    def groups(self) -> int: ...
    @property
    def fingerprint(self) -> str: ...
    def __call__(self, images: Any) -> dict[str, np.ndarray]: ...


@dataclass(frozen=True)
class Pixels:
    """What is embedded of a piece.

    Attributes:
        rows: int64 [G], the images that were not refused.
        images: uint8 [G, S, S, 3], RGB. points: float32 [G, 10], five points in pixels; -1 where they are unknown.
        refused: str [P], the reason for each image of the piece; empty for those in `rows`.
    """

    rows: np.ndarray
    images: np.ndarray
    points: np.ndarray
    refused: np.ndarray


def embed(
    model: Model,
    images: Images,
    settings: CropSettings,
    cache: str | os.PathLike[str] | None = None,
    degradation: Degradation | None = None,
    on_progress: Callable[[int], Any] = lambda images: None,
    prepared: dict[int, Pixels] | None = None,
) -> tuple[Faces, dict[str, int]]:
    """Embeds every image, or takes it from the cache.

    Args:
        model: what `urfr_tf.load` gives.
        images: the images.
        settings: how they become crops; lossless, or the cache's key tells.
        cache: folder of pieces; None keeps nothing.
        degradation: applied to the crops before they are embedded.
        on_progress: called with the number of images that a piece added.
        prepared: keeps what is embedded, by the place of each piece, for the next degradation of the same images.

    Returns:
        The faces, found False where an image was refused, and how many were refused by reason.

    Raises:
        UrfrError: none of the images could be embedded, or another number of images came than was said.
    """
    embedding = np.zeros([images.count, model.dim], np.float32)
    variance = np.ones([images.count, model.groups], np.float32)
    norm = np.full(images.count, np.nan, np.float32)
    found = np.zeros(images.count, bool)
    refused: Counter[str] = Counter()
    start = 0
    with ThreadPoolExecutor(count_cores()) as pool:
        stream = images.stream()
        while piece := list(itertools.islice(stream, PIECE)):
            rows = slice(start, start + len(piece))
            if rows.stop > images.count:
                raise UrfrError(
                    f"expected {images.count} images, but more came: did the data change meanwhile?"
                )
            path = None
            if cache is not None:
                digests = pool.map(lambda item: _digest(item, settings.max_bytes), piece)
                key = _key(model, settings, degradation, start, list(digests))
                path = Path(cache) / f"{key}.npz"
            kept = _read(path, len(piece), model)
            if kept is None:
                pixels = None if prepared is None else prepared.get(start)
                if pixels is None:
                    pixels = _pixels(piece, settings, model.input_size, pool)
                    if prepared is not None:
                        prepared[start] = pixels
                kept = _compute(model, pixels, degradation, start)
                if path is not None:
                    _write(path, kept)
            embedding[rows], variance[rows] = kept[keys.EMBEDDING], kept[keys.VARIANCE]
            norm[rows], reasons = kept[keys.NORM], kept["refused"]
            found[rows] = reasons == ""
            refused.update(str(reason).partition(":")[0] for reason in reasons[reasons != ""])
            start = rows.stop
            on_progress(len(piece))
    if start != images.count:
        raise UrfrError(f"expected {images.count} images, but {start} came: did the data change meanwhile?")
    if not found.any():
        example = f" (for instance {reasons[0]})" if len(reasons) else ""
        raise UrfrError(f"none of the {images.count} images could be embedded{example}")
    return faces_of(embedding, variance, found, norm), dict(refused)


def _digest(item: Item, max_bytes: int) -> str:
    try:
        content = hashlib.sha256(read_item(item, max_bytes)).hexdigest()
    except ImageError as refusal:
        content = str(refusal)
    return f"{content} {item.points}"


def _key(
    model: Model, settings: CropSettings, degradation: Degradation | None, start: int, digests: list[str]
) -> str:
    parts = [_FORMAT, model.fingerprint, repr(settings)]
    if degradation is not None:  # it draws by the image's number
        parts += [repr(degradation), str(start)]
    return hashlib.sha256("\n".join(parts + digests).encode()).hexdigest()


def _pixels(piece: list[Item], settings: CropSettings, size: int, pool: ThreadPoolExecutor) -> Pixels:
    crops = [crop for group in crop_groups(piece, settings, pool, ahead=_BATCH) for crop in group]
    good = [crop for crop in crops if not crop.refused]
    images = np.zeros([len(good), size, size, 3], np.uint8)
    for row, image in enumerate(pool.map(lambda crop: _centre(crop, size), good)):
        images[row] = image
    return Pixels(
        np.array([row for row, crop in enumerate(crops) if not crop.refused], np.int64),
        images,
        np.array([_points(crop, settings.size, size) for crop in good], np.float32).reshape(-1, 10),
        # Reasons are cut so that the array stays small; the file is read without pickle.
        np.array([crop.refused[:200] for crop in crops], "U200"),
    )


def _compute(
    model: Model, pixels: Pixels, degradation: Degradation | None, start: int
) -> dict[str, np.ndarray]:
    count = len(pixels.refused)
    kept = {
        keys.EMBEDDING: np.zeros([count, model.dim], np.float32),
        keys.VARIANCE: np.ones([count, model.groups], np.float32),
        keys.NORM: np.full(count, np.nan, np.float32),
    }
    # Only some models know the length of the embedding before it was normalised.
    embedded = getattr(model, "embed_with_norm", model)
    for first in range(0, len(pixels.rows), _BATCH):
        batch = slice(first, first + _BATCH)
        rows, images = pixels.rows[batch], pixels.images[batch]
        if degradation is not None:
            images = degradation.apply(images, pixels.points[batch], start + rows)
        for name, output in embedded(images).items():
            if name in kept:
                kept[name][rows] = output
    return {**kept, "refused": pixels.refused}


def _centre(crop: Crop, size: int) -> np.ndarray:
    image = decode_image(crop.encoded)
    top, left = (image.shape[0] - size) // 2, (image.shape[1] - size) // 2
    return image[top : top + size, left : left + size]


def _points(crop: Crop, crop_size: int, size: int) -> np.ndarray:
    """Five points in pixels of the centre crop, float32 [10]; -1 where they are unknown."""
    if crop.points is None:
        return np.full(10, -1, np.float32)
    return np.asarray(crop.points, np.float32) - (crop_size - size) // 2


def _read(path: Path | None, count: int, model: Model) -> dict[str, np.ndarray] | None:
    if path is None or not path.is_file():
        return None
    shapes = {
        keys.EMBEDDING: (count, model.dim),
        keys.VARIANCE: (count, model.groups),
        keys.NORM: (count,),
        "refused": (count,),
    }
    try:
        with np.load(path, allow_pickle=False) as arrays:
            kept = {name: arrays[name] for name in shapes}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None  # torn or foreign: embedded again
    return kept if all(kept[name].shape == shape for name, shape in shapes.items()) else None


def _write(path: Path, kept: dict[str, np.ndarray]) -> None:
    with replacing(path) as tmp_path, open(tmp_path, "wb") as file:
        np.savez(file, **kept)  # type: ignore[arg-type]
