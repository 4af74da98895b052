"""Tables of templates: the CSV files of the Janus benchmarks, and the templates that grow from their rows."""

import csv
import os
import re
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from urfr_tf.data.headers import ImageError
from urfr_tf.data.images import MAX_BYTES, decode_image, encode_image
from urfr_tf.data.names import normal_form
from urfr_tf.data.sources.item import Item, read_item
from urfr_tf.data.text_lists import choose_delimiter, first_lines, open_list
from urfr_tf.data.tree import Ignored
from urfr_tf.errors import UrfrError
from urfr_tf.protocols.protocol import Images, Split, Templates

_LOOSE = 1.5  # side of the square that is cut out about a face's box, in sides of the box
Box = tuple[float, float, float, float]


def read_rows(path: str, needed: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """Reads the lines of a CSV file with a heading, under upper-case names; FILE is called FILENAME.

    Raises:
        UrfrError: the file cannot be read, has no heading, lacks a column, or a line has fewer cells.
    """
    delimiter = choose_delimiter(
        first_lines(path)[:1], ",;\t", lambda cells: len(cells) > 1 and {*needed} <= {*_name_columns(cells)}
    )
    with open_list(path, newline="") as file:
        try:
            reader = csv.reader(file, delimiter=delimiter)
            names = _name_columns(next(reader, []))
            missing = [name for name in needed if name not in names]
            if missing:
                raise UrfrError(
                    f"expected a heading with {', '.join(needed)} in {path}, but {', '.join(missing)} is "
                    f"missing: line 1 is {','.join(names)[:80]!r}"
                )
            for number, cells in enumerate(reader, 2):
                if not cells:
                    continue
                if len(cells) < len(names):
                    raise UrfrError(
                        f"expected {len(names)} cells in line {number} of {path}, but got {len(cells)}"
                    )
                yield dict(zip(names, (cell.strip() for cell in cells), strict=False))
        except csv.Error as error:
            raise UrfrError(f"expected CSV in {path}, but it does not parse: {error}") from error


def _name_columns(heading: list[str]) -> list[str]:
    names = [name.strip().upper() for name in heading]
    return ["FILENAME" if name == "FILE" else name for name in names]


def read_number_pairs(path: str) -> list[tuple[str, str]]:
    """Reads the lines `template,template` of a list without a heading.

    Raises:
        UrfrError: the file cannot be read, or a line is not two numbers.
    """
    pairs = []
    with open_list(path) as file:
        for number, line in enumerate(file, 1):
            cells = [cell.strip() for cell in re.split(r"[,;\t]", line.strip())]
            if len(cells) != 2 or not all(cell.isdigit() for cell in cells):
                raise UrfrError(
                    f"expected 'template,template' in line {number} of {path}, but got {line[:80]!r}"
                )
            pairs.append((cells[0], cells[1]))
    return pairs


def parse_box(row: dict[str, str]) -> Box | None:
    """The face's box of a row, or None where it has none."""
    try:
        x, y, width, height = (float(row[f"FACE_{key}"]) for key in ("X", "Y", "WIDTH", "HEIGHT"))
    except (KeyError, ValueError):
        return None
    return (
        (x, y, width, height)
        if width > 0 and height > 0 and np.isfinite([x, y, width, height]).all()
        else None
    )


class Builder:
    """Templates that grow row by row; an image that occurs twice is embedded once.

    Args:
        name: of the protocol.
        root: folder that images are named relative to.

    Attributes:
        facts: what should be written next to the figures.
        ignored: counts hidden and system files, where a folder is listed.
        refused: files that are no images, and why, where a folder is listed.
    """

    def __init__(self, name: str, root: str) -> None:
        self.name, self.root = name, root
        self.facts: dict[str, object] = {}
        self.ignored = Ignored()
        self.refused: dict[str, str] = {}
        self._images: dict[tuple[str, Box | None], int] = {}
        self._points: dict[int, tuple[float, ...]] = {}
        self._templates: dict[str, int] = {}
        self._subjects: list[str] = []
        self._media: dict[tuple[int, str], int] = {}
        self._rows: list[tuple[int, int, int]] = []
        self._seen: set[tuple[int, int, int]] = set()

    def template(self, key: str, subject: str) -> int:
        """Gives the number of a template, a new one if the key is new.

        Raises:
            UrfrError: it is known under another subject.
        """
        subject = normal_form(subject)
        number = self._templates.setdefault(key, len(self._subjects))
        if number == len(self._subjects):
            self._subjects.append(subject)
        elif self._subjects[number] != subject:
            raise UrfrError(
                f"template {key} of {self.name} is subject {self._subjects[number]} in one line and "
                f"{subject} in another"
            )
        return number

    def known(self, key: str, where: str) -> int:
        """The number of a template that has images.

        Raises:
            UrfrError: there is none; `where` names the list that asks for it.
        """
        if key not in self._templates:
            raise UrfrError(f"{where} names template {key}, but no list gives images of it")
        return self._templates[key]

    def add(
        self,
        template: int,
        filename: str,
        medium: str,
        box: Box | None = None,
        points: tuple[float, ...] | None = None,
    ) -> None:
        """Adds an image to a template; the same line twice counts once.

        Raises:
            UrfrError: the name leads out of the root.
        """
        if os.path.isabs(filename) or ".." in filename.split("/") or "\0" in filename:
            raise UrfrError(f"expected images below {self.root}, but {self.name} names {filename!r}")
        image = self._images.setdefault((filename, box), len(self._images))
        if points is not None:
            self._points[image] = points
        row = (image, template, self._media.setdefault((template, medium), len(self._media)))
        if row not in self._seen:
            self._seen.add(row)
            self._rows.append(row)

    def subject_of(self, template: int) -> str:
        """The subject of a template."""
        return self._subjects[template]

    def build(self, splits: tuple[Split, ...]) -> Templates:
        """The templates so far.

        Raises:
            UrfrError: there is no image.
        """
        if not self._rows:
            raise UrfrError(f"expected images of {self.name} below {self.root}, but the lists name none")
        image, template, medium = np.array(self._rows, np.int64).T
        names, points, root = list(self._images), self._points, self.root

        def stream() -> Iterator[Item]:
            for number, (filename, box) in enumerate(names):
                item = Item("", filename, file=os.path.join(root, filename), points=points.get(number))
                yield item if box is None else crop_loosely(item, box)

        return Templates(
            self.name,
            Images(len(names), stream, ignored=self.ignored.sentence(), refused=self.refused),
            image,
            template,
            medium,
            np.array(self._subjects),
            splits,
            dict(self.facts),
        )


def crop_loosely(item: Item, box: Box) -> Item:
    """The square about a face's box as another image, cut at the photograph's borders.

    Its side is 1.5 times the larger side of the box, so that a detector finds the one face that is meant.
    """
    try:
        photograph = decode_image(read_item(item, MAX_BYTES))
    except ImageError as refusal:
        return replace(item, file=None, problem=refusal)
    x, y, width, height = box
    half = _LOOSE * max(width, height) / 2
    center = np.array([x + width / 2, y + height / 2])
    limits = np.array([photograph.shape[1], photograph.shape[0]])
    low = np.clip(np.floor(center - half), 0, limits).astype(int)
    high = np.clip(np.ceil(center + half), 0, limits).astype(int)
    if (high - low).min() < 2:
        return replace(
            item, file=None, problem=ImageError("no face", "its box lies outside of the photograph")
        )
    square = photograph[low[1] : high[1], low[0] : high[0]]
    return replace(item, file=None, content=encode_image(square, lossless=True))
