"""Made-up pictures and folders of people, and what is in shards; imported by the tests beside it."""

import os
import struct
import zlib

import cv2
import numpy as np


def picture(seed: int, height: int = 40, width: int = 40) -> np.ndarray:
    """A smooth random picture, uint8 [height, width, 3] RGB; another seed is another picture."""
    coarse = np.random.default_rng(seed).uniform(0, 255, [5, 5, 3])
    fine = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(fine, 0, 255).astype(np.uint8)


def encoded(image: np.ndarray, ending: str = ".png", *parameters: int) -> bytes:
    """uint8 RGB (or whatever OpenCV takes) as the bytes of a file."""
    image = np.ascontiguousarray(image[..., ::-1]) if image.ndim == 3 and image.shape[2] == 3 else image
    done, content = cv2.imencode(ending, image, list(parameters))
    assert done
    return content.tobytes()


def png_chunk(kind: bytes, content: bytes) -> bytes:
    """A PNG chunk with its right check sum."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def people_folder(root, people: int = 3, images: int = 4, size: int = 40):
    """root/person_0/0.png ...: all pictures differ."""
    for person in range(people):
        folder = root / f"person_{person}"
        folder.mkdir(parents=True)
        for i in range(images):
            (folder / f"{i}.png").write_bytes(encoded(picture(1000 * person + i, size, size)))
    return root


def numbered_shards(folder, images: int = 103, people: int = 7, side: int = 20, shards: int = 3):
    """Shards in which image i is of person i mod `people` and has the colour (i, 2 i, row) in every row."""
    from urfr_tf.data.preparation.crops import Crop
    from urfr_tf.data.preparation.shard_writer import shard_name, write_classes, write_manifest, write_shard

    def crop(i):
        pixels = np.empty([side, side, 3], np.uint8)
        pixels[:] = i, 2 * i, 0
        pixels[..., 2] = np.arange(side)[:, None]
        return Crop(b"", f"p{i % people}", f"{i}.png", encoded(pixels))

    by_shard = np.array_split(np.arange(images), shards)
    labels = {f"p{person}": person for person in range(people)}
    entries = [
        write_shard(folder / shard_name(s, shards), map(crop, indices.tolist()), labels)
        for s, indices in enumerate(by_shard)
    ]
    write_classes(folder, {f"p{person}": len(range(person, images, people)) for person in range(people)})
    sizes = {"images": images, "classes": people, "image_size": side}
    write_manifest(folder, {**sizes, "shards": entries})
    return folder


def records_of(folder):
    """Every record of a folder of shards as (label, identity, source, points, image bytes), in order."""
    import tensorflow as tf

    from urfr_tf.data.manifest import load_manifest
    from urfr_tf.data.records import parse

    paths = [str(path) for path in load_manifest(folder).shard_paths]
    rows = parse(tf.constant(list(tf.data.TFRecordDataset(paths).as_numpy_iterator())))
    columns = (rows[name].numpy() for name in ("label", "identity", "source", "points", "image"))
    return [
        (int(label), *(name.decode("utf-8", "surrogateescape") for name in (identity, source)), points, image)
        for label, identity, source, points, image in zip(*columns, strict=True)
    ]


JUNK_FILES = (
    ".DS_Store",
    "._0.png",
    ".hidden.jpg",
    ".part-17-0.png",
    ".faces.npz.part",
    ".nfs000000001",
    "Thumbs.db",
    "THUMBS.DB",
    "desktop.ini",
    "Desktop.ini",
    "ehthumbs.db",
    "Icon\r",
)
JUNK_FOLDERS = (
    ".git",
    ".ipynb_checkpoints",
    ".Trash-1000",
    ".thumbnails",
    ".prepare",
    "@eaDir",
    "__MACOSX",
    "$RECYCLE.BIN",
    "$Recycle.Bin",
    "System Volume Information",
    "lost+found",
    "#recycle",
    "@Recycle",
    "__pycache__",
)


def put_junk(root) -> int:
    """Hidden and system files and folders in a tree and all its folders; returns how many of them.

    What is in them are whole pictures, so that nothing but their names keeps them out.
    """
    places = [root, *(path for path in root.rglob("*") if path.is_dir())]
    for place in places:
        for name in JUNK_FILES:
            (place / name).write_bytes(encoded(picture(len(name))))
        for name in JUNK_FOLDERS:
            (place / name / "deeper").mkdir(parents=True)
            (place / name / "0.png").write_bytes(encoded(picture(len(name) + 50)))
            (place / name / "deeper" / "1.png").write_bytes(encoded(picture(len(name) + 100)))
    return len(places) * (len(JUNK_FILES) + len(JUNK_FOLDERS))


def refuse_folder(monkeypatch, name):
    """Makes every folder of this name one that may not be read, for root too."""
    scandir = os.scandir

    def refuse(path):
        if os.path.basename(os.fspath(path)) == name:
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
