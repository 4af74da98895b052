"""How often a face is found, how near its points are to annotated ones, how fast; docs/lab/alignment.md.

    .venv/bin/python experiments/check_alignment.py --lfw ../shared/data/lfw.tar --cfp
        ../shared/data/cfp_dev.tar [--every 10] [--min-size 40] [--scale-factor 0.709] [--thresholds 0.6 0.7
        0.8] [--threads 1] [--package 100] [--sheets /tmp/sheets] [--json FILE]

The sets are read from their archives or folders. `--every N` takes each Nth photograph; `--package N` also
runs mtcnn's own cascade, at its defaults, over N photographs of LFW and gives the ratio of times; `--sheets`
writes contact sheets (evenly spaced crops, the crops farthest from the template, the photographs
without a face). They show people: that folder must lie outside of this repository.

Distances are in pixels of the 112 x 112 crop made from the detected points: the annotated point, moved by
the crop's matrix, to the detected one. CFP annotates one half of the face: an eye, the nose, a corner of the
mouth; these three are given apart from the two that urfr_tf/data/sources/cfp.py derives from them.
"""

import argparse
import json
import os
import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import cv2  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from urfr_tf.data.images import MAX_BYTES, decode_image  # noqa: E402
from urfr_tf.data.sources import archive, cfp  # noqa: E402
from urfr_tf.data.sources.item import Item, read_item  # noqa: E402
from urfr_tf.faces.align import align_face, crop_matrix, transform_points  # noqa: E402
from urfr_tf.faces.detect import Detector, Face, choose_face  # noqa: E402
from urfr_tf.faces.template import five_points  # noqa: E402

BATCH = 32


@dataclass
class Photograph:
    """A file, its annotation (five points [5, 2] and which three are annotated) and the face found in it."""

    item: Item
    truth: np.ndarray | None = None
    annotated_points: tuple[int, ...] = ()
    face: Face | None = None

    def pixels(self) -> np.ndarray:
        return decode_image(read_item(self.item, MAX_BYTES))


def photographs(arguments: argparse.Namespace) -> Iterator[tuple[str, str, list[Photograph]]]:
    """Name of a set, rule of choice, photographs in the order of their names."""
    if arguments.lfw:
        yield "lfw", "central", [Photograph(item) for item in images_of(arguments.lfw, "", arguments.every)]
    if arguments.cfp:
        fiducials = {
            item.key.partition("/Fiducials/")[2].removesuffix(".txt"): item
            for item in archive.files(arguments.cfp, MAX_BYTES)
            if "/Fiducials/" in item.key
        }
        for view in ("frontal", "profile"):
            images = images_of(arguments.cfp, f"/{view}/", arguments.every)
            yield f"cfp {view}", "largest", [annotated(item, fiducials, view) for item in images]


def images_of(path: str, fragment: str, every: int) -> list[Item]:
    items = [i for i in archive.files(path, MAX_BYTES) if i.key.endswith(".jpg") and fragment in i.key]
    return sorted(items, key=lambda item: item.key)[::every]


def annotated(item: Item, fiducials: dict[str, Item], view: str) -> Photograph:
    text = read_item(fiducials[item.key.partition("/Images/")[2].removesuffix(".jpg")], MAX_BYTES)
    thirty = np.array([line.split(b",") for line in text.split()], np.float64)
    five = cfp.five_points(thirty, profile=view == "profile")
    eye_first = np.allclose(five[0], thirty[12:18].mean(axis=0))
    return Photograph(item, five, (0, 2, 3) if eye_first else (1, 2, 4))


def measure(detector: Detector, photos: list[Photograph], rule: str) -> dict[str, Any]:
    """Finds the face of each photograph; counts, speed and distances."""
    several = 0
    wall = busy = 0.0
    for first in range(0, len(photos), BATCH):
        some = photos[first : first + BATCH]
        images = [photo.pixels() for photo in some]
        start = time.perf_counter(), time.process_time()
        results = detector.detect(images)
        wall += time.perf_counter() - start[0]
        busy += time.process_time() - start[1]
        for photo, image, faces in zip(some, images, results, strict=True):
            photo.face = choose_face(faces, image.shape, rule)
            several += len(faces) > 1
    detected = [photo for photo in photos if photo.face is not None]
    return {
        "photographs": len(photos),
        "found": len(detected),
        "share": round(len(detected) / len(photos), 5),
        "several_faces": several,
        "at_border": sum(photo.face.at_border for photo in detected),
        "per_second": round(len(photos) / wall, 1),
        "per_processor_second": round(len(photos) / busy, 1),
        **distances([photo for photo in detected if photo.truth is not None]),
    }


