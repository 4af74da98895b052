"""Celebrities in Frontal-Profile in its published layout, a folder or a tar archive.

`Protocol/Pair_list_F.txt` and `Pair_list_P.txt` number the images (`1 ../Data/Images/001/frontal/01.jpg`);
`Protocol/Split/FF/01/same.txt` and `diff.txt` hold lines `a,b` of those numbers: frontal and frontal in FF,
frontal and profile in FP. (Sengupta et al., "Frontal to profile face verification in the wild", WACV 2016.)
"""

import re

import numpy as np

from urfr_tf.data.headers import ImageError
from urfr_tf.data.sources import cfp
from urfr_tf.data.sources.archive import files
from urfr_tf.data.sources.item import read_item
from urfr_tf.data.text_lists import decode_list
from urfr_tf.data.tree import Ignored
from urfr_tf.errors import UrfrError
from urfr_tf.protocols.pairs import Everyone, list_items
from urfr_tf.protocols.protocol import PairLists, Pairs

_MOST_BYTES = 16 * 1024 * 1024
_SPLIT = re.compile(r"Split/(FF|FP)/([0-9]{1,4})/(same|diff)\.txt")


def open_cfp(data: str) -> PairLists:
    """Both experiments, `ff` and `fp`, over the images that they name; folds are those that are there.

    Raises:
        UrfrError: no lists, a fold without same.txt or diff.txt, a bad line, an image that is missing.
    """
    texts = _read_protocol_files(data)
    numbered = {kind: _number_images(texts, kind, data) for kind in ("F", "P")}
    ignored = Ignored()
    images, identity, keys = list_items(cfp.items(data, Everyone(), ignored), data, ignored)
    place = {key: row for row, key in enumerate(keys)}
    by_list = {}
    for experiment, kinds in (("FF", ("F", "F")), ("FP", ("F", "P"))):
        lists = [numbered[kind] for kind in kinds]
        rows, same, fold = [], [], []
        for number, text in sorted(_read_folds(texts, experiment, data).items()):
            for answer in ("same", "diff"):
                listing = f"{experiment}/{number}/{answer}.txt in {data}"
                for line, pair in enumerate(_parse_lines(text[answer], listing), 1):
                    where = f"line {line} of {listing}"
                    rows.append(
                        [_find_row(i, names, place, where) for i, names in zip(pair, lists, strict=True)]
                    )
                    same.append(answer == "same")
                    fold.append(int(number))
        first, second = np.array(rows, np.int64).T
        name, counted = experiment.lower(), np.ones(len(rows), bool)
        by_list[name] = Pairs(
            f"cfp-{name}", images, first, second, np.array(same), np.array(fold), identity, counted
        )
    return PairLists("cfp", images, by_list)


def _read_protocol_files(data: str) -> dict[str, list[str]]:
    """Name -> lines."""
    texts = {}
    for item in files(data, _MOST_BYTES):
        _, separator, name = f"/{item.key}".rpartition("/Protocol/")
        if separator and item.problem is None:
            try:
                texts[name] = decode_list(read_item(item, _MOST_BYTES), f"Protocol/{name} in {data}")
            except ImageError as refusal:
                raise UrfrError(f"could not read Protocol/{name} in {data}: {refusal}") from refusal
    return texts


def _number_images(texts: dict[str, list[str]], kind: str, data: str) -> dict[int, str]:
    name = f"Pair_list_{kind}.txt"
    if name not in texts:
        raise UrfrError(f"expected CFP's Protocol/{name} in {data}, but it is not there")
    names = {}
    for line in texts[name]:
        if not line.strip():
            continue
        number, _, path = line.strip().partition(" ")
        if not number.isdigit() or "/Images/" not in path:
            raise UrfrError(
                f"expected 'number ../Data/Images/...' in {name} of {data}, but got {line[:80]!r}"
            )
        names[int(number)] = path.strip().rpartition("/Images/")[2]
    return names


def _read_folds(texts: dict[str, list[str]], experiment: str, data: str) -> dict[str, dict[str, list[str]]]:
    folds: dict[str, dict[str, list[str]]] = {}
    for name, text in texts.items():
        match = _SPLIT.fullmatch(name)
        if match and match[1] == experiment:
            folds.setdefault(match[2], {})[match[3]] = text
    for number, fold in folds.items():
        if len(fold) != 2:
            missing = "diff" if "same" in fold else "same"
            raise UrfrError(
                f"expected Protocol/Split/{experiment}/{number}/{missing}.txt in {data}, but it is not there"
            )
    if not folds:
        raise UrfrError(
            f"expected CFP's Protocol/Split/{experiment}/01/same.txt and so on in {data}, but found none"
        )
    return folds


def _parse_lines(lines: list[str], where: str) -> list[tuple[int, int]]:
    pairs = []
    for word in (word for line in lines for word in line.split()):
        a, comma, b = word.partition(",")
        if not (comma and a.isdigit() and b.isdigit()):
            raise UrfrError(f"expected lines 'number,number' in {where}, but got {word[:80]!r}")
        pairs.append((int(a), int(b)))
    return pairs


def _find_row(number: int, names: dict[int, str], place: dict[str, int], where: str) -> int:
    if number not in names or names[number] not in place:
        missing = names.get(number, f"number {number}")
        raise UrfrError(f"{where} names {missing}, but the data has no such image")
    return place[names[number]]
