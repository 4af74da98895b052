"""A list in CSV: path,identity and, where they are known, ten more columns x0,y0,...,x4,y4.

Paths are relative to the list's folder; absolute ones must lie inside it. A first line
`path,identity...` is a heading. The points are those of the photograph in pixels.
"""

import csv
import math
import os
from collections import Counter
from collections.abc import Container, Iterator

from urfr_tf.data.headers import ImageError
from urfr_tf.data.sources.item import Item
from urfr_tf.errors import UrfrError


def survey(path: str) -> dict[str, int]:
    """Identity -> number of its lines.

    Raises:
        UrfrError: the file cannot be read or has no usable line.
    """
    people = Counter(item.identity for item in _lines(path) if item.problem is None)
    if not people:
        raise UrfrError(f"expected lines path,identity in {path}, but it has none that can be used")
    return dict(people)


def items(path: str, keep: Container[str]) -> Iterator[Item]:
    """The images of the people in `keep`, in the order of the list; unusable lines have a problem."""
    return (item for item in _lines(path) if item.identity in keep or item.problem is not None)


def _lines(path: str) -> Iterator[Item]:
    root = os.path.dirname(path)
    try:
        with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            rows = csv.reader(file)
            for row in rows:
                if row and not (
                    rows.line_num == 1 and [cell.strip() for cell in row[:2]] == ["path", "identity"]
                ):
                    yield _item(row, rows.line_num, root)
    except (OSError, csv.Error) as error:
        raise UrfrError(f"expected a list in CSV at {path}: {getattr(error, 'strerror', error)}") from error


def _item(row: list[str], number: int, root: str) -> Item:
    if len(row) not in (2, 12):
        return _problem(number, f"expected path,identity or 12 columns, but there are {len(row)}")
    name, identity = row[:2]
    if not name or not identity or any(c in identity for c in "\t\r\n"):
        return _problem(number, "the path or the name is empty or of more than one line")
    file = os.path.normpath(os.path.join(root, name))
    if os.path.commonpath([file, root]) != root or "\0" in name:
        return Item(
            identity,
            name,
            problem=ImageError("outside of the source", "the path leads out of the list's folder"),
        )
    points = None
    if len(row) == 12:
        try:
            points = tuple(float(cell) for cell in row[2:])
        except ValueError:
            points = (math.nan,)
        if not all(map(math.isfinite, points)):
            return _problem(number, "ten finite numbers were expected for the points")
    return Item(identity, os.path.relpath(file, root), file=file, points=points)


def _problem(number: int, why: str) -> Item:
    return Item("", f"line {number}", problem=ImageError("unusable line", why))
