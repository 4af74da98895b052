"""IARPA Janus Surveillance Video Benchmark: surveillance to single, to booking and to surveillance.

    protocols/cs6_metadata.csv                                subject, video or image, ...
    protocols/cs6_surveillance_to_single-booking_probe.csv    one video a line
    protocols/cs6_surveillance_to_surveillance_probe.csv      one video a line
    protocols/galleries/cs6_surveillance_to_{single,booking,surveillance}_{g1,g2}.csv  template, subject, file
    images/SUBJECT/videos_4012_000123.jpg, images/SUBJECT/img_17.jpg   face crops cut out of `videos/4012.mp4`
                                                              and `img/17.jpg`, one folder a subject

A probe template is one subject in one video, all of its frames one medium. Without any crop it counts as not
found. A gallery template is an image (single), all images of a subject in the list (booking), or a subject
in a video (surveillance). (Kalka et al., BTAS 2018.)
"""

import os

import numpy as np

from urfr_tf.data.tree import Ignored, scan
from urfr_tf.errors import UrfrError
from urfr_tf.metrics.arrays import Ints
from urfr_tf.protocols.protocol import Identification, Split, Templates
from urfr_tf.protocols.template_tables import Builder, read_rows


def open_ijbs(data: str) -> Templates:
    """The three protocols, their figures under s2s/, s2b/ and s2v/.

    Raises:
        UrfrError: the lists or the images are missing, or a list is bad.
    """
    lists = os.path.join(data, "protocols")
    metadata = os.path.join(lists, "cs6_metadata.csv")
    images = os.path.join(data, "images")
    if not os.path.isfile(metadata) or not os.path.isdir(images):
        raise UrfrError(
            f"expected IJB-S's protocols/cs6_metadata.csv and images/ in {data}, but one is missing"
        )
    builder = Builder("ijbs", images)
    crops = _list_crops(images, builder.ignored)
    seen: dict[str, list[str]] = {}
    for subject, file in sorted({_first_two(row) for row in read_rows(metadata, ("SUBJECT_ID",))}):
        if file.startswith("videos/"):
            seen.setdefault(file, []).append(subject)

    def add_videos(pairs: list[tuple[str, str]]) -> Ints:
        return np.array([_add_template(builder, crops, f"{s} in {v}", s, [v]) for s, v in pairs], np.int64)

    def read_probes(name: str) -> Ints:
        path = os.path.join(lists, name)
        listed = [next(iter(row.values())) for row in read_rows(path, ())]
        unknown = [video for video in listed if video not in seen]
        if unknown:
            raise UrfrError(f"{path} names {unknown[0]}, but {metadata} has nobody in it")
        return add_videos([(subject, video) for video in listed for subject in seen[video]])

    def read_gallery(kind: str, number: int) -> list[tuple[str, str]]:
        path = os.path.join(lists, "galleries", f"cs6_surveillance_to_{kind}_g{number}.csv")
        entries = [_second_two(row, path) for row in read_rows(path, ())]
        if not entries:
            raise UrfrError(f"expected a gallery in {path}, but it is empty")
        return list(dict.fromkeys(entries))

    def add_singles(pairs: list[tuple[str, str]]) -> Ints:
        return np.array([_add_template(builder, crops, f"{s} as {f}", s, [f]) for s, f in pairs], np.int64)

    def add_bookings(pairs: list[tuple[str, str]], number: int) -> Ints:
        files: dict[str, list[str]] = {}
        for subject, file in pairs:
            files.setdefault(subject, []).append(file)
        return np.array(
            [_add_template(builder, crops, f"{s} in booking {number}", s, f) for s, f in files.items()],
            np.int64,
        )

    still = read_probes("cs6_surveillance_to_single-booking_probe.csv")
    moving = read_probes("cs6_surveillance_to_surveillance_probe.csv")
    tasks = (
        Identification(
            "s2s/", still, (add_singles(read_gallery("single", 1)), add_singles(read_gallery("single", 2)))
        ),
        Identification(
            "s2b/",
            still,
            (add_bookings(read_gallery("booking", 1), 1), add_bookings(read_gallery("booking", 2), 2)),
        ),
        Identification(
            "s2v/",
            moving,
            (add_videos(read_gallery("surveillance", 1)), add_videos(read_gallery("surveillance", 2))),
        ),
    )
    protocol = builder.build((Split(None, tasks),))
    empty = np.setdiff1d(np.arange(len(protocol.subject)), protocol.template)
    protocol.facts["templates_without_images"] = len(empty)
    return protocol


def _list_crops(folder: str, ignored: Ignored) -> dict[tuple[str, str], list[str]]:
    """(subject, `videos_4012` or `img_17`) -> the crops' names below the folder."""
    crops: dict[tuple[str, str], list[str]] = {}
    for subject in sorted(entry.name for entry in scan(folder, ignored)):
        if os.path.isdir(os.path.join(folder, subject)):
            for name in sorted(entry.name for entry in scan(os.path.join(folder, subject), ignored)):
                stem = os.path.splitext(name)[0]
                key = "_".join(stem.split("_")[:2])
                crops.setdefault((subject, key), []).append(f"{subject}/{name}")
    return crops


def _add_template(
    builder: Builder, crops: dict[tuple[str, str], list[str]], key: str, subject: str, files: list[str]
) -> int:
    """A template with the crops of one subject in some files; each file is one medium."""
    number = builder.template(key, subject)
    for file in files:
        folder, _, name = file.partition("/")
        for crop in crops.get((subject, f"{folder}_{os.path.splitext(name)[0]}"), []):
            builder.add(number, crop, file)
    return number


def _first_two(row: dict[str, str]) -> tuple[str, str]:
    cells = list(row.values())
    return (cells[0], cells[1]) if len(cells) > 1 else (cells[0], "")


def _second_two(row: dict[str, str], path: str) -> tuple[str, str]:
    cells = list(row.values())
    if len(cells) < 3:
        raise UrfrError(f"expected 'template,subject,file' in {path}, but got {','.join(cells)[:80]!r}")
    return cells[1], cells[2]
