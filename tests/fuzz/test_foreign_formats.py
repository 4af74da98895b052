"""200 mutated files of every format that comes from outside; make fuzz reads 10,000 of each."""

import random
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from formats import FORMATS
from mutations import mutate
from run import fuzz

MUTATIONS, SEED = 200, 0
QUICK = [name for name, make in FORMATS.items() if name != "SavedModel"]


@pytest.fixture(scope="session")
def results(once):
    """Folder with a line of the failures of each format; one process reads all of them."""

    def read_all(folder):
        for number, result in enumerate(fuzz(QUICK, MUTATIONS, SEED, folder / "inputs")):
            counts = f"{result.read} {result.refused}"
            (folder / f"{QUICK.index(result.name)}.txt").write_text("\n".join([counts, *result.failures]))
            assert number < len(QUICK)

    return once("fuzz", read_all)


@pytest.mark.parametrize("name", QUICK)
def test_a_mutated_file_reads_or_is_refused_by_a_sentence(results, name):
    counts, *failures = (results / f"{QUICK.index(name)}.txt").read_text().splitlines()
    assert not failures, f"inputs in {results / 'inputs'}:\n" + "\n".join(failures)
    read, refused = map(int, counts.split())
    assert read + refused == MUTATIONS and refused > 0


def test_the_same_seed_gives_the_same_file():
    content = bytes(range(256)) * 4
    first, again = (mutate(content, random.Random(3)) for _ in range(2))
    assert first == again != content
    assert len({mutate(content, random.Random(seed)) for seed in range(50)}) > 45


BAD_TABLE = """
import json
import os
from pathlib import Path
import numpy
from urfr_tf.errors import UrfrError
from formats import Format

PRELOADED = ()

def read(folder):
    number = int((folder / "a").read_text())
    if number == 1:
        raise KeyError("not ours")
    if number == 2:
        os.abort()
    if number == 3:
        numpy.ones(2 << 30, numpy.uint8)
    if number == 4:
        raise UrfrError("")
    if number == 5:
        raise UrfrError("a sentence")

def make(folder):
    (folder / "a").write_text("0")

def change(folder, files, chance):
    (folder / "a").write_text(str(json.loads((folder.parent / "place").read_text())["number"]))

FORMATS = {"bad": lambda: Format(make, read, ("a",), change)}
"""


def test_what_counts_as_a_failure(tmp_path):
    """An exception, a crash, a hunger for memory, no sentence; what comes behind a crash is still read."""
    (tmp_path / "table.py").write_text(BAD_TABLE)
    (result,) = fuzz(["bad"], 8, 0, tmp_path / "inputs", table=tmp_path / "table.py")
    for number, words in ((1, "KeyError"), (2, "ended with -6"), (3, "MemoryError"), (4, "AssertionError")):
        assert any(f.startswith(f"bad {number}: ") and words in f for f in result.failures), result.failures
        assert (tmp_path / "inputs" / f"bad-{number}" / "a").read_text() == str(number)
    assert (len(result.failures), result.read, result.refused) == (4, 3, 1)
