"""Photographs -> images of a gallery, or faces to search for."""

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from urfr_tf import keys
from urfr_tf.data.cropper import GROUP, Cropped, Cropper, CropSettings
from urfr_tf.data.headers import ImageError
from urfr_tf.data.images import encode_image
from urfr_tf.data.names import by_name, shown, to_bytes
from urfr_tf.data.ordered_map import map_in_order
from urfr_tf.data.sources import open_source
from urfr_tf.data.sources.item import Item, read_item
from urfr_tf.data.tree import Ignored, scan
from urfr_tf.embedding.folder import list_images
from urfr_tf.embedding.photographs import crop_every_face
from urfr_tf.errors import UrfrError
from urfr_tf.gallery.gallery import Gallery
from urfr_tf.gallery.records import StoredImage, check_name
from urfr_tf.gallery.templates import Faces
from urfr_tf.metrics.groups import split_groups
from urfr_tf.runs.embedder import Embedder
from urfr_tf.system.cores import count_cores

_BATCH = 64
_THUMBNAIL = 112  # pixels of a side


@dataclass
class Enrollment:
    """What became of the photographs that were to be added.

    Attributes:
        images: how many there were.
        added: how many are new in the gallery.
        known: how many their person had already.
        refused: why others were not added, by path.
        notes: what is to be known about some that were, by path.
        ignored: what is to be said about hidden and system files; empty where there were none.
    """

    images: int = 0
    added: int = 0
    known: int = 0
    refused: list[tuple[str, str]] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)
    ignored: str = ""

    def kinds(self) -> Counter[str]:
        """How many were refused, by the kind of the reason."""
        return Counter(reason.partition(":")[0] for _, reason in self.refused)


class _Crop(NamedTuple):
    """A crop with the digest of its file; or why there is none."""

    identity: str
    key: str
    sha256: bytes
    crop: NDArray[np.uint8] | None
    refused: str
    notes: tuple[str, ...]


def list_people(images: str, person: str | None) -> tuple[list[Item], str]:
    """Lists photographs of people, person by person.

    Args:
        images: with `person` a folder or a list of paths, as `urfr embed` takes it. Without it a folder with
            a folder for each person, or a CSV list of path,identity with ten coordinates of five points where
            they are known.
        person: whose photographs they are.

    Returns:
        The photographs in the natural order of names, and a remark about files that were passed over.

    Raises:
        UrfrError: nothing is there, or it is neither.
    """
    if person is not None:
        ignored = Ignored()
        root = images if os.path.isdir(images) else os.path.dirname(images)
        paths = list_images(images, ignored)
        items = [Item(person, os.path.relpath(path, root or os.curdir), file=path) for path in paths]
    else:
        source = open_source("folder" if os.path.isdir(images) else "list", images)
        people, ignored = source.survey(), source.ignored
        items = list(source.items(people))
        items.sort(key=lambda item: by_name(to_bytes(item.identity), to_bytes(item.key)))
    if not items:
        raise UrfrError(f"expected images in {images}, but there is none{ignored.remark()}")
    return items, ignored.sentence()


def enroll(
    gallery: Gallery,
    model: Embedder,
    items: Sequence[Item],
    settings: CropSettings,
    *,
    keep_thumbnails: bool = False,
    on_progress: Callable[[int], object] = lambda images: None,
) -> Enrollment:
    """Adds photographs to a gallery, each person's in one transaction.

    What a gallery has already is not embedded again, so the same call goes on after an interruption.

    Args:
        gallery: the gallery.
        model: the model that the gallery was made with.
        items: the photographs, person by person.
        settings: how a photograph becomes a crop; its size is the model's.
        keep_thumbnails: store the crops as JPEG files, too.
        on_progress: called with the number of images that were finished.

    Raises:
        UrfrError: the model is another one, or the gallery cannot be written.
    """
    gallery.check_model(model)
    result = Enrollment(images=len(items))
    waiting: list[_Crop] = []
    for crop in _crop_new(gallery, items, settings, result, on_progress):
        if crop.refused:
            result.refused.append((crop.key, crop.refused))
            on_progress(1)
            continue
        result.notes += [(crop.key, note) for note in crop.notes]
        waiting.append(crop)
        if len(waiting) >= _BATCH and waiting[-1].identity != waiting[0].identity:
            last = waiting[-1].identity
            whole = [one for one in waiting if one.identity != last]
            _store(gallery, model, whole, settings, keep_thumbnails, result)
            on_progress(len(whole))
            waiting = waiting[len(whole) :]
    _store(gallery, model, waiting, settings, keep_thumbnails, result)
    on_progress(len(waiting))
    return result


