"""The images of a protocol -> embeddings, in pieces that are stored, so that nothing is embedded twice.

A piece is 512 images. Its file is named by a hash of the model, of the settings of the crops and of the bytes
of the images. Another score, another protocol over the same images, or a run after an interruption reuses it.
"""

import hashlib
import itertools
import os
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypedDict

import numpy as np
from numpy.typing import NDArray

from urfr_tf import keys
from urfr_tf.data.cropper import CropSettings
from urfr_tf.data.headers import ImageError
from urfr_tf.data.images import decode_image
from urfr_tf.data.preparation.crops import Crop, crop_groups
from urfr_tf.data.sources.item import Item, read_item
from urfr_tf.errors import UrfrError
from urfr_tf.evaluation.degradations import Degradation
from urfr_tf.evaluation.scoring import Faces, make_faces
from urfr_tf.faces.landmark_checks import explain_refusals
from urfr_tf.files import replacing
from urfr_tf.metrics.arrays import Array, Float32s, Ints, Names
from urfr_tf.protocols.protocol import Images
from urfr_tf.system.cores import count_cores

PIECE = 512
_BATCH = 64
_FORMAT = "urfr-embeddings/2"


class Model(Protocol):
    """What `urfr_tf.load` gives: images [B, H, W, 3] -> embedding [B, D], variance [B, K], as NumPy."""

    @property
    def input_size(self) -> int:
        """Side of the images in pixels, S."""

    @property
    def dim(self) -> int:
        """Numbers of an embedding, D."""

    @property
    def groups(self) -> int:
        """Groups of an embedding, K."""

    @property
    def fingerprint(self) -> str:
        """Another one for other weights or another format."""

    def __call__(self, images: Array) -> Mapping[str, Array]:
        """Embeds images uint8 or float [B, S, S, 3], RGB, 0..255."""


@dataclass(frozen=True)
class Pixels:
    """What is embedded of a piece.

    Attributes:
        rows: int64 [G], the images that were not refused.
        images: uint8 [G, S, S, 3], RGB.
        points: float32 [G, 10], five points in pixels; -1 where they are unknown.
        refused: str [P], the reason for each image of the piece; empty for those in `rows`.
    """

    rows: Ints
    images: NDArray[np.uint8]
    points: Float32s
    refused: Names


class Piece(TypedDict):
    """What a file of the cache holds of P images, under the names of its arrays.

    embedding float32 [P, D], variance float32 [P, K], norm float32 [P], refused str [P].
    """

    embedding: Float32s
    variance: Float32s
    norm: Float32s
    refused: Names