def distances(detected: list[Photograph]) -> dict[str, Any]:
    """Mean, median and 95th percentile over photographs, in pixels of the crop."""
    if not detected:
        return {}
    all_five, three, nose = [], [], []
    for photo in detected:
        matrix = crop_matrix(photo.face.points)
        offsets = transform_points(photo.face.points, matrix) - transform_points(photo.truth, matrix)
        length = np.hypot(offsets[:, 0], offsets[:, 1])
        all_five.append(length.mean())
        three.append(length[list(photo.annotated_points)])
        nose.append(offsets[2])
    names = ("eye", "nose", "mouth_corner")
    return {
        "annotated_three": summary(np.mean(three, axis=1)),
        **{name: summary(np.array(three)[:, i]) for i, name in enumerate(names)},
        "all_five": summary(np.array(all_five)),
        "nose_median_offset": np.median(nose, axis=0).round(2).tolist(),
    }


def summary(values: np.ndarray) -> dict[str, float]:
    numbers = {"mean": values.mean(), "median": np.median(values), "p95": np.percentile(values, 95)}
    return {name: round(float(value), 2) for name, value in numbers.items()}


def package(photos: list[Photograph], detector: Detector) -> dict[str, Any]:
    """mtcnn's own cascade, batches of 16, at its defaults and at our smallest face, and ours, in turn."""
    from mtcnn import MTCNN

    theirs = MTCNN()
    images = [photo.pixels() for photo in photos]

    def once(settings: dict[str, float] | None) -> int:
        detected = 0
        for i in range(0, len(images), 16):
            some = images[i : i + 16]
            faces = detector.detect(some) if settings is None else theirs.detect_faces(some, **settings)
            detected += sum(len(f) > 0 for f in faces)
        return detected

    ways = {"ours": None, "mtcnn_default": {}, "mtcnn_min_face": {"min_face_size": detector.min_size}}
    numbers: dict[str, Any] = {"photographs": len(images)}
    for name, settings in ways.items():
        once(settings)
        start = time.process_time()
        detected = once(settings)
        numbers[name] = {"found": detected, "processor_seconds": round(time.process_time() - start, 2)}
    ratio = numbers["mtcnn_default"]["processor_seconds"] / numbers["ours"]["processor_seconds"]
    return {**numbers, "ours_is_faster_by": round(ratio, 2)}


def write_sheets(folder: Path, name: str, photos: list[Photograph]) -> None:
    if folder.resolve().is_relative_to(ROOT):
        sys.exit(f"expected a folder outside of {ROOT} for contact sheets of people, but {folder} came")
    folder.mkdir(parents=True, exist_ok=True)
    detected = [photo for photo in photos if photo.face is not None]
    template = five_points()

    def misfit(photo: Photograph) -> float:
        points = photo.face.points
        return float(np.abs(transform_points(points, crop_matrix(points)) - template).mean())

    spaced = detected[:: max(1, len(detected) // 160)][:160]
    sheets = {
        "spaced": [align_face(photo.pixels(), photo.face.points) for photo in spaced],
        "misfit": [align_face(p.pixels(), p.face.points) for p in sorted(detected, key=misfit)[:-81:-1]],
        "missed": [cv2.resize(p.pixels(), (112, 112)) for p in photos if p.face is None][:80],
    }
    for kind, tiles in sheets.items():
        if tiles:
            tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % 20)
            rows = [np.concatenate(tiles[i : i + 20], axis=1) for i in range(0, len(tiles), 20)]
            path = folder / f"{name.replace(' ', '_')}_{kind}.png"
            cv2.imwrite(str(path), np.concatenate(rows)[..., ::-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--lfw")
    parser.add_argument("--cfp")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--min-size", type=float, default=40)
    parser.add_argument("--scale-factor", type=float, default=0.709)
    parser.add_argument("--thresholds", type=float, nargs=3, default=(0.6, 0.7, 0.8))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--package", type=int, default=0)
    parser.add_argument("--sheets", type=Path)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(arguments.threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    cv2.setNumThreads(arguments.threads)
    detector = Detector(BATCH, arguments.min_size, arguments.thresholds, arguments.scale_factor)
    results: dict[str, Any] = {}
    for name, rule, photos in photographs(arguments):
        if name == "lfw" and arguments.package:
            results["package"] = package(photos[:: max(1, len(photos) // arguments.package)], detector)
        results[name] = measure(detector, photos, rule)
        print(name, json.dumps(results[name], indent=1), flush=True)
        if arguments.sheets:
            write_sheets(arguments.sheets, name, photos)
    results["peak_megabytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    results["settings"] = {
        k: getattr(arguments, k) for k in ("min_size", "scale_factor", "thresholds", "threads")
    }
    print(
        json.dumps(
            {k: results[k] for k in results if k in ("package", "peak_megabytes", "settings")}, indent=1
        )
    )
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
