"""A list in CSV: path,identity and, where they are known, ten more columns x0,y0,...,x4,y4.

Cells are separated by commas, semicolons, tabs or bars. Paths are relative to the list's folder; absolute
ones must lie inside it. The points are those of the photograph in pixels. A heading with the names `path` and
`identity` may name further columns, in any order; those called x0 to y4 are the points, and others are not
read. A list whose first two columns are path and identity may have 2 or 12 columns, whatever its heading
calls the points.
"""

import csv
import math
import os
from collections import Counter
from collections.abc import Container, Iterator, Sequence
from typing import NamedTuple

from urfr_tf.data.headers import ImageError
from urfr_tf.data.names import normal_form
from urfr_tf.data.sources.item import Item
from urfr_tf.data.text_lists import choose_delimiter, first_lines, open_list, split_cells
from urfr_tf.errors import UrfrError

_POINTS = [f"{axis}{point}" for point in range(5) for axis in "xy"]
_DELIMITERS = ",;\t|"


class _Columns(NamedTuple):
    """Where the cells of a line are; `width` columns in all."""

    width: int
    path: int
    identity: int
    points: tuple[int, ...] = ()


_USUAL = {2: _Columns(2, 0, 1), 12: _Columns(12, 0, 1, tuple(range(2, 12)))}


def survey(path: str) -> dict[str, int]:
    """Identity -> number of its lines.

    Raises:
        UrfrError: the file cannot be read or has no usable line.
    """
    people: Counter[str] = Counter()
    problem = ""
    for item in _lines(path):
        if item.problem is None:
            people[item.identity] += 1
        problem = problem or (f": {item.key}, {item.problem}" if item.problem else "")
    if not people:
        raise UrfrError(f"expected lines path,identity in {path}, but it has none that can be used{problem}")
    return dict(people)


def items(path: str, keep: Container[str]) -> Iterator[Item]:
    """The images of the people in `keep`, in the order of the list; unusable lines have a problem."""
    return (item for item in _lines(path) if item.identity in keep or item.problem is not None)


def _lines(path: str) -> Iterator[Item]:
    root = os.path.dirname(path)
    delimiter = _find_delimiter(first_lines(path))
    heading = None
    with open_list(path, newline="") as file:
        rows = csv.reader(file, delimiter=delimiter)
        try:
            first = True
            for row in filter(None, rows):
                heading = _read_heading(row) if first else heading
                if not (first and heading):
                    yield _item(row, rows.line_num, root, heading, "." if delimiter == "," else ",")
                first = False
        except csv.Error as error:
            raise UrfrError(f"expected a list in CSV at {path}, line {rows.line_num}: {error}") from error


def _find_delimiter(lines: Sequence[str]) -> str:
    """What separates cells: by the heading, else by which the lines have as many columns as they should."""
    for delimiter in _DELIMITERS if lines else "":
        if len(lines[0]) < csv.field_size_limit() and _read_heading(split_cells(lines[0], delimiter)):
            return delimiter
    return choose_delimiter(lines, _DELIMITERS, lambda cells: len(cells) in _USUAL)


def _read_heading(row: list[str]) -> _Columns | None:
    names = [cell.strip().casefold() for cell in row]
    if "path" not in names or "identity" not in names:
        return None
    points = tuple(names.index(name) for name in _POINTS) if set(_POINTS) <= set(names) else ()
    if not points and names[:2] == ["path", "identity"] and len(names) in _USUAL:
        return _USUAL[len(names)]
    return _Columns(len(names), names.index("path"), names.index("identity"), points)


def _item(row: list[str], number: int, root: str, heading: _Columns | None, decimal: str) -> Item:
    columns = heading
    if heading is None or (len(row) != heading.width and (heading.path, heading.identity) == (0, 1)):
        columns = _USUAL.get(len(row))
    if columns is None or len(row) != columns.width:
        wanted = "path,identity or 12 columns" if heading is None else f"{heading.width} columns"
        hint = "; a heading would name them" if heading is None and len(row) > 2 else ""
        return _problem(number, f"expected {wanted}, but there are {len(row)}{hint}")
    name, identity = row[columns.path], normal_form(row[columns.identity])
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
    if columns.points:
        try:
            points = tuple(float(row[cell].replace(decimal, ".")) for cell in columns.points)
        except ValueError:
            points = (math.nan,)
        if not all(map(math.isfinite, points)):
            return _problem(number, "ten finite numbers were expected for the points")
    return Item(identity, os.path.relpath(file, root), file=file, points=points)


def _problem(number: int, why: str) -> Item:
    return Item("", f"line {number}", problem=ImageError("unusable line", why))
