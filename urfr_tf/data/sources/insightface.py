"""InsightFace's training sets: train.rec, train.idx and property, read without MXNet.

A record of train.rec (dmlc RecordIO) is: magic 0xced7230a, a word whose upper 3 bits say which fragment of
a split record this is and whose lower 29 give the length, the payload, padding to 4 bytes. A payload
starts with MXNet's image header: flag, label, two ids; flag > 0 means that many further labels. Records
without an image (the first one and those that name a person's range) are passed over.

A label is a whole number, not always one of 0 ... C - 1: sets from which people were taken out have gaps.
The file `property` says how many people there are. Where the records have more labels than that, those from
C on are garbage and refused.
"""

import math
import os
import struct
from collections import Counter
from collections.abc import Container, Iterator
from functools import lru_cache

from urfr_tf.data.headers import ImageError
from urfr_tf.data.sources.item import Item
from urfr_tf.errors import UrfrError

_MAGIC = 0xCED7230A
_LENGTH = (1 << 29) - 1
_HEADER = struct.Struct("<IfQQ")
_MOST_LABELS = 64
_MOST_LABEL = 1 << 24  # a label is a float of 32 bits, which tells whole numbers apart up to here
_MOST_FRAGMENTS = 64
_COUNTED_PROBLEMS = 10_000


def survey(path: str) -> dict[str, int]:
    """Identity (the label as a number) -> number of its images; reads every record's header once.

    Raises:
        UrfrError: a file is missing or train.idx is not what it should be.
    """
    people: Counter[str] = Counter()
    problems: Counter[str] = Counter()
    refused = 0
    for item in _records(path):
        if item.problem is None:
            people[item.identity] += 1
        else:
            refused += 1
            if refused <= _COUNTED_PROBLEMS:  # each may be another sentence
                problems[str(item.problem)] += 1
    if not people:
        reasons = "; ".join(f"{count} {problem}" for problem, count in problems.most_common(3))
        found = f"all {refused} are refused ({reasons})" if refused else "found none"
        raise UrfrError(f"expected records with images in {path}, but {found}")
    return dict(people)


def items(path: str, keep: Container[str]) -> Iterator[Item]:
    """The images of the people in `keep` in the order of train.idx; broken records have a problem."""
    return (item for item in _records(path) if item.identity in keep or item.problem is not None)


def _records(path: str) -> Iterator[Item]:
    if os.path.isdir(path):
        path = os.path.join(path, "train.rec")
    stem = os.path.splitext(path)[0]
    classes = _classes(os.path.join(os.path.dirname(stem), "property"))
    limit = None
    for item in _read_records(stem):
        if item.problem is None and int(item.identity) >= classes:
            limit = _find_limit(stem, classes) if limit is None else limit
        if limit is not None and item.problem is None and int(item.identity) >= limit:
            why = f"label {item.identity}, where property has {limit} people and the records have more"
            item = Item("", item.key, problem=ImageError("broken record", why))
        yield item


def _read_records(stem: str) -> Iterator[Item]:
    """Every record with an image, whatever whole number its label is."""
    records, index = _files(stem)
    try:
        with open(records, "rb", buffering=0) as rec, open(index, "rb") as idx:
            for number, line in enumerate(idx, 1):
                fields = line.split()
                if len(fields) != 2 or not all(f.isdigit() and len(f) < 20 for f in fields):
                    raise UrfrError(f"expected 'number TAB offset' in line {number} of {index}")
                item = _record(rec.fileno(), records, fields[0].decode(), int(fields[1]))
                if item is not None:
                    yield item
    except OSError as error:
        raise UrfrError(f"expected {records} and {index}: {error.filename} {error.strerror}") from error


def _find_limit(stem: str, classes: float) -> float:
    """The label from which on labels are garbage; none where `property` has people enough for all of them.

    It costs a pass over the headers, so it is asked only where a label is not among the first `classes`.
    """
    try:
        states = tuple((status.st_mtime_ns, status.st_size) for status in map(os.stat, _files(stem)))
    except OSError:  # said by whoever reads them
        return math.inf
    return math.inf if _count_labels(stem, states) <= classes else classes


@lru_cache(maxsize=4)
def _count_labels(stem: str, states: tuple[tuple[int, int], ...]) -> int:
    """How many labels the records have; the headers are read once for each state of the files."""
    return len({item.identity for item in _read_records(stem) if item.problem is None})


def _files(stem: str) -> tuple[str, str]:
    return stem + ".rec", stem + ".idx"


def _classes(path: str) -> float:
    """The number of people that the file `property` promises; without the file any label is taken."""
    try:
        with open(path, encoding="ascii") as file:
            return int(file.read(64).split(",")[0])
    except (OSError, ValueError):
        return math.inf


def _record(rec: int, path: str, key: str, offset: int) -> Item | None:
    try:
        fragment, length = _fragment_header(rec, offset)
        head = os.pread(rec, _HEADER.size, offset + 8)
        flag, label, _, _ = _HEADER.unpack(head)
        if flag > _MOST_LABELS:
            raise ValueError(f"{flag} labels")
        skip = _HEADER.size + 4 * flag
        if flag:
            (label,) = struct.unpack("<f", os.pread(rec, 4, offset + 8 + _HEADER.size))
        if length <= skip and fragment == 0:
            return None
        if not (label == int(label) and 0 <= label < _MOST_LABEL):
            raise ValueError(f"label {label:g}")
        identity = str(int(label))
        if fragment == 0:
            return Item(identity, key, path, offset + 8 + skip, length - skip)
        return Item(identity, key, content=_joined(rec, offset)[skip:])
    except (ValueError, OverflowError, struct.error) as error:
        return Item("", key, problem=ImageError("broken record", str(error)))


def _fragment_header(rec: int, offset: int) -> tuple[int, int]:
    magic, word = struct.unpack("<II", os.pread(rec, 8, offset))
    if magic != _MAGIC:
        raise ValueError("no record begins there")
    return word >> 29, word & _LENGTH


def _joined(rec: int, offset: int) -> bytes:
    """A record that was split (fragments 1, 2 ... 2, 3) because its payload holds the magic number."""
    pieces: list[bytes] = []
    for _ in range(_MOST_FRAGMENTS):
        fragment, length = _fragment_header(rec, offset)
        if fragment != (2 if pieces else 1) and not (pieces and fragment == 3):
            raise ValueError(f"fragment {fragment} at a place where it cannot be")
        piece = os.pread(rec, length, offset + 8)
        if len(piece) != length:
            raise ValueError("the file ends inside the record")
        pieces.append(piece)
        if fragment == 3:
            return struct.pack("<I", _MAGIC).join(pieces)
        offset += 8 + (length + 3) // 4 * 4
    raise ValueError(f"more than {_MOST_FRAGMENTS} fragments")
