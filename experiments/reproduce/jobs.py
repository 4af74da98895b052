"""Pieces of a long job: each a process of its own, done once, timed, and stopped when the time is up."""

import hashlib
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from urfr_tf.errors import UrfrError

REPOSITORY = Path(__file__).resolve().parents[2]
DONE, FAILED, STOPPED, WAITING, LATER = "done", "failed", "stopped", "waiting", "not begun"


@dataclass(frozen=True)
class Piece:
    """A command, `python WORDS`, that may be run again after an interruption.

    Attributes:
        name: of the piece, with slashes; its log is `logs/NAME.log`.
        words: arguments of Python.
        needs: pieces that must be done before.
    """

    name: str
    words: tuple[str, ...]
    needs: tuple[str, ...] = ()


class Ledger:
    """What is done, in `done/*.json`, and how long everything took, in `time.tsv`, below a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def is_done(self, piece: Piece, key: str) -> bool:
        """Whether the piece was done by this very command after these very pieces (`keys`)."""
        path = self._path(piece)
        return path.is_file() and json.loads(path.read_text(encoding="utf-8"))["key"] == key

    def finish(self, piece: Piece, key: str) -> None:
        """Notes that the piece is done."""
        path = self._path(piece)
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(".part")
        beside.write_text(json.dumps({"piece": piece.name, "key": key, "words": piece.words}, indent=1))
        os.replace(beside, path)

    def time(self, piece: Piece, began: str, seconds: float, outcome: str) -> None:
        """Adds a line to time.tsv: begin (UTC), piece, seconds, outcome."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "time.tsv"
        heading = "" if path.exists() else "began\tpiece\tseconds\toutcome\n"
        with open(path, "a", encoding="utf-8") as file:
            file.write(f"{heading}{began}\t{piece.name}\t{seconds:.1f}\t{outcome}\n")

    def _path(self, piece: Piece) -> Path:
        return self.folder / "done" / f"{piece.name.replace('/', '_')}.json"


def keys(pieces: Sequence[Piece]) -> dict[str, str]:
    """A hash of each piece's command and of all that it needs: what changes above, changes below."""
    found: dict[str, str] = {}
    for piece in pieces:
        parts = [*piece.words, *(found[name] for name in piece.needs)]
        found[piece.name] = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
    return found


def wanted(pieces: Sequence[Piece], names: Iterable[str]) -> list[Piece]:
    """The pieces of these names and all that they need, in the order of `pieces`."""
    by_name = {piece.name: piece for piece in pieces}
    chosen: set[str] = set()
    open_names = list(names)
    while open_names:
        name = open_names.pop()
        if name not in chosen:
            chosen.add(name)
            open_names.extend(by_name[name].needs)
    return [piece for piece in pieces if piece.name in chosen]


def run_pieces(
    pieces: Sequence[Piece], chosen: Sequence[Piece], folder: Path, seconds: float | None
) -> dict[str, str]:
    """Runs what is not done yet, in order; returns the pieces that are left, and why.

    A piece that fails is named with the end of its log; those that need it wait, the others go on. When the
    time is up, nothing more is begun, and the piece under way is told to stop: it goes on where it was when
    the command is given again.

    Args:
        pieces: the whole plan, for the keys. chosen: those to be run. folder: of ledger and logs.
        seconds: how long to work, or None for as long as it takes.
    """
    ledger, began = Ledger(folder), time.monotonic()
    key, finished, left = keys(pieces), set(), {}
    for number, piece in enumerate(chosen, 1):
        if ledger.is_done(piece, key[piece.name]):
            finished.add(piece.name)
            continue
        if missing := [name for name in piece.needs if name not in finished]:
            left[piece.name] = f"{WAITING} for {missing[0]}"
            continue
        remaining = None if seconds is None else seconds - (time.monotonic() - began)
        if remaining is not None and remaining <= 0:
            left[piece.name] = LATER
            continue
        outcome = _run(piece, ledger, f"[{number} of {len(chosen)}]", remaining)
        if outcome == DONE:
            ledger.finish(piece, key[piece.name])
            finished.add(piece.name)
        else:
            left[piece.name] = outcome
    _tell(left)
    print(f"{len(finished)} of {len(chosen)} pieces are done; times in {folder / 'time.tsv'}", flush=True)
    return left


def check_sources(
    pieces: Sequence[Piece],
    chosen: Sequence[Piece],
    folder: Path,
    sources: Mapping[str, str | None],
    always: Iterable[str] = (),
) -> None:
    """Whether the files from outside are there that the pieces still to be run have in their commands.

    Args:
        pieces, chosen, folder: as `run_pieces` takes them. sources: name of the option -> path, or None.
        always: names of sources that must be there in any case, where they have a path.

    Raises:
        UrfrError: one is not; no piece has run then.
    """
    ledger, key = Ledger(folder), keys(pieces)
    words = {word for piece in chosen if not ledger.is_done(piece, key[piece.name]) for word in piece.words}
    for name, path in sources.items():
        if path and (path in words or name in always) and not Path(path).exists():
            raise UrfrError(f"expected a file or folder for --{name}, but there is nothing at {path}")


def environment() -> dict[str, str]:
    """The environment of a child, which finds this repository's modules from any working folder."""
    paths = [part for part in (str(REPOSITORY), os.environ.get("PYTHONPATH", "")) if part]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def _tell(left: dict[str, str]) -> None:
    """What failed or was stopped, a line each; the many that wait for them, in one."""
    waiting = [name for name, why in left.items() if why not in (FAILED, STOPPED)]
    for name, why in left.items():
        if name not in waiting:
            print(f"left: {name}: {why}")
    if waiting:
        print(f"left: {len(waiting)} more that wait for these or were not begun, from {waiting[0]} on")


def _run(piece: Piece, ledger: Ledger, place: str, remaining: float | None) -> str:
    log = ledger.folder / "logs" / f"{piece.name.replace('/', '_')}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    began, clock = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"), time.monotonic()
    print(f"{place} {piece.name}: python {shlex.join(piece.words)}", flush=True)
    with open(log, "ab") as file:
        process = subprocess.Popen(
            [sys.executable, *piece.words], stdout=file, stderr=subprocess.STDOUT, env=environment()
        )
        try:
            outcome = FAILED if process.wait(remaining) else DONE
        except subprocess.TimeoutExpired:
            outcome = STOPPED
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
    seconds = time.monotonic() - clock
    ledger.time(piece, began, seconds, outcome)
    print(f"    {outcome} after {seconds:.0f} s", flush=True)
    if outcome == FAILED:
        tail = log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:]
        print("\n".join(f"    | {line}" for line in [*tail, str(log)]), flush=True)
    return outcome
