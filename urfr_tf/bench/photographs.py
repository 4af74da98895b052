"""Made-up images that cost a JPEG decoder what aligned photographs of faces cost it."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from urfr_tf.data.preparation.crops import Crop
from urfr_tf.data.preparation.shard_writer import shard_name, write_classes, write_manifest, write_shard

# The exponent of the amplitude spectrum, the deviations of brightness and color, and the JPEG quality of LFW
# faces.
_FALL, _BRIGHTNESS, _COLOR, _QUALITY = 1.9, 45.0, 12.0, 95


def make_photograph(random: np.random.Generator, size: int) -> NDArray[np.uint8]:
    """Makes noise with the spectrum of photographs: uint8 [size, size, 3]."""
    row = np.fft.fftfreq(size)
    frequency = np.maximum(np.hypot(row[:, None], row[None, :]), 1 / size)
    planes = np.fft.ifft2(np.fft.fft2(random.normal(size=[3, size, size])) / frequency**_FALL).real
    planes -= planes.mean(axis=(1, 2), keepdims=True)
    brightness, warm, green = planes / planes.std(axis=(1, 2), keepdims=True)
    brightness, warm, green = 128 + _BRIGHTNESS * brightness, _COLOR * warm, _COLOR / 2 * green
    image = np.stack([brightness + warm, brightness + green, brightness - warm], axis=-1)
    return np.asarray(np.clip(np.rint(image), 0, 255), np.uint8)


def write_photographs(folder: Path, images: int, size: int, shards: int = 2, seed: int = 0) -> None:
    """Writes a folder of shards of `images` such pictures, a tenth as many made-up people, no points."""
    random = np.random.default_rng(seed)
    people = max(2, images // 10)
    names = [f"person_{i:06d}" for i in range(people)]
    shares = np.array_split(np.arange(images), shards)

    def crops(numbers: NDArray[np.int64]) -> Iterator[Crop]:
        for number in numbers:
            pixels = make_photograph(random, size)
            _, encoded = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
            yield Crop(b"", names[number % people], f"{number}.jpg", encoded.tobytes())

    labels = {name: label for label, name in enumerate(names)}
    entries = [
        write_shard(folder / shard_name(i, shards), crops(share), labels) for i, share in enumerate(shares)
    ]
    write_classes(folder, {name: len(range(i, images, people)) for i, name in enumerate(names)})
    write_manifest(
        folder,
        {
            "images": images,
            "classes": people,
            "image_size": size,
            "align": "none",
            "template": None,
            "source": {"kind": "made up", "path": ""},
            "shards": entries,
            "refused": {},
        },
    )
