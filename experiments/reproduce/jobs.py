"""Jobs of a long job: each a process of its own, done once, timed, and stopped when the time is up."""

import hashlib
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from urfr_tf.errors import UrfrError

REPOSITORY = Path(__file__).resolve().parents[2]
DONE, FAILED, STOPPED, WAITING, LATER = "done", "failed", "stopped", "waiting", "not begun"


@dataclass(frozen=True)
class Job:
    """A command, `python WORDS`, that may be run again after an interruption.

    Attributes:
        name: of the job, with slashes; its log is `logs/NAME.log`.
        words: arguments of Python.
        needs: jobs that must be done before.
    """

    name: str
    words: tuple[str, ...]
    needs: tuple[str, ...] = ()


class Ledger:
    """What is done, in `done/*.json`, and how long everything took, in `time.tsv`, below a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def is_done(self, job: Job, key: str) -> bool:
        """Whether the job was done by this very command after these very jobs (`keys`)."""
        path = self._path(job)
        return path.is_file() and json.loads(path.read_text(encoding="utf-8"))["key"] == key

    def finish(self, job: Job, key: str) -> None:
        """Notes that the job is done."""
        path = self._path(job)
        path.parent.mkdir(parents=True, exist_ok=True)
        tmp_path = path.with_suffix(".tmp")
        tmp_path.write_text(json.dumps({"job": job.name, "key": key, "words": job.words}, indent=1))
        os.replace(tmp_path, path)

    def time(self, job: Job, began: str, seconds: float, outcome: str) -> None:
        """Adds a line to time.tsv: begin (UTC), job, seconds, outcome."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "time.tsv"
        heading = "" if path.exists() else "began\tjob\tseconds\toutcome\n"
        with open(path, "a", encoding="utf-8") as file:
            file.write(f"{heading}{began}\t{job.name}\t{seconds:.1f}\t{outcome}\n")

    def _path(self, job: Job) -> Path:
        return self.folder / "done" / f"{job.name.replace('/', '_')}.json"


def hash_jobs(jobs: Sequence[Job]) -> dict[str, str]:
    """A hash of each job's command and of all that it needs: what changes above, changes below."""
    hashes: dict[str, str] = {}
    for job in jobs:
        hashed_texts = [*job.words, *(hashes[name] for name in job.needs)]
        hashes[job.name] = hashlib.sha256("\0".join(hashed_texts).encode()).hexdigest()[:16]
    return hashes


def select_jobs(jobs: Sequence[Job], names: Iterable[str]) -> list[Job]:
    """The jobs of these names and all that they need, in the order of `jobs`."""
    by_name = {job.name: job for job in jobs}
    chosen: set[str] = set()
    open_names = list(names)
    while open_names:
        name = open_names.pop()
        if name not in chosen:
            chosen.add(name)
            open_names.extend(by_name[name].needs)
    return [job for job in jobs if job.name in chosen]


def run_jobs(
    jobs: Sequence[Job], chosen: Sequence[Job], folder: Path, seconds: float | None
) -> dict[str, str]:
    """Runs what is not done yet, in order; returns the jobs that are left, and why.

    A job that fails is named with the end of its log; those that need it wait, the others go on. When the
    time is up, nothing more is begun, and the job under way is told to stop: it goes on where it was when
    the command is given again.

    Args:
        jobs: the whole plan, for the keys. chosen: those to be run. folder: of ledger and logs.
        seconds: how long to work, or None for as long as it takes.
    """
    ledger, began = Ledger(folder), time.monotonic()
    key, finished, left = hash_jobs(jobs), set(), {}
    for number, job in enumerate(chosen, 1):
        if ledger.is_done(job, key[job.name]):
            finished.add(job.name)
            continue
        if missing := [name for name in job.needs if name not in finished]:
            left[job.name] = f"{WAITING} for {missing[0]}"
            continue
        remaining = None if seconds is None else seconds - (time.monotonic() - began)
        if remaining is not None and remaining <= 0:
            left[job.name] = LATER
            continue
        outcome = _run(job, ledger, f"[{number} of {len(chosen)}]", remaining)
        if outcome == DONE:
            ledger.finish(job, key[job.name])
            finished.add(job.name)
        else:
            left[job.name] = outcome
    _tell(left)
    print(f"{len(finished)} of {len(chosen)} jobs are done; times in {folder / 'time.tsv'}", flush=True)
    return left


def check_sources(
    jobs: Sequence[Job],
    chosen: Sequence[Job],
    folder: Path,
    sources: Mapping[str, str | None],
    always: Iterable[str] = (),
) -> None:
    """Whether the files from outside are there that the jobs still to be run have in their commands.

    Args:
        jobs, chosen, folder: as `run_jobs` takes them. sources: name of the option -> path, or None.
        always: names of sources that must be there in any case, where they have a path.

    Raises:
        UrfrError: one is not; no job has run then.
    """
    ledger, key = Ledger(folder), hash_jobs(jobs)
    words = {word for job in chosen if not ledger.is_done(job, key[job.name]) for word in job.words}
    for name, path in sources.items():
        if path and (path in words or name in always) and not Path(path).exists():
            raise UrfrError(f"expected a file or folder for --{name}, but there is nothing at {path}")


def environment() -> dict[str, str]:
    """The environment of a child, which finds this repository's modules from any working folder."""
    paths = [path for path in (str(REPOSITORY), os.environ.get("PYTHONPATH", "")) if path]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def _tell(left: dict[str, str]) -> None:
    """What failed or was stopped, a line each; the many that wait for them, in one."""
    waiting = [name for name, why in left.items() if why not in (FAILED, STOPPED)]
    for name, why in left.items():
        if name not in waiting:
            print(f"left: {name}: {why}")
    if waiting:
        print(f"left: {len(waiting)} more that wait for these or were not begun, from {waiting[0]} on")


def _run(job: Job, ledger: Ledger, place: str, remaining: float | None) -> str:
    log = ledger.folder / "logs" / f"{job.name.replace('/', '_')}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    began, clock = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), time.monotonic()
    print(f"{place} {job.name}: python {shlex.join(job.words)}", flush=True)
    with open(log, "ab") as file:
        process = subprocess.Popen(
            [sys.executable, *job.words], stdout=file, stderr=subprocess.STDOUT, env=environment()
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
    ledger.time(job, began, seconds, outcome)
    print(f"    {outcome} after {seconds:.0f} s", flush=True)
    if outcome == FAILED:
        tail = log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:]
        print("\n".join(f"    | {line}" for line in [*tail, str(log)]), flush=True)
    return outcome
