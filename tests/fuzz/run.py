"""The process that reads mutated files, and the one that watches over it.

A mutated file may crash the process that reads it. So a child reads, and writes down before each file which
one it is. When it dies, the parent counts this file as a failure and starts a child that goes on behind it.
"""

import contextlib
import faulthandler
import importlib.util
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TABLE = Path(__file__).with_name("formats.py")

MEMORY = 1 << 30
"""Bytes that reading one small file may take."""
PATIENCE = 60.0
"""Seconds after which a reader counts as hanging; a whole file takes milliseconds."""
LONGEST_SENTENCE = 2000
MOST_FAILURES = 20
_SLOW_SHARE = 20


@dataclass
class Result:
    """What became of the mutations of one format."""

    name: str
    read: int = 0
    refused: int = 0
    seconds: float = 0.0
    failures: list[str] = field(default_factory=list)

    def add(self, report: dict[str, Any]) -> None:
        """Adds the counts of a child."""
        self.read += report["read"]
        self.refused += report["refused"]
        self.seconds += report["seconds"]

    def line(self) -> str:
        """One line for people."""
        words = f"{self.read} read, {self.refused} refused, {len(self.failures)} failed"
        return f"{self.name:24} {words}, {self.seconds:.1f} s"


def fuzz(
    names: Sequence[str], mutations: int, seed: int, failures: Path, first: int = 0, table: Path = TABLE
) -> Iterator[Result]:
    """Runs the mutations of formats one after the other in a child, and gives the result of each.

    `table` is the module that holds the formats.
    """
    waiting = [[name, first] for name in names]
    results = {name: Result(name) for name in names}
    while waiting:
        with tempfile.TemporaryDirectory(prefix="urfr-fuzz-", dir=_find_scratch()) as work:
            request = {
                "waiting": waiting,
                "mutations": mutations,
                "first": first,
                "seed": seed,
                "work": work,
                "table": str(table),
            }
            yield from _watch(request, waiting, results, failures)


def _find_scratch() -> str | None:
    """Memory, where there is a file system in it: some disks flush every file that is written anew."""
    return "/dev/shm" if os.path.isdir("/dev/shm") and os.access("/dev/shm", os.W_OK) else None


def _watch(
    request: dict[str, object], waiting: list[list[object]], results: dict[str, Result], failures: Path
) -> Iterator[Result]:
    """Follows one child until it has done everything or dies."""
    child = subprocess.Popen(
        [sys.executable, str(Path(__file__).resolve()), json.dumps({**request, "failures": str(failures)})],
        stdout=subprocess.PIPE,
        stderr=open(Path(str(request["work"])) / "stderr", "wb"),  # noqa: SIM115 (the child's own)
        text=True,
    )
    assert child.stdout is not None
    for line in child.stdout:
        if not line.startswith("{"):
            continue  # of a library
        report = json.loads(line)
        result = results[report["name"]]
        if "failure" in report:
            result.failures.append(report["failure"])
            continue
        result.add(report)
        waiting.pop(0)
        yield result
    if child.wait() and waiting:
        result = results[str(waiting[0][0])]
        _note_crash(Path(str(request["work"])), child.returncode, waiting, result, failures)
        if not any(name == result.name for name, _ in waiting):
            yield result


def _note_crash(work: Path, code: int, waiting: list[list[object]], result: Result, failures: Path) -> None:
    """Counts the file that the child died of, and sets the next one as the first to go on with."""
    place = json.loads((work / "place").read_text())
    name, number = place["name"], place["number"]
    result.add(place)
    complaint = (work / "stderr").read_text(errors="replace").strip().splitlines()
    words = next(
        (line for line in complaint if "Timeout" in line or "atal" in line), " ".join(complaint[-3:])
    )
    result.failures.append(f"{name} {number}: the process ended with {code}: {words[-300:]}")
    if number >= 0:
        keep(work / "files", failures, name, number)
    waiting[0] = [name, number + 1]
    if number < 0 or len(result.failures) > MOST_FAILURES:
        result.failures.append(f"{name}: the rest was left out")
        waiting.pop(0)


