"""`urfr prepare`: any source -> a folder of shards with a manifest.

In order: survey the source, read and crop every image over all cores into the journal, refuse
duplicates, number the people, write the shards, write the manifest. Whatever stops it, the same call
continues and leaves the same bytes; memory does not grow with the number of images.
"""

import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2

from urfr_tf.data.preparation import shard_writer as output
from urfr_tf.data.preparation.crops import Crop, crop_groups, order_of
from urfr_tf.data.preparation.job import (
    WORK,
    EmptySourceError,
    Job,
    already_done,
    check_enough,
    check_same,
    default_shards,
    sentences,
    sorted_people,
    survey_people,
    write_result,
)
from urfr_tf.data.preparation.journal import Journal
from urfr_tf.data.progress import Progress
from urfr_tf.data.sources.item import Item
from urfr_tf.errors import UrfrError
from urfr_tf.system.cores import count_cores

_BATCH = 1024


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
    work = folder / WORK
    if already_done(job, folder):
        say(f"{folder} is already prepared from {job.source.path}; delete it to prepare it again")
    else:
        _prepare(job, folder, work, say)
    shutil.rmtree(work, ignore_errors=True)
    return folder / output.MANIFEST


def _prepare(job: Job, folder: Path, work: Path, say: Callable[[str], None]) -> None:
    existed = folder.exists()
    journal = Journal(work)
    try:
        if (stored := journal.fact("settings")) is not None:
            check_same(json.loads(stored), job, folder)
        if journal.fact("complete") is None:
            _read_all(job, journal, say)
            journal.refuse_duplicates()
            _check_enough(job, journal)
            journal.set_fact("complete", "yes")
        journal.shards = int(journal.fact("shards") or 1)
        _write_all(job, journal, folder, say)
    except UrfrError as error:
        if isinstance(error, EmptySourceError) or not journal.rows():
            journal.close()
            shutil.rmtree(work, ignore_errors=True)
            if not existed:
                folder.rmdir()
        raise
    finally:
        journal.close()


def _read_all(job: Job, journal: Journal, say: Callable[[str], None]) -> None:
    """Every image of the chosen people into the journal, except for those that it knows."""
    people, total = survey_people(job, say)
    if journal.fact("shards") is None:
        journal.set_fact("shards", str(job.shards or default_shards(total)))
        journal.set_fact("settings", json.dumps(job.settings()))
    journal.shards = int(journal.fact("shards") or 1)
    done = journal.rows()
    if done:
        say(f"continuing: {done} of {total} images are done")
    progress = Progress(total, done)
    workers = count_cores()
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


def _check_enough(job: Job, journal: Journal) -> None:
    refused = output.tally(text for _, text in journal.refused())
    check_enough(journal.counts(), job, refused, next(journal.refused(), None))


def _write_all(job: Job, journal: Journal, folder: Path, say: Callable[[str], None]) -> None:
    """Numbers the people and writes the shards that are not there yet, the lists and the manifest."""
    counts = sorted_people(journal.counts())
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
    write_result(job, folder, counts, entries, journal.refused(), journal.notes())
    for sentence in sentences(job, folder):
        say(sentence)