def _crop_new(
    gallery: Gallery,
    items: Iterable[Item],
    settings: CropSettings,
    result: Enrollment,
    on_progress: Callable[[int], object],
) -> Iterator[_Crop]:
    """Crops the photographs that the gallery does not have, in order."""
    digests: dict[int, bytes] = {}

    def read(item: Item) -> tuple[Item, bytes]:
        try:
            content = read_item(item, settings.max_bytes)
            return replace(item, content=content), hashlib.sha256(content).digest()
        except ImageError as refusal:
            return replace(item, content=None, problem=refusal), b""

    def new_items() -> Iterator[Item]:
        person, known = None, set[bytes]()
        for item, digest in map_in_order(pool, read, items, 2 * GROUP):
            if item.identity != person:
                person, known = item.identity, gallery.hashes(check_name(item.identity or "?"))
            if digest in known:
                result.known += 1
                on_progress(1)
                continue
            if digest:
                known.add(digest)
            digests[id(item)] = digest
            yield item

    def finish(cropped: Cropped) -> _Crop:
        item = cropped.item
        crop = None if cropped.refused else cropped.crop
        return _Crop(item.identity, item.key, digests.pop(id(item)), crop, cropped.refused, cropped.notes)

    with ThreadPoolExecutor(count_cores()) as pool, ThreadPoolExecutor(count_cores()) as croppers:
        for group in Cropper(settings).crop(new_items(), croppers, 2 * GROUP, finish):
            yield from group


def _store(
    gallery: Gallery,
    model: Embedder,
    crops: Sequence[_Crop],
    settings: CropSettings,
    keep_thumbnails: bool,
    result: Enrollment,
) -> None:
    people: dict[str, list[StoredImage]] = {}
    for start in range(0, len(crops), _BATCH):
        batch = crops[start : start + _BATCH]
        outputs = model(np.stack([one.crop for one in batch if one.crop is not None]))
        for row, one in enumerate(batch):
            image = StoredImage(
                one.sha256,
                shown(to_bytes(one.key)),
                settings.align,
                outputs[keys.EMBEDDING][row].astype(np.float16),
                outputs[keys.CONFIDENCE][row],
                _encode_thumbnail(one.crop) if keep_thumbnails and one.crop is not None else b"",
            )
            people.setdefault(one.identity, []).append(image)
    if people:
        result.added += gallery.add(list(people.items()))


def _encode_thumbnail(crop: NDArray[np.uint8]) -> bytes:
    size = (_THUMBNAIL, _THUMBNAIL)
    small = crop if crop.shape[0] <= _THUMBNAIL else cv2.resize(crop, size, interpolation=cv2.INTER_AREA)
    return encode_image(np.asarray(small, np.uint8))


class SearchedPhotograph(NamedTuple):
    """The faces of one photograph.

    Attributes:
        path: of the file.
        boxes: left, top, right, bottom of each face in pixels; None where no faces were looked for.
        faces: what the model gives for each; without rows where the photograph is refused.
        refused: why there is no face, a sentence; empty where there is one.
    """

    path: str
    boxes: list[list[float] | None]
    faces: Faces
    refused: str


