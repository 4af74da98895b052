"""Verification pairs over a folder per identity or a folder of shards: generated, or from a file.

A pairs file is LFW's (a heading `folds <tab> pairs`, then `name n1 n2` and `name1 n1 name2 n2`) or a table
`path <tab> path <tab> 0 or 1` with paths relative to the data. Commas, semicolons or spaces will do in
place of the tabs. A list that does not say its folds is dealt into ten by label.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from urfr_tf.data.manifest import load_manifest
from urfr_tf.data.names import NameTable, natural_key
from urfr_tf.data.sources import folder
from urfr_tf.data.sources.item import Item, why_no_image
from urfr_tf.data.text_lists import SPACES, choose_delimiter, open_list, split_cells
from urfr_tf.data.tree import Ignored
from urfr_tf.errors import UrfrError
from urfr_tf.metrics.arrays import Ints, Names
from urfr_tf.metrics.folds import deal_folds
from urfr_tf.protocols.protocol import Facts, Images, Pairs
from urfr_tf.protocols.source import PER_PERSON
from urfr_tf.system.plain_paths import plain_path

FOLDS = 10
MOST_GENUINE, MOST_IMPOSTOR = 100_000, 1_000_000
_MOST_LINE = 10_000
_DELIMITERS = ("\t", ",", ";", SPACES)


class Everyone:
    """The container of all identities, for sources that ask which ones to keep."""

    def __contains__(self, identity: object) -> bool:
        return True


def open_pairs(
    data: str, pairs_file: str | None = None, seed: int = 0, per_person: int = PER_PERSON
) -> Pairs:
    """Pairs over the images in `data`, generated or listed.

    Args:
        data: a folder per identity, or shards.
        pairs_file: a list of pairs; None generates them.
        seed: of generated pairs.
        per_person: genuine pairs that a person gives at most; 0: all. Not for listed pairs.

    Raises:
        UrfrError: no images, no person with two images, one person only, or a bad pairs file.
    """
    # A list says what counts; without one only images do.
    images, identity, keys = list_labeled_images(data, by_content=pairs_file is None)
    if pairs_file is not None:
        return read_listed_pairs("pairs", images, identity, keys, pairs_file)
    return generate_pairs(images, identity, seed, per_person=per_person)


def list_labeled_images(data: str, by_content: bool = True) -> tuple[Images, Names, list[str]]:
    """Lists the images of a folder per identity or of shards, their identities str [N] and their names.

    Args:
        data: the folder.
        by_content: of a folder per identity, take nothing that is no image by its content.

    Raises:
        UrfrError: neither of the two, or no image in it.
    """
    if os.path.isfile(os.path.join(data, "manifest.json")):
        return _list_shards(data)
    ignored = Ignored()
    return list_items(folder.items(data, Everyone(), ignored), data, ignored, by_content)


def list_items(
    stream: Iterable[Item], where: str, ignored: Ignored, by_content: bool = False
) -> tuple[Images, Names, list[str]]:
    """Lists the usable items of a source, people and images in natural order.

    Args:
        stream: the items; those with a problem are not taken.
        where: what errors name.
        ignored: counts what the source passes over.
        by_content: takes nothing that is no image by its content.

    Returns:
        The images, their identities str [N] and their names.

    Raises:
        UrfrError: there is no image.
    """
    items, refused = [], {}
    for item in stream:
        problem = why_no_image(item) if by_content else item.problem
        if problem is None:
            items.append(item)
        elif item.identity:
            refused[item.key] = str(problem)
    if not items:
        raise UrfrError(f"expected images in {where}, but there is none{ignored.remark()}")
    items.sort(key=lambda item: (natural_key(item.identity), natural_key(item.key)))
    identity = np.array([item.identity for item in items])
    refused = dict(sorted(refused.items(), key=lambda row: natural_key(row[0])))
    images = Images(len(items), lambda: iter(items), ignored=ignored.sentence(), refused=refused)
    return images, identity, [item.key for item in items]


def _list_shards(data: str) -> tuple[Images, Names, list[str]]:
    import tensorflow as tf

    from urfr_tf import keys
    from urfr_tf.data import records

    manifest = load_manifest(data)
    paths = [plain_path(path) for path in manifest.shard_paths]

    def stream() -> Iterator[Item]:
        batches = iter(tf.data.TFRecordDataset(paths).batch(256).prefetch(1))
        while True:
            with records.name_damage(data):
                batch = next(batches, None)
                parsed = records.parse(batch) if batch is not None else {}
            if batch is None:
                return
            columns = {key: value.numpy() for key, value in parsed.items()}
            for row, image in enumerate(columns[keys.IMAGE]):
                points = columns[records.POINTS][row]
                identity, source = (
                    columns[key][row].decode("utf-8", "surrogateescape")
                    for key in (records.IDENTITY, records.SOURCE)
                )
                known = tuple(points.tolist()) if points.min() >= 0 else None
                yield Item(identity, source, content=image, points=known)

    names = [(item.identity, item.key) for item in stream()]
    images = Images(len(names), stream, aligned=True)
    return images, np.array([name for name, _ in names]), [key for _, key in names]


def generate_pairs(
    images: Images, identity: Names, seed: int = 0, name: str = "pairs", per_person: int = PER_PERSON
) -> Pairs:
    """Generates genuine and impostor pairs of labeled images, in ten folds; samples where they are many.

    A person gives `per_person` genuine pairs at most (0: all that there are), so that those of many images do
    not outweigh the others.

    With 20 people or more, people are dealt out over the folds and no pair crosses folds, so that a
    threshold is never chosen on anybody it is tested on. With fewer, an impostor pair belongs to the fold of
    the one person or the other in turn, and somebody may so be in two folds. In `counted`, every fold has as
    many impostor as genuine pairs, or as near as it gets.

    Raises:
        UrfrError: no person has two images, or there is one person only.
    """
    rng = np.random.default_rng(seed)
    names, codes = np.unique(identity, return_inverse=True)
    counts = np.bincount(codes)
    if len(names) < 2 or counts.max() < 2:
        what = "one person" if len(names) < 2 else "one image of each person"
        raise UrfrError(
            f"expected two people and a person with two images to make pairs, but there is {what}"
        )
    disjoint = len(names) >= 2 * FOLDS
    fold_of = np.empty(len(names), np.int64)
    # Those with the most images first, so that folds come out alike; equals in a random order.
    order = np.lexsort((rng.permutation(len(names)), -counts))
    fold_of[order] = np.arange(len(names)) % FOLDS
    genuine = _draw_genuine(codes, counts, per_person, rng)
    impostor = _draw_impostors(codes, fold_of if disjoint else None, rng)
    first, second = np.concatenate([genuine, impostor]).T
    same = np.arange(len(first)) < len(genuine)
    person = codes[first]
    if not disjoint:
        person[len(genuine) :: 2] = codes[second[len(genuine) :: 2]]
    fold = fold_of[person]
    counted = same.copy()
    for number in range(FOLDS):
        here = np.flatnonzero(~same & (fold == number))
        counted[rng.permutation(here)[: np.count_nonzero(same & (fold == number))]] = True
    facts: Facts = {"folds_disjoint_by_identity": disjoint, "seed": seed, "genuine_per_person": per_person}
    return Pairs(name, images, first, second, same, fold, identity, counted, facts)


def _draw_genuine(codes: Ints, counts: Ints, per_person: int, rng: np.random.Generator) -> Ints:
    """Pairs i < j of one person, int64 [P, 2], cut to `per_person` for each and `MOST_GENUINE` in all."""
    possible = counts * (counts - 1) // 2
    taken = np.minimum(possible, per_person) if per_person else possible
    if (total := int(taken.sum())) > MOST_GENUINE:
        drawn = rng.choice(total, MOST_GENUINE, replace=False)
        taken = np.bincount(np.searchsorted(np.cumsum(taken), drawn, side="right"), minlength=len(taken))
    order, starts = np.argsort(codes, kind="stable"), np.cumsum(counts) - counts
    blocks = []
    for person in np.flatnonzero(taken):
        if taken[person] == possible[person]:
            numbers = np.arange(taken[person])
        else:
            numbers = np.sort(rng.choice(possible[person], taken[person], replace=False))
        # Number n is the pair (n - k (k - 1) / 2, k) for the largest k whose pairs begin at n or before.
        high = ((1 + np.sqrt(1 + 8 * numbers.astype(np.float64))) / 2).astype(np.int64)
        low = numbers - high * (high - 1) // 2
        blocks.append(order[starts[person] + np.stack([low, high], axis=1)])
    return np.concatenate(blocks)


def _draw_impostors(codes: Ints, fold_of: Ints | None, rng: np.random.Generator) -> Ints:
    """Impostor pairs, within the folds of people where those are given; all, or a sample."""
    groups = [np.arange(len(codes))]
    if fold_of is not None:
        groups = [np.flatnonzero(fold_of[codes] == number) for number in range(FOLDS)]
    most = MOST_IMPOSTOR // len(groups)
    blocks = []
    for group in groups:
        count = len(group)
        if count * (count - 1) // 2 <= 2 * most:
            pairs = group[np.stack(np.triu_indices(count, 1), axis=1)]
        else:
            drawn = np.sort(group[rng.integers(0, count, [2 * most, 2])], axis=1)
            pairs = np.unique(drawn[drawn[:, 0] != drawn[:, 1]], axis=0)
        pairs = pairs[codes[pairs[:, 0]] != codes[pairs[:, 1]]]
        blocks.append(np.sort(pairs[rng.permutation(len(pairs))[:most]], axis=1))
    return np.concatenate(blocks)


def read_listed_pairs(name: str, images: Images, identity: Names, keys: list[str], pairs_file: str) -> Pairs:
    """The pairs of a file over named images; images that are in no pair are left out.

    A list may leave out the suffix of a name. It then means the image of that name, whatever text or video is
    beside it.

    Raises:
        UrfrError: the file cannot be read, has no heading or a bad line, or names an unknown image, or what
            could be several.
    """
    lines = read_pairs(pairs_file)
    find_row = _RowFinder(images, keys)
    rows = np.empty((len(lines), 2), np.int64)
    for number, line in enumerate(lines):
        for side, path in enumerate(line.paths):
            rows[number, side] = find_row(path, f"line {line.number} of {pairs_file}")
    used, inverse = np.unique(rows, return_inverse=True)
    inverse = inverse.reshape(rows.shape)
    same = np.array([line.same for line in lines])
    fold = np.array([line.fold for line in lines])
    return Pairs(
        name,
        select_images(images, used),
        inverse[:, 0],
        inverse[:, 1],
        same,
        fold,
        identity[used],
        np.ones(len(lines), bool),
        {
            "pairs_file": os.path.basename(pairs_file),
            **({"folds_dealt": "by label"} if lines[0].dealt else {}),
        },
    )


class _RowFinder:
    """Finds the image that a list names, with or without its suffix, in any Unicode form."""

    def __init__(self, images: Images, keys: list[str]) -> None:
        self._images, self._keys = images, keys
        self._by_key = NameTable((key, row) for row, key in enumerate(keys))
        self._by_stem = NameTable((os.path.splitext(key)[0], row) for row, key in enumerate(keys))

    def __call__(self, name: str, where: str) -> int:
        """The row of a named image.

        Raises:
            UrfrError: there is none, or several; `where` names it.
        """
        rows = self._by_key.find(name) or self._by_stem.find(name)
        if not rows:
            raise UrfrError(f"{where} names {name}, but the data has no image of that name")
        if len(rows) > 1:
            among = enumerate(self._images.stream())
            rows = [row for row, item in among if row in rows and why_no_image(item) is None] or rows
        if len(rows) > 1:
            could_be = " or ".join(self._keys[row] for row in rows[:2])
            raise UrfrError(f"{where} names {name}, which could be {could_be}; write the whole name")
        return rows[0]


def select_images(images: Images, rows: Ints) -> Images:
    """Selects only some of the images, by rising row."""
    selected = set(rows.tolist())
    return replace(
        images,
        count=len(rows),
        stream=lambda: (item for row, item in enumerate(images.stream()) if row in selected),
    )


class PairLine(NamedTuple):
    """A pair of images as a line of a file names it; `dealt`: the file does not say the fold."""

    number: int
    paths: tuple[str, str]
    same: bool
    fold: int
    dealt: bool = False


def read_pairs(path: str) -> list[PairLine]:
    """Reads the lines of a pairs file.

    In LFW's layout image n of NAME has the path NAME/NAME_000n, without its suffix.

    Raises:
        UrfrError: the file cannot be read, a heading is missing, or a line or their number is wrong.
    """
    with open_list(path) as file:
        lines = [line.rstrip("\n") for line in file]
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines or any(len(line) > _MOST_LINE for line in lines):
        raise UrfrError(f"expected lines of pairs in {path}, but it is {'no text' if lines else 'empty'}")
    heading = re.split(r"[\s,;]+", lines[0].strip())
    if 1 <= len(heading) <= 2 and all(word.isdigit() for word in heading):
        return _parse_lfw(path, lines, [int(word) for word in heading])
    table = []
    for number, (line, cells) in enumerate(_split_lines(lines, _is_pair), 1):
        if not _is_pair(cells):
            raise UrfrError(
                f"expected 'path TAB path TAB 0 or 1' in line {number} of {path}, or LFW's layout with its "
                f"heading 'folds TAB pairs' in line 1, but got {line[:80]!r}"
            )
        table.append(PairLine(number, (cells[0], cells[1]), cells[2].strip() == "1", 0))
    return _deal(table)


def _deal(table: list[PairLine]) -> list[PairLine]:
    folds = deal_folds([line.same for line in table], FOLDS).tolist()
    return [line._replace(fold=fold, dealt=True) for line, fold in zip(table, folds, strict=True)]


def _split_lines(lines: list[str], fits: Callable[[list[str]], bool]) -> Iterator[tuple[str, list[str]]]:
    """The lines with their cells; a line that is not as most of them are is looked at by itself."""
    usual = choose_delimiter(lines, _DELIMITERS, fits)
    for line in lines:
        cells = split_cells(line, usual)
        if not fits(cells):
            cells = split_cells(line, choose_delimiter([line], _DELIMITERS, fits))
        yield line, cells


def _is_pair(cells: list[str]) -> bool:
    return len(cells) == 3 and cells[2].strip() in ("0", "1")


def _is_lfw_pair(cells: list[str]) -> bool:
    numbers = cells[1:] if len(cells) == 3 else cells[1::2]
    return len(cells) in (3, 4) and all(number.isdigit() and len(number) < 10 for number in numbers)


def _parse_lfw(path: str, lines: list[str], heading: list[int]) -> list[PairLine]:
    folds, pairs = heading if len(heading) == 2 else (1, heading[0])
    if len(lines) - 1 != 2 * folds * pairs:
        raise UrfrError(
            f"expected {folds} x 2 x {pairs} pairs in {path}, as its heading says, "
            f"but got {len(lines) - 1} lines"
        )
    table = []
    for index, (line, cells) in enumerate(_split_lines(lines[1:], _is_lfw_pair)):
        same = index // pairs % 2 == 0
        numbers = cells[1:] if same else cells[1::2]
        if len(cells) != (3 if same else 4) or not _is_lfw_pair(cells):
            kind = "name TAB number TAB number" if same else "name TAB number TAB name TAB number"
            raise UrfrError(f"expected '{kind}' in line {index + 2} of {path}, but got {line[:80]!r}")
        names = (cells[0], cells[0]) if same else (cells[0], cells[2])
        first, second = (f"{n}/{n}_{int(k):04d}" for n, k in zip(names, numbers, strict=True))
        table.append(PairLine(index + 2, (first, second), same, index // (2 * pairs)))
    return table if folds > 1 else _deal(table)
