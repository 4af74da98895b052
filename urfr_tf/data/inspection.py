"""What a folder of shards holds, in numbers; whether it is still what was written; a few of its images."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from urfr_tf.data.manifest import Manifest
from urfr_tf.errors import UrfrError
from urfr_tf.files import file_sha256
from urfr_tf.system.plain_paths import plain_path

# Images per person are counted in bins of 1, 2, 3-4, 5-8, ...: data sets have long tails.
_BINS = 20


@dataclass(frozen=True)
class Sample:
    """Some images: uint8 [N, S, S, 3] RGB; points float32 [N, 10], -1 where unknown; names."""

    images: NDArray[np.uint8]
    points: NDArray[np.uint8]
    identities: list[str]
    sources: list[str]


def check_shards(manifest: Manifest) -> None:
    """Compares every shard's SHA-256 with the manifest's.

    Raises:
        UrfrError: a shard cannot be read or was changed.
    """
    for path, entry in zip(manifest.shard_paths, manifest.raw["shards"], strict=True):
        try:
            digest = file_sha256(path)
        except OSError as error:
            raise UrfrError(f"could not read {path}: {error.strerror or error}") from error
        if digest != entry.get("sha256"):
            raise UrfrError(
                f"expected SHA-256 {entry.get('sha256')} of {path}, but it is {digest}: the shard was changed"
            )


def summary(manifest: Manifest) -> dict[str, Any]:
    """The numbers of `urfr inspect --json`."""
    counts = manifest.counts
    return {
        "folder": str(manifest.folder),
        "images": manifest.images,
        "people": manifest.classes,
        "image_size": manifest.image_size,
        "align": manifest.raw.get("align"),
        "source": manifest.raw.get("source"),
        "shards": len(manifest.shard_paths),
        "bytes": sum(entry["bytes"] for entry in manifest.raw["shards"]),
        "images_per_person": {
            "min": int(counts.min()),
            "median": float(np.median(counts)),
            "mean": float(counts.mean()),
            "max": int(counts.max()),
            "people_with_one": int((counts == 1).sum()),
            "histogram": histogram(counts),
        },
        "refused": manifest.raw.get("refused", {}),
        "notes": manifest.raw.get("notes", {}),
    }


def histogram(counts: NDArray[np.int64]) -> list[dict[str, int]]:
    """Images per person in bins.

    Args:
        counts: int64 [C], at least 1 each.

    Returns:
        [{"from", "to", "people"}]: every number by itself when there are at most 20 of them between the least
        and the greatest, else the ranges 1, 2, 3-4, 5-8, 9-16 ...; empty bins within are kept.
    """
    low, high = int(counts.min()), int(counts.max())
    if high - low < _BINS:
        edges = list(range(low, high + 2))
    else:
        # (2^(i-1), 2^i]: from the bin of `low` to that of `high`.
        first, last = (low - 1).bit_length(), (high - 1).bit_length()
        edges = [(1 << i >> 1) + 1 for i in range(first, last + 2)]
    inside = np.histogram(counts, edges)[0]
    return [
        {"from": begin, "to": end - 1, "people": int(people)}
        for begin, end, people in zip(edges[:-1], edges[1:], inside, strict=True)
    ]


def sample(manifest: Manifest, number: int) -> Sample:
    """The first `number` images of the shards, which are in random order; fewer where there are fewer.

    Raises:
        UrfrError: a record that does not parse, or an image that is not what the manifest says.
    """
    import tensorflow as tf

    from urfr_tf import keys
    from urfr_tf.data import records
    from urfr_tf.data.images import decode_image

    paths = [plain_path(path) for path in manifest.shard_paths]
    with records.name_damage(manifest.folder):
        stored = list(tf.data.TFRecordDataset(paths).take(number).as_numpy_iterator())
        rows = records.parse(tf.constant(stored))
    images = np.stack([decode_image(data) for data in rows[keys.IMAGE].numpy()])
    if images.shape[1:3] != (manifest.image_size, manifest.image_size):
        raise UrfrError(
            f"expected images of {manifest.image_size} x {manifest.image_size} in {manifest.folder}, "
            f"but got {images.shape[1]} x {images.shape[2]}"
        )
    return Sample(
        images,
        rows[records.POINTS].numpy(),
        [name.decode("utf-8", "replace") for name in rows[records.IDENTITY].numpy()],
        [name.decode("utf-8", "replace") for name in rows[records.SOURCE].numpy()],
    )