def keep(folder: Path, failures: Path, name: str, number: int) -> Path:
    """Copies the files of a failure out of the working folder."""
    target = failures / f"{name.replace(' ', '-').replace(',', '')}-{number}"
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(folder, target)
    return target


def read_all(request: dict[str, object]) -> None:
    """The child: every mutation of every format, one line of JSON for each format."""
    spec = importlib.util.spec_from_file_location("table", str(request["table"]))
    table = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(table)
    for module in table.PRELOADED:
        importlib.import_module(module)
    work = Path(str(request["work"]))
    waiting: list[tuple[str, int]] = request["waiting"]
    warnings.simplefilter("ignore")
    for name, first in waiting:
        file_format = table.FORMATS[name]()
        last = int(request["first"]) + int(request["mutations"]) // (_SLOW_SHARE if file_format.slow else 1)
        report = read_format(name, file_format, range(first, last), request, work)
        print(json.dumps(report), flush=True)


def read_format(
    name: str, file_format: Any, numbers: range, request: dict[str, object], work: Path
) -> dict[str, Any]:
    """All mutations of one format; gives the counts, and prints each failure at once."""
    whole, files = work / "whole", work / "files"
    for folder in (whole, files):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
    report = {"name": name, "number": -1, "read": 0, "refused": 0, "seconds": 0.0}
    begin, failed = time.monotonic(), 0
    note_place(work, report)
    file_format.make(whole)
    shutil.copytree(whole, files, dirs_exist_ok=True)
    assert (refusal_of(file_format, files) is None) == file_format.valid, f"the whole {name}"
    limit_memory()
    armed = 0.0
    for number in numbers:
        if time.monotonic() > armed + 1:  # Not for each file: it starts a thread.
            armed = time.monotonic()
            faulthandler.dump_traceback_later(PATIENCE, exit=True)
        report.update(number=number, seconds=time.monotonic() - begin)
        note_place(work, report)
        for file in file_format.files:
            shutil.copyfile(whole / file, files / file)
        chance = random.Random(zlib.crc32(f"{request['seed']} {name} {number}".encode()))
        file_format.change(files, file_format.files, chance)
        try:
            report["read" if refusal_of(file_format, files) is None else "refused"] += 1
        except Exception as error:
            keep(files, Path(str(request["failures"])), name, number)
            print(json.dumps({"name": name, "failure": f"{name} {number}: {describe(error)}"}), flush=True)
            failed += 1
            if failed >= MOST_FAILURES:
                break
    faulthandler.cancel_dump_traceback_later()
    report["seconds"] = time.monotonic() - begin
    return report


def note_place(work: Path, report: dict[str, Any]) -> None:
    """Writes down which file comes next, and what became of those before it."""
    (work / "place").write_text(json.dumps(report))


def refusal_of(file_format: Any, folder: Path) -> str | None:
    """The sentence by which files are refused, or None where they are read.

    Raises:
        AssertionError: it is no sentence.
        Exception: whatever else than a refusal the reader raises.
    """
    from urfr_tf.errors import UrfrError

    try:
        with contextlib.redirect_stdout(sys.stderr):
            file_format.read(folder)
    except UrfrError as refusal:
        sentence = str(refusal)
        assert sentence and len(sentence) <= LONGEST_SENTENCE, f"a sentence of {len(sentence)} characters"
        assert len(sentence.splitlines()) == 1, f"a sentence of many lines: {sentence!r}"
        assert "Traceback" not in sentence, sentence
        return sentence
    return None


def limit_memory() -> None:
    """Lets this process grow by `MEMORY` from here on; what asks for more gets a MemoryError, or ends it."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))


def describe(error: Exception) -> str:
    """Kind and text of an exception, and where it was raised."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "tests/fuzz" not in f.filename]
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "here"
    ours = [f for f in frames if "urfr_tf" in f.filename]
    our_place = f", from {Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else ""
    return f"{type(error).__name__} at {place}{our_place}: {str(error)[:200]!r}"


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    faulthandler.enable()
    read_all(json.loads(sys.argv[1]))
