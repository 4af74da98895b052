"""TinyFace- and IJB-S-like test sets of the tested people, in the published layouts.

    python -m experiments.reproduce.surveillance --data TEST_SHARDS --out TESTS

`tinyface_16` and `tinyface_24`: every image, of gallery and probes alike, is that many pixels wide, as
TinyFace's are small in both. A person with two images or more has one in the gallery and up to two as probes;
people with one image are distractors.

`ijbs`: a person with three images or more is enrolled by one clean image (single) or by up to four (booking),
and searched with up to three videos, each of one other image in FRAMES degraded frames. People with two
images or
one are searched too and are in no gallery: without them an FPIR of 1 % would rest on hardly anybody. People
are dealt out to galleries G1 and G2 in turn. What is drawn depends on the seed and the names alone.

`ijbs_lost`: the same videos, each frame of which is by a chance of one half shrunk to 4 to 6 pixels instead,
in which nobody can
be recognized: what confidences are for.
"""

import argparse
import csv
import hashlib
import io
import shutil
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import tensorflow as tf

from experiments.command import with_sentences
from experiments.reproduce.plan import IJBS, IJBS_LOST, MADE, TINYFACE
from urfr_tf import keys
from urfr_tf.augment.blur import gaussian_blur
from urfr_tf.augment.occlusion import GRID, black_out
from urfr_tf.augment.pose import turn
from urfr_tf.augment.resolution import lower_resolution
from urfr_tf.data import records
from urfr_tf.data.images import decode_image, encode_image
from urfr_tf.data.manifest import load_manifest
from urfr_tf.errors import UrfrError
from urfr_tf.files import write_bytes, write_text

SIZES = (16, 24)
FRAMES, MOST_VIDEOS, MOST_BOOKED, MOST_PROBES = 4, 3, 4, 2
PROBABILITY = 0.4
"""That blur, occlusion or pose is applied to a frame; resolution always is, from 16 to 40 pixels."""
LOST, LOST_SIZE = 0.5, (4, 6)
"""Probability that a frame of `ijbs_lost` is lost, and its pixels then."""
_AT_ONCE = 64


@dataclass(frozen=True)
class Face:
    """A crop of a person: name of the image, pixels uint8 [S, S, 3], points float32 [10] in them."""

    name: str
    image: np.ndarray
    points: np.ndarray