def embed_images(
    model: Model,
    images: Images,
    settings: CropSettings,
    cache: str | os.PathLike[str] | None = None,
    degradation: Degradation | None = None,
    on_progress: Callable[[int], object] = lambda images: None,
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
        prepared: collects the pixels of each piece, by its place, for the next degradation.

    Returns:
        The faces, found False where an image was refused, and how many were refused by reason.

    Raises:
        UrfrError: none of the images could be embedded, most of their points are wrong, or more or fewer
            images came than the protocol has.
    """
    embedding = np.zeros([images.count, model.dim], np.float32)
    variance = np.ones([images.count, model.groups], np.float32)
    norm = np.full(images.count, np.nan, np.float32)
    refusals = np.full(images.count, "", "U200")
    start = 0
    with ThreadPoolExecutor(count_cores()) as pool:
        for items in _cut(images.stream()):
            rows = slice(start, start + len(items))
            if rows.stop > images.count:
                raise UrfrError(
                    f"expected {images.count} images, but got more: did the data change in the meantime?"
                )
            path = None
            if cache is not None:
                digests = pool.map(lambda item: _digest(item, settings.max_bytes), items)
                key = _cache_key(model, settings, degradation, start, list(digests))
                path = Path(cache) / f"{key}.npz"
            piece = None if path is None else _read_piece(path, len(items), model)
            if piece is None:
                pixels = None if prepared is None else prepared.get(start)
                if pixels is None:
                    pixels = _make_pixels(items, settings, model.input_size, pool)
                    if prepared is not None:
                        prepared[start] = pixels
                piece = _embed_pixels(model, pixels, degradation, start)
                if path is not None:
                    _write_piece(path, piece)
            embedding[rows], variance[rows] = piece["embedding"], piece["variance"]
            norm[rows], refusals[rows] = piece["norm"], piece["refused"]
            start = rows.stop
            on_progress(len(items))
    if start != images.count:
        raise UrfrError(
            f"expected {images.count} images, but got {start}: did the data change in the meantime?"
        )
    found = refusals == ""
    reasons = Counter(str(refusal).partition(":")[0] for refusal in refusals[~found])
    if cause := explain_refusals(reasons, images.count):
        raise UrfrError(f"{cause} (for instance {refusals[~found][0]})")
    if not found.any():
        example = f" (for instance {refusals[0]})" if len(refusals) else ""
        raise UrfrError(f"none of the {images.count} images could be embedded{example}")
    return make_faces(embedding, variance, found, norm), dict(reasons)


def _cut(stream: Iterator[Item]) -> Iterator[list[Item]]:
    while items := list(itertools.islice(stream, PIECE)):
        yield items


def _digest(item: Item, max_bytes: int) -> str:
    try:
        content = hashlib.sha256(read_item(item, max_bytes)).hexdigest()
    except ImageError as refusal:
        content = str(refusal)
    return f"{content} {item.points}"


def _cache_key(
    model: Model, settings: CropSettings, degradation: Degradation | None, start: int, digests: list[str]
) -> str:
    lines = [_FORMAT, model.fingerprint, repr(settings)]
    if degradation is not None:  # it draws by the image's number
        lines += [repr(degradation), str(start)]
    return hashlib.sha256("\n".join(lines + digests).encode()).hexdigest()


def _make_pixels(items: list[Item], settings: CropSettings, size: int, pool: ThreadPoolExecutor) -> Pixels:
    crops = [crop for group in crop_groups(items, settings, pool, ahead=_BATCH) for crop in group]
    good = [crop for crop in crops if not crop.refused]
    images = np.zeros([len(good), size, size, 3], np.uint8)
    for row, image in enumerate(pool.map(lambda crop: _cut_center(crop, size), good)):
        images[row] = image
    return Pixels(
        np.array([row for row, crop in enumerate(crops) if not crop.refused], np.int64),
        images,
        np.array([_move_points(crop, settings.size, size) for crop in good], np.float32).reshape(-1, 10),
        # Reasons are cut so that the array stays small; the file is read without pickle.
        np.array([crop.refused[:200] for crop in crops], "U200"),
    )


def _embed_pixels(model: Model, pixels: Pixels, degradation: Degradation | None, start: int) -> Piece:
    count = len(pixels.refused)
    piece: dict[str, Array] = {
        keys.EMBEDDING: np.zeros([count, model.dim], np.float32),
        keys.VARIANCE: np.ones([count, model.groups], np.float32),
        keys.NORM: np.full(count, np.nan, np.float32),
    }
    # Only some models know the length of the embedding before it was normalized.
    embed = getattr(model, "embed_pixels", model)
    for first in range(0, len(pixels.rows), _BATCH):
        batch = slice(first, first + _BATCH)
        rows = pixels.rows[batch]
        images: Array = pixels.images[batch]
        if degradation is not None:
            images = degradation.apply(images, pixels.points[batch], start + rows)
        for name, output in embed(images).items():
            if name in piece:
                piece[name][rows] = output
    return _piece_of(piece, pixels.refused)


def _piece_of(arrays: Mapping[str, Array], refused: Names) -> Piece:
    return Piece(
        embedding=arrays[keys.EMBEDDING],
        variance=arrays[keys.VARIANCE],
        norm=arrays[keys.NORM],
        refused=refused,
    )


def _cut_center(crop: Crop, size: int) -> NDArray[np.uint8]:
    image = decode_image(crop.encoded)
    top, left = (image.shape[0] - size) // 2, (image.shape[1] - size) // 2
    return image[top : top + size, left : left + size]


def _move_points(crop: Crop, crop_size: int, size: int) -> Float32s:
    """Five points in pixels of the center crop, float32 [10]; -1 where they are unknown."""
    if crop.points is None:
        return np.full(10, -1, np.float32)
    return np.asarray(crop.points, np.float32) - (crop_size - size) // 2


def _read_piece(path: Path, count: int, model: Model) -> Piece | None:
    """A piece of the cache; None where there is none, or it is torn or foreign: then it is embedded again."""
    if not path.is_file():
        return None
    shapes = {
        keys.EMBEDDING: (count, model.dim),
        keys.VARIANCE: (count, model.groups),
        keys.NORM: (count,),
        "refused": (count,),
    }
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in shapes}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None
    if any(arrays[name].shape != shape for name, shape in shapes.items()):
        return None
    return _piece_of(arrays, arrays["refused"])


def _write_piece(path: Path, piece: Piece) -> None:
    with replacing(path) as tmp_path, open(tmp_path, "wb") as file:
        np.savez(file, **piece)
