"""Tables of attributes: CelebA's `list_attr_celeba.txt`, or a TSV with one image or person a line."""

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from urfr_tf.errors import UrfrError

_YES = {"1": 1.0, "1.0": 1.0, "yes": 1.0, "true": 1.0, "female": 1.0}
_NO = {"0": 0.0, "0.0": 0.0, "-1": 0.0, "no": 0.0, "false": 0.0, "male": 0.0}


def read_attributes(path: str | os.PathLike[str]) -> tuple[list[str], dict[str, NDArray[np.float32]]]:
    """Reads a table of attributes.

    CelebA's layout: the number of images, the names, then `file.jpg -1 1 ...`. A TSV: optionally a
    heading `key<TAB>name...`, then `key<TAB>value...`; the key is an image's path in its source or a
    person's name, a value is 0, 1, -1, yes, no, true, false, male, female (female is 1), or a number
    from 0 to 1. A TSV of one column without a heading is called after its file's words
    (`lfw_gender_by_identity.tsv`: gender).

    Returns:
        (names of the A attributes, key -> float32 [A]).

    Raises:
        UrfrError: an unreadable file, a line of another length, a value that is none of these.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UrfrError(f"could not read the attributes {path}: {error}") from error
    if len(lines) > 2 and lines[0].strip().isdigit():
        names = lines[1].split()
        return names, _rows(path, ((n, line.split()) for n, line in enumerate(lines[2:], 3)), len(names))
    split = [(number, line.split("\t")) for number, line in enumerate(lines, 1) if line.strip()]
    if not split:
        raise UrfrError(f"expected attributes in {path}, but the file is empty")
    first = split[0][1]
    if len(first) > 1 and all(_value(cell) is None for cell in first[1:]):
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
        rows[cells[0]] = np.array(values, np.float32)
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