@with_sentences("surveillance")
def main() -> None:
    """Reads the arguments and writes the trees."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, help="shards of the tested people")
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sets", nargs="+", choices=MADE, default=MADE, help="which to make (all)")
    args = parser.parse_args()
    people = read_people(args.data, args.seed)
    for size in SIZES if TINYFACE in args.sets else ():
        write_tinyface(people, args.out / f"{TINYFACE}_{size}", size)
    for name, lost in ((IJBS, 0.0), (IJBS_LOST, LOST)):
        if name in args.sets:
            write_ijbs(people, args.out / name, args.seed, lost)


def read_people(shards: str, seed: int) -> dict[str, list[Face]]:
    """Person -> crops; people in the order of their names, the crops of each in an order drawn by the
    seed."""
    people: dict[str, list[Face]] = defaultdict(list)
    for record in tf.data.TFRecordDataset([str(path) for path in load_manifest(shards).shard_paths]):
        values = {key: value.numpy() for key, value in records.parse(record).items()}
        name = values[records.SOURCE].decode()
        face = Face(name, decode_image(values[keys.IMAGE]), values[records.POINTS])
        people[values[records.IDENTITY].decode()].append(face)
    return {person: sorted(people[person], key=lambda f: drawn(seed, f.name)) for person in sorted(people)}


def drawn(seed: int, name: str) -> int:
    """A number of 64 bits that depends on the seed and the name alone."""
    return int.from_bytes(hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=8).digest(), "big")


def write_tinyface(people: dict[str, list[Face]], out: Path, size: int) -> dict[str, int]:
    """Testing_Set/{Probe,Gallery_Match,Gallery_Distractor}; returns the images in each.

    Raises:
        UrfrError: nobody has two images, or everybody has.
    """
    shutil.rmtree(out, ignore_errors=True)
    counts = dict.fromkeys(("Probe", "Gallery_Match", "Gallery_Distractor"), 0)
    for number, faces in enumerate(people.values(), 1):
        several = len(faces) > 1
        roles = ["Gallery_Match", *["Probe"] * MOST_PROBES] if several else ["Gallery_Distractor"]
        for index, (role, face) in enumerate(zip(roles, faces, strict=False), 1):
            small = cv2.resize(face.image, (size, size), interpolation=cv2.INTER_AREA)
            path = out / "Testing_Set" / role / f"{number}_{index}.png"
            write_bytes(path, encode_image(small, lossless=True))
            counts[role] += 1
    if not all(counts.values()):
        raise UrfrError(
            f"expected tested people with one image and with several, but the counts by role are {counts}"
        )
    print(f"{out}: {counts}")
    return counts


def write_ijbs(people: dict[str, list[Face]], out: Path, seed: int, lost: float = 0.0) -> None:
    """protocols/ and images/ as IJB-S has them; a frame is lost with this probability.

    Raises:
        UrfrError: fewer than four people have three images.
    """
    shutil.rmtree(out, ignore_errors=True)
    enrolled = [person for person, faces in people.items() if len(faces) > 2]
    if len(enrolled) < 4:
        raise UrfrError(
            f"expected four tested people with three images or more, but there are {len(enrolled)}"
        )
    metadata, probes = [], []
    galleries: dict[str, list[list[str]]] = defaultdict(list)
    frames: list[tuple[Path, Face]] = []
    video = image = 0
    for number, (person, faces) in enumerate(people.items(), 1):
        subject, booked = str(number), 0
        if person in enrolled:
            half = enrolled.index(person) % 2 + 1
            booked = min(MOST_BOOKED, max(2, len(faces) - MOST_VIDEOS))
            for index, face in enumerate(faces[:booked]):
                image += 1
                write_bytes(
                    out / "images" / subject / f"img_{image}.png", encode_image(face.image, lossless=True)
                )
                metadata.append([subject, f"img/{image}.png"])
                for kind in ["booking", *(["single"] if index == 0 else [])]:
                    galleries[f"{kind}_g{half}"].append([str(number), subject, f"img/{image}.png"])
        videos = faces[booked : booked + MOST_VIDEOS]
        if booked:  # its frames are those of an enrolled image: the gallery of surveillance-to-surveillance
            videos = [*videos, faces[0]]
        for index, face in enumerate(videos):
            video += 1
            metadata.append([subject, f"videos/{video}.mp4"])
            if booked and index == len(videos) - 1:
                galleries[f"surveillance_g{half}"].append([str(number), subject, f"videos/{video}.mp4"])
            else:
                probes.append([f"videos/{video}.mp4"])
            for frame in range(FRAMES):
                frames.append((out / "images" / subject / f"videos_{video}_{frame:06d}.png", face))
    write_frames(frames, seed, lost)
    lists = out / "protocols"
    write_table(lists / "cs6_metadata.csv", [["SUBJECT_ID", "FILE"], *metadata])
    for name in ("single-booking", "surveillance"):
        write_table(lists / f"cs6_surveillance_to_{name}_probe.csv", [["FILE"], *probes])
    for name, rows in galleries.items():
        heading = ["TEMPLATE_ID", "SUBJECT_ID", "FILE"]
        write_table(lists / "galleries" / f"cs6_surveillance_to_{name}.csv", [heading, *rows])
    print(f"{out}: {len(enrolled)} people enrolled, {len(probes)} videos searched, {len(frames)} frames")


def write_frames(frames: list[tuple[Path, Face]], seed: int, lost: float) -> None:
    """Degrades a face for each path, by pose, occlusion, blur and resolution in this order, and writes it."""
    for start in range(0, len(frames), _AT_ONCE):
        role = frames[start : start + _AT_ONCE]
        # Always as many: the pose is compiled for each number of images that it meets.
        filled = [*role, *[role[-1]] * (_AT_ONCE - len(role))]
        images = np.stack([face.image for _, face in filled]).astype(np.float32)
        points = np.stack([face.points for _, face in filled])
        plans = [frame_plan(seed, path.stem, lost) for path, _ in filled]
        changed = degrade(images, points, plans)
        for (path, _), image in zip(role, changed, strict=False):
            write_bytes(path, encode_image(image, lossless=True))


def frame_plan(seed: int, name: str, lost: float = 0.0) -> dict[str, np.ndarray]:
    """What happens to a frame: resolution [] in pixels, and where drawn blur [], rectangle [4], yaw [].

    A frame that is not among the lost ones is what it is where none is lost.
    """
    rng = np.random.default_rng(drawn(seed, name))
    side = rng.integers(2, 4)
    corner = rng.integers(0, GRID + 1 - side, 2)
    plan = {
        "resolution": np.int32(rng.integers(16, 41)),
        "blur": np.int32(rng.choice([3, 5, 7])),
        "rectangle": np.array([*corner, *(corner + side)], np.int32),
        "yaw": np.float32(rng.uniform(15, 45) * rng.choice([-1, 1])),
    }
    applied = dict(zip(("blur", "rectangle", "yaw"), rng.random(3) < PROBABILITY, strict=True))
    if rng.random() < lost:
        return {"resolution": np.int32(rng.integers(LOST_SIZE[0], LOST_SIZE[1] + 1))}
    return {name: value for name, value in plan.items() if applied.get(name, True)}


def degrade(images: np.ndarray, points: np.ndarray, plans: list[dict[str, np.ndarray]]) -> np.ndarray:
    """Crops float32 [B, S, S, 3] with points [B, 10] after their plans, uint8 [B, S, S, 3]."""
    for name, nothing in (("yaw", 0.0), ("rectangle", [0, 0, 0, 0]), ("blur", 3), ("resolution", 16)):
        values = np.stack([np.asarray(plan.get(name, nothing)) for plan in plans])
        if name == "yaw":
            changed = turn(images, points, values.astype(np.float32))
        elif name == "rectangle":
            changed = black_out(tf.constant(images), tf.constant(values.astype(np.int32)))
        elif name == "blur":
            changed = gaussian_blur(tf.constant(images), tf.constant(values.astype(np.int32)))
        else:
            changed = lower_resolution(tf.constant(images), tf.constant(values.astype(np.int32)))
        applied = np.array([name in plan for plan in plans])
        images = np.where(applied[:, None, None, None], np.asarray(changed), images)
    return np.clip(np.rint(images), 0, 255).astype(np.uint8)


def write_table(path: Path, lines: list[list[str]]) -> None:
    """Lines as CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    write_text(path, text.getvalue())


if __name__ == "__main__":
    sys.exit(main())