def embed_faces(
    model: Embedder, paths: Sequence[str], settings: CropSettings, faces: str = "all"
) -> Iterator[SearchedPhotograph]:
    """Finds and embeds faces, a few photographs at a time.

    Args:
        model: the model.
        paths: image files, untrusted.
        settings: how photographs become crops.
        faces: `all`, or which one of several: `largest` or `central`.
    """
    for start in range(0, len(paths), GROUP):
        found = crop_every_face(list(paths[start : start + GROUP]), settings, faces)
        crops = [crop for one in found for crop in one.crops]
        outputs = [model(np.stack(crops[at : at + _BATCH])) for at in range(0, len(crops), _BATCH)]
        empty = [np.zeros([0, width], np.float32) for width in (model.dim, model.groups)]
        embedding = np.concatenate([empty[0], *(each[keys.EMBEDDING] for each in outputs)])
        variance = np.concatenate([empty[1], *(each[keys.VARIANCE] for each in outputs)])
        every = Faces(split_groups(embedding, model.groups), variance)
        first = 0
        for one in found:
            last = first + len(one.crops)
            boxes: list[list[float] | None] = list(one.boxes) if one.boxes else [None] * len(one.crops)
            yield SearchedPhotograph(one.path, boxes, every.take(slice(first, last)), one.refused)
            first = last


class UnknownFaces(NamedTuple):
    """Faces of people who are not in a gallery, whose they are, and how many photographs were refused."""

    faces: Faces
    people: list[str]
    refused: int


def embed_unknown(
    gallery: Gallery,
    model: Embedder,
    folder: str,
    settings: CropSettings,
    on_progress: Callable[[int, int], object] = lambda total, done: None,
) -> UnknownFaces:
    """Embeds one face of each photograph of people who are not in the gallery.

    Args:
        gallery: the gallery.
        model: the model that the gallery was made with.
        folder: a folder with a folder for each person, or a folder or list of photographs that each show
            somebody else.
        settings: how a photograph becomes a crop.
        on_progress: called with the photographs in all and those done.

    Raises:
        UrfrError: no photograph, none with a face, or one of them is in the gallery.
    """
    gallery.check_model(model)
    owners = _list_strangers(folder)
    paths = [path for _, path in owners]
    known = gallery.find_images(_digests(paths, settings.max_bytes))
    if known:
        raise UrfrError(
            f"expected photographs of people who are not in the gallery {gallery.where}, but {len(known)} of "
            f"{folder} are in it, one of them as {next(iter(known.values()))!r}"
        )
    embedded: list[SearchedPhotograph] = []
    people: list[str] = []
    for photograph in embed_faces(model, paths, settings, settings.faces):
        people += [owners[len(embedded)][0]] * len(photograph.boxes)
        embedded.append(photograph)
        on_progress(len(paths), len(embedded))
    if not people:
        reasons = Counter(one.refused.partition(":")[0] for one in embedded)
        raise UrfrError(
            f"none of the {len(paths)} photographs of {folder} has a face ({reasons.most_common(1)[0][0]})"
        )
    faces = Faces(*(np.concatenate(part) for part in zip(*(one.faces for one in embedded), strict=True)))
    return UnknownFaces(faces, people, sum(bool(one.refused) for one in embedded))


def _list_strangers(folder: str) -> list[tuple[str, str]]:
    """Photographs and whose they are."""
    if os.path.isdir(folder) and any(entry.is_dir() for entry in scan(folder)):
        source = open_source("folder", folder)
        items = [item for item in source.items(source.survey()) if item.file is not None]
        items.sort(key=lambda item: by_name(to_bytes(item.identity), to_bytes(item.key)))
        owners = [(item.identity, str(item.file)) for item in items]
    else:
        owners = [(path, path) for path in list_images(folder)]
    if not owners:
        raise UrfrError(f"expected photographs of unknown people in {folder}, but there is none")
    return owners


def _digests(paths: Iterable[str], max_bytes: int) -> list[bytes]:
    digests = []
    for path in paths:
        try:
            digests.append(hashlib.sha256(read_item(Item("", path, file=path), max_bytes)).digest())
        except ImageError:  # refused already
            continue
    return digests
