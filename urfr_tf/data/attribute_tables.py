"""Tables of attributes: CelebA's `list_attr_celeba.txt`, or a TSV with one image or person a line."""

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from urfr_tf.data.text_lists import choose_delimiter, open_list, split_cells
from urfr_tf.errors import UrfrError

_KEYS = ("key", "image_id", "image", "path", "file", "filename", "name", "identity")
_YES = {"1": 1.0, "1.0": 1.0, "yes": 1.0, "true": 1.0, "female": 1.0}
_NO = {"0": 0.0, "0.0": 0.0, "-1": 0.0, "no": 0.0, "false": 0.0, "male": 0.0}


def read_attributes(path: str | os.PathLike[str]) -> tuple[list[str], dict[str, NDArray[np.float32]]]:
    """Reads a table of attributes.

    CelebA's layout: the number of images, the names, then `file.jpg -1 1 ...`. A TSV: optionally a
    heading `key<TAB>name...`, then `key<TAB>value...`; commas or semicolons will do as well. The key is an
    image's path in its source or a person's name. A value is 0, 1, -1, yes, no, true, false, male, female
    (female is 1), or a number from 0 to 1. A TSV of one column without a heading is called after its
    file's words (`lfw_gender_by_identity.tsv`: gender).

    Returns:
        (names of the A attributes, key -> float32 [A]).

    Raises:
        UrfrError: an unreadable file, a line of another length, a value that is none of these, a key with two
            answers.
    """
    with open_list(os.fspath(path)) as file:
        lines = [line.rstrip("\n") for line in file]
    if len(lines) > 2 and lines[0].strip().isdigit():
        names = lines[1].split()
        return names, _rows(path, ((n, line.split()) for n, line in enumerate(lines[2:], 3)), len(names))
    delimiter = choose_delimiter(
        lines, "\t,;", lambda cells: len(cells) > 1 and None not in map(_value, cells[1:])
    )
    split = [(number, split_cells(line, delimiter)) for number, line in enumerate(lines, 1) if line.strip()]
    if not split:
        raise UrfrError(f"expected attributes in {path}, but the file is empty")
    first = split[0][1]
    named = first[0].strip().casefold() in _KEYS  # `male` is a value, too, and a name that CelebA has
    if len(first) > 1 and (named or all(_value(cell) is None for cell in first[1:])):
        return first[1:], _rows(path, split[1:], len(first) - 1)
    width = len(first) - 1
    known = [
        word for word in ("gender", "young", "age", "smiling", "domain") if word in Path(path).stem.lower()
    ]
    names = known[:1] if width == 1 and known else [f"attribute_{i}" for i in range(width)]
    return names, _rows(path, split, width)


def _rows(
    path: str | os.PathLike[str], lines: Iterable[tuple[int, list[str]]], width: int
) -> dict[str, NDArray[np.float32]]:
    rows: dict[str, NDArray[np.float32]] = {}
    for number, cells in lines:
        if not cells:
            continue
        values = [_value(cell) for cell in cells[1:]]
        if len(values) != width or width == 0 or None in values:
            raise UrfrError(
                f"expected a key and {width or 'some'} values in line {number} of {path}, "
                f"but got {' '.join(cells)[:80]!r}"
            )
        row = np.array(values, np.float32)
        if not np.array_equal(rows.setdefault(cells[0], row), row):
            raise UrfrError(f"line {number} of {path} gives {cells[0]} other values than a line before")
    return rows


def _value(cell: str) -> float | None:
    cell = cell.strip().lower()
    if cell in _YES:
        return 1.0
    if cell in _NO:
        return 0.0
    try:
        number = float(cell)
    except ValueError:
        return None
    return number if 0.0 <= number <= 1.0 else None
