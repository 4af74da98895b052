"""IARPA Janus Benchmarks B and C (x = b or c) in either of the layouts that they are passed on in.

As passed on with loosely cropped faces and their five points, for the 1:1 protocol and, where the three
lists of templates and subjects are there too, 1:N:

    loose_crop/1.jpg ...
    meta/ijbx_face_tid_mid.txt          1.jpg template medium
    meta/ijbx_template_pair_label.txt   template template 0|1
    meta/ijbx_name_5pts_score.txt       1.jpg x0 y0 ... x4 y4 score
    meta/ijbx_1N_gallery_G1.csv, ..._G2.csv (S1, S2 in B), ijbx_1N_probe_mixed.csv

As published, with whole photographs and boxes; frames of one sighting are one medium:

    protocol/ijbx_1N_gallery_G1.csv, ..._G2.csv, ijbx_1N_probe_mixed.csv, ijbx_11_G1_G2_matches.csv
    images/ (or the folder itself)      img/..., frames/... as the FILENAME column names them

(Whitelam et al., CVPR workshops 2017; Maze et al., ICB 2018.)
"""

import os
from collections.abc import Iterator

import numpy as np

from urfr_tf.data.text_lists import open_list
from urfr_tf.errors import UrfrError
from urfr_tf.protocols.protocol import Identification, Split, Templates, Verification, connect
from urfr_tf.protocols.template_tables import Builder, parse_box, read_number_pairs, read_rows

_GALLERIES = {"ijbb": ("S1", "S2"), "ijbc": ("G1", "G2")}


def open_ijbbc(name: str, data: str) -> Templates:
    """`ijbb` or `ijbc`, 1:1 and 1:N as far as their lists are there.

    Raises:
        UrfrError: neither layout, or a bad list.
    """
    if os.path.isdir(os.path.join(data, "meta")):
        return _open_cropped(name, data)
    if os.path.isdir(os.path.join(data, "protocol")):
        return _open_published(name, data)
    raise UrfrError(f"expected meta/{name}_face_tid_mid.txt or protocol/{name}_1N_probe_mixed.csv in {data}")


def _open_cropped(name: str, data: str) -> Templates:
    meta = os.path.join(data, "meta")
    points = {
        cells[0]: _parse_points(cells)
        for cells in _read_cells(os.path.join(meta, f"{name}_name_5pts_score.txt"), 12)
    }
    listing = os.path.join(meta, f"{name}_face_tid_mid.txt")
    media = [(cells[0], cells[1], cells[2]) for cells in _read_cells(listing, 3)]
    path = os.path.join(meta, f"{name}_template_pair_label.txt")
    pairs = list(_read_cells(path, 3))
    if not pairs or any(cells[2] not in ("0", "1") for cells in pairs):
        raise UrfrError(f"expected lines 'template template 0 or 1' in {path}, but got others or none")
    subjects = _read_subjects(name, meta)
    subject_of = {template: subject for listed in subjects.values() for template, subject in listed.items()}
    if not subject_of:
        subject_of = _guess_subjects({template for _, template, _ in media}, pairs)
    builder = Builder(name, os.path.join(data, "loose_crop"))
    for image, template, medium in media:
        if template not in subject_of:
            raise UrfrError(f"{listing} names template {template}, but no 1N list gives its subject")
        builder.add(builder.template(template, subject_of[template]), image, medium, points=points.get(image))
    numbers = [[builder.known(key, path) for key in cells[:2]] for cells in pairs]
    first, second = np.array(numbers, np.int64).T
    verification = Verification(first, second, np.array([cells[2] == "1" for cells in pairs]))
    tasks: tuple[Identification, ...] = ()
    if subjects:
        gallery, other, probe = (
            np.array([builder.known(key, f"{name}'s 1N list") for key in templates])
            for templates in subjects.values()
        )
        tasks = (Identification("", probe, (gallery, other)),)
    return builder.build((Split(verification, tasks),))


def _open_published(name: str, data: str) -> Templates:
    images = os.path.join(data, "images")
    builder = Builder(name, images if os.path.isdir(images) else data)
    folder = os.path.join(data, "protocol")
    lists = []
    for path in _list_files(name, folder):
        templates: dict[int, None] = {}
        for row in read_rows(path, ("TEMPLATE_ID", "SUBJECT_ID", "FILENAME", "SIGHTING_ID")):
            number = builder.template(row["TEMPLATE_ID"], row["SUBJECT_ID"])
            builder.add(number, row["FILENAME"], row["SIGHTING_ID"], parse_box(row))
            templates[number] = None
        lists.append(np.array(list(templates)))
    one, two = _GALLERIES[name]
    path = os.path.join(folder, f"{name}_11_{one}_{two}_matches.csv")
    verification = None
    if os.path.isfile(path):
        pairs = [[builder.known(key, path) for key in pair] for pair in read_number_pairs(path)]
        first, second = np.array(pairs, np.int64).reshape(-1, 2).T
        subject = np.array([builder.subject_of(number) for number in range(max(map(max, pairs)) + 1)])
        verification = Verification(first, second, subject[first] == subject[second])
    return builder.build((Split(verification, (Identification("", lists[2], (lists[0], lists[1])),)),))


def _list_files(name: str, folder: str) -> list[str]:
    """Both galleries and the mixed probes."""
    files = [f"{name}_1N_gallery_{gallery}.csv" for gallery in _GALLERIES[name]] + [
        f"{name}_1N_probe_mixed.csv"
    ]
    return [os.path.join(folder, file) for file in files]


def _read_subjects(name: str, meta: str) -> dict[str, dict[str, str]]:
    """List -> template -> subject; empty where the lists are not there."""
    paths = _list_files(name, meta)
    if not all(map(os.path.isfile, paths)):
        return {}
    needed = ("TEMPLATE_ID", "SUBJECT_ID")
    return {
        path: {row["TEMPLATE_ID"]: row["SUBJECT_ID"] for row in read_rows(path, needed)} for path in paths
    }


def _guess_subjects(templates: set[str], pairs: list[list[str]]) -> dict[str, str]:
    """Subjects as the groups that genuine pairs connect."""
    names = sorted(templates | {key for cells in pairs for key in cells[:2]})
    place = {key: row for row, key in enumerate(names)}
    genuine = [(place[a], place[b]) for a, b, same in pairs if same == "1"]
    first, second = np.array(genuine, np.int64).reshape(-1, 2).T
    return dict(zip(names, map(str, connect(len(names), first, second)), strict=True))


def _read_cells(path: str, count: int) -> Iterator[list[str]]:
    with open_list(path) as file:
        for number, line in enumerate(file, 1):
            cells = line.split()
            if len(cells) != count:
                raise UrfrError(f"expected {count} words in line {number} of {path}, but got {line[:80]!r}")
            yield cells


def _parse_points(cells: list[str]) -> tuple[float, ...] | None:
    try:
        points = tuple(float(cell) for cell in cells[1:11])
    except ValueError:
        return None
    return points if np.isfinite(points).all() else None
