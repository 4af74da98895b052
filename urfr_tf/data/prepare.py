"""`urfr prepare`: any source -> a folder of shards with a manifest.

In order: survey the source, read and crop every image over all cores into the journal, refuse
duplicates, number the people, write the shards, write the manifest. Whatever stops it, the same call
continues and leaves the same bytes; memory does not grow with the number of images.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2

from urfr_tf.data import shards as output
from urfr_tf.data.aligned import crop_groups
from urfr_tf.data.crops import Crop, CropSettings, order_of
from urfr_tf.data.journal import Journal, tally
from urfr_tf.data.progress import Progress
from urfr_tf.data.sources import Source, choose_identities
from urfr_tf.data.sources.item import Item, natural_key
from urfr_tf.errors import UrfrError
from urfr_tf.files import disk_error, read_json

WORK = ".prepare"
_WALKED = ("folder", "lfw", "cfp")  # sources that would find the shards among their files
_BATCH = 1024


@dataclass(frozen=True)
class Job:
    """What to prepare; two jobs that differ in any field may not share a folder.

    Attributes:
        source: where photographs come from.
        crop: how they become crops.
        identities: slice A:B over the sorted people, or None for all.
        shards: number of shards, or None: one for 32 images up to 8, above 400,000 images one for 50,000.
    """

    source: Source
    crop: CropSettings
    identities: str | None = None
    shards: int | None = None

    def settings(self) -> dict[str, Any]:
        """All of it as JSON, the words of `--option`."""
        return {
            "source": self.source.kind,
            "path": self.source.path,
            "identities": self.identities,
            "shards": self.shards,
            **asdict(self.crop),
        }


def prepare(job: Job, out: str, say: Callable[[str], None] = print) -> Path:
    """Prepares a source into the folder `out`; does nothing where that is already done.

    Args:
        job: what to prepare.
        out: folder for the shards; made when missing.
        say: takes sentences for the user.

    Returns:
        The path of manifest.json.

    Raises:
        UrfrError: nothing usable in the source, fewer than two people, `out` holds something else, or
            the disk is full.
    """
    cv2.setNumThreads(1)  # The pool below keeps every core busy; OpenCV's own threads would only wait.
    folder = Path(out)
    manifest = folder / output.MANIFEST
    work = folder / WORK
    if manifest.exists():
        _check_same(read_json(manifest).get("settings"), job, folder)
        _check_shards(read_json(manifest), folder)
        shutil.rmtree(work, ignore_errors=True)
        say(f"{folder} is prepared from {job.source.path} already; nothing to do (delete it to do it again)")
        return manifest
    _check_place(folder, job.source.kind, job.source.path)
    existed = folder.exists()
    journal = Journal(work)
    try:
        if (stored := journal.fact("settings")) is not None:
            _check_same(json.loads(stored), job, folder)
        if journal.fact("complete") is None:
            _read_all(job, journal, say)
            journal.refuse_duplicates()
            _check_counts(journal, job)
            journal.set_fact("complete", "yes")
        journal.shards = int(journal.fact("shards") or 1)
        _write_all(job, journal, folder, say)
    except UrfrError as error:
        worthless = isinstance(error, EmptySourceError) or not journal.rows()
        journal.close()
        if worthless:
            shutil.rmtree(work, ignore_errors=True)
            if not existed:
                folder.rmdir()
        raise
    finally:
        journal.close()
    shutil.rmtree(work, ignore_errors=True)
    return manifest


class EmptySourceError(UrfrError):
    """The source has too little to prepare; what was read of it is worth nothing."""


def default_shards(images: int) -> int:
    """One shard for 32 images, up to 8; from 400,000 images on, one for 50,000."""
    return max(1, min(8, images // 32), images // 50_000)


def _read_all(job: Job, journal: Journal, say: Callable[[str], None]) -> None:
    """Every image of the chosen people into the journal, except for those that it knows."""
    survey = job.source.survey()
    people = choose_identities(list(survey), job.identities)
    total = sum(survey[name] for name in people)
    if len(people) < 2:
        chosen = f" with --identities {job.identities}" if job.identities else ""
        raise UrfrError(f"expected at least two people in {job.source.path}{chosen}, but got one")
    if journal.fact("shards") is None:
        journal.set_fact("shards", str(job.shards or default_shards(total)))
        journal.set_fact("settings", json.dumps(job.settings()))
    journal.shards = int(journal.fact("shards") or 1)
    done = journal.rows()
    if done:
        say(f"continuing: {done} of {total} images are done")
    progress = Progress(total, done)
    workers = os.cpu_count() or 1
    pending: set[bytes] = set()
    with ThreadPoolExecutor(workers) as pool:
        try:
            fresh = _unknown(job.source.items(set(people)), journal, pending)
            batch: list[Crop] = []
            for group in crop_groups(fresh, job.crop, pool, ahead=8 * workers):
                batch.extend(group)
                progress.add(len(group))
                if len(batch) >= _BATCH:
                    _commit(batch, journal, pending)
            _commit(batch, journal, pending)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    progress.close()


def _unknown(items: Iterable[Item], journal: Journal, pending: set[bytes]) -> Iterator[Item]:
    """The items that are neither in the journal nor on their way to it; a list may name one twice."""
    for item in items:
        order = order_of(item.identity, item.key)
        if order not in pending and not journal.knows(order):
            pending.add(order)
            yield item


def _commit(batch: list[Crop], journal: Journal, pending: set[bytes]) -> None:
    """Adds whole groups to the journal: see `aligned` for why a group is never split."""
    journal.add(batch)
    pending.difference_update(crop.order for crop in batch)
    batch.clear()


def _write_all(job: Job, journal: Journal, folder: Path, say: Callable[[str], None]) -> None:
    """Numbers the people and writes the shards that are not there yet, the lists and the manifest."""
    counts = dict(sorted(journal.counts().items(), key=lambda row: natural_key(row[0])))

    labels = {name: label for label, name in enumerate(counts)}
    finished = journal.finished_shards()
    for shard in range(journal.shards):
        if shard not in finished:
            path = folder / output.shard_name(shard, journal.shards)
            entry = output.write_shard(path, journal.crops(shard), labels)
            journal.finish_shard(shard, entry["records"], entry["bytes"], entry["sha256"])
    entries = [
        output.shard_entry(output.shard_name(shard, journal.shards), *row)
        for shard, row in sorted(journal.finished_shards().items())
    ]
    refused, notes = tally(journal.refused()), tally(journal.notes())
    output.write_classes(folder, counts)
    output.write_listing(folder / output.REFUSED, journal.refused())
    if notes:
        output.write_listing(folder / output.NOTES, journal.notes())
    output.write_manifest(
        folder,
        {
            "images": sum(counts.values()),
            "classes": len(counts),
            "image_size": job.crop.size,
            "align": job.crop.align,
            "template": None if job.crop.align == "none" else "arcface112",
            "source": {"kind": job.source.kind, "path": job.source.path},
            "settings": job.settings(),
            "shards": entries,
            "refused": refused,
            "notes": notes,
        },
    )
    for sentence in summary(counts, refused, notes, folder):
        say(sentence)


def summary(
    counts: dict[str, int], refused: dict[str, int], notes: dict[str, int], folder: Path
) -> Iterator[str]:
    """What the user is told at the end."""
    yield f"{sum(counts.values())} images of {len(counts)} people in {folder}"
    if refused:
        kinds = ", ".join(f"{count} {kind}" for kind, count in refused.items())
        yield f"refused {sum(refused.values())}: {kinds}; each is named in {folder / output.REFUSED}"
    if notes:
        kinds = ", ".join(f"{count} {kind}" for kind, count in notes.items())
        yield f"noted {sum(notes.values())}: {kinds}; each is named in {folder / output.NOTES}"
    if lone := [name for name, count in counts.items() if count == 1]:
        named = ", ".join(_printable(name) for name in lone[:5]) + (" ..." if len(lone) > 5 else "")
        yield f"warning: {len(lone)} of the people have one image only, with no other to compare: {named}"


def _printable(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode()


def _check_counts(journal: Journal, job: Job) -> None:
    people = len(journal.counts())
    if people < 2:
        refused = ", ".join(f"{count} {kind}" for kind, count in tally(journal.refused()).items())
        first = next(journal.refused(), None)
        example = f" (for instance {first[0]}: {first[1]})" if first else ""
        raise EmptySourceError(
            f"expected images of at least two people in {job.source.path}, but "
            f"{'one person has' if people else 'nobody has'} an image that can be used"
            + (f"; refused: {refused}{example}" if refused else "")
        )


def _check_same(stored: Any, job: Job, folder: Path) -> None:
    wanted = job.settings()
    if stored == wanted:
        return
    if not isinstance(stored, dict):
        raise UrfrError(f"{folder} holds shards that `urfr prepare` did not write here; take another --out")
    name = next(key for key in {**wanted, **stored} if stored.get(key) != wanted.get(key))
    raise UrfrError(
        f"{folder} is for --{name.replace('_', '-')} {stored.get(name)}, but now it is {wanted.get(name)}; "
        "take another --out or delete that folder"
    )


def _check_shards(manifest: dict[str, Any], folder: Path) -> None:
    for entry in manifest.get("shards", []):
        path = folder / entry["file"]
        if not path.is_file() or path.stat().st_size != entry["bytes"]:
            raise UrfrError(
                f"expected {path} with {entry['bytes']} bytes as its manifest says, but it is missing or "
                "has another size; delete the folder and prepare it again"
            )


def _check_place(folder: Path, kind: str, source: str) -> None:
    try:
        if folder.exists() and not (folder / WORK).exists() and any(folder.iterdir()):
            raise UrfrError(f"expected a new or empty folder for --out, but {folder} holds other files")
    except OSError as error:
        raise disk_error(error, folder) from error
    inside = os.path.realpath(folder)
    if (
        os.path.isdir(source)
        and kind in _WALKED
        and os.path.commonpath([inside, os.path.realpath(source)]) == os.path.realpath(source)
    ):
        raise UrfrError(f"expected --out outside of the source, but {folder} is inside {source}")
