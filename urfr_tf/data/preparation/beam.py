"""`urfr prepare --runner`: the same preparation as an Apache Beam pipeline, on as many machines as there are.

    urfr prepare --source folder --path /mnt/faces --out /mnt/shards --runner DirectRunner
    urfr prepare ... --runner DataflowRunner --beam-options "--project=P --region=R
        --temp_location=gs://B/tmp --sdk_container_image=IMAGE"
    urfr prepare ... --runner FlinkRunner --beam-options "--flink_master=HOST:8081
        --environment_type=LOOPBACK"
    urfr prepare ... --runner SparkRunner --beam-options "--spark_master_url=spark://HOST:7077"

(IMAGE: a Beam SDK container with urfr-tf[beam] in it. Only DirectRunner was tried.) --path and --out must be
mounted at the same place on every worker. Without alignment or with the source's points the folder is the
same to the byte as that of `prepare`; MTCNN's batches are formed by the runner, so its points may differ in
the last bit. A failed pipeline begins anew: to keep what is done is the runner's business here.
"""

import shlex
import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from urfr_tf.data.cropper import GROUP, CropSettings
from urfr_tf.data.names import by_name, shown, to_bytes, to_name
from urfr_tf.data.preparation import shard_writer as output
from urfr_tf.data.preparation.crops import Crop, crop_groups, shard_of
from urfr_tf.data.preparation.job import (
    WORK,
    EmptySourceError,
    Job,
    already_done,
    check_enough,
    default_shards,
    sentences,
    sorted_people,
    survey_people,
    write_result,
)
from urfr_tf.data.sources.item import Item
from urfr_tf.errors import UrfrError
from urfr_tf.files import write_text

_SLICES = 1000
_PROBLEM = "problem.txt"
# An image between the steps: order, identity, key, encoded, points, notes. Plain values, which Beam packs
# well.
_Row = tuple[bytes, bytes, bytes, bytes, tuple[float, ...] | None, tuple[str, ...]]
# A line of refused.tsv or notes.tsv: key, order, text; sorted like that.
_Line = tuple[bytes, bytes, str]


def prepare_with_beam(
    job: Job, out: str, runner: str, options: str = "", say: Callable[[str], None] = print
) -> Path:
    """As `prepare.prepare`, by a Beam pipeline.

    Args:
        job, out, say: as there.
        runner: Beam's name of the runner.
        options: further pipeline options as on a command line.

    Raises:
        UrfrError: as there, or the pipeline failed.
    """
    folder = Path(out).absolute()
    work = folder / WORK
    if already_done(job, folder):
        say(f"{folder} is already prepared from {job.source.path}; delete it to prepare it again")
        return folder / output.MANIFEST
    if (work / "journal.sqlite").exists():
        raise UrfrError(f"{folder} was begun without --runner; finish it without --runner, or delete it")
    people, total = survey_people(job, say)
    work.mkdir(parents=True, exist_ok=True)
    try:
        with beam.Pipeline(
            options=PipelineOptions([f"--runner={runner}", *shlex.split(options)])
        ) as pipeline:
            _build(pipeline, job, folder, people, job.shards or default_shards(total))
    except Exception as error:  # Runners wrap what a worker raised in exceptions of their own.
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise UrfrError(f"the Beam pipeline for {folder} failed: {lines[-1].strip()}") from error
    problem = work / _PROBLEM
    text = problem.read_text(encoding="utf-8") if problem.exists() else None
    shutil.rmtree(work if text is None else folder, ignore_errors=True)
    if text is not None:
        raise EmptySourceError(text)
    for sentence in sentences(job, folder):
        say(sentence)
    return folder / output.MANIFEST


def _build(pipeline: beam.Pipeline, job: Job, folder: Path, people: list[str], shards: int) -> None:
    """source -> crops -> without duplicates -> shards; labels, lists and manifest beside them."""
    crops = (
        pipeline
        | "people" >> beam.Create(_slice_people(job, people))
        | "find images" >> beam.FlatMap(_items, job)
        | "spread" >> beam.Reshuffle()
        | "group" >> beam.BatchElements(min_batch_size=1, max_batch_size=GROUP)
        | "crop" >> beam.ParDo(_CropGroup(job.crop)).with_outputs("refused", main="taken")
    )
    judged = (
        crops.taken
        | "by picture" >> beam.GroupByKey()
        | "keep one" >> beam.ParDo(_keep_first).with_outputs("refused", main="kept")
    )
    counts = beam.pvalue.AsSingleton(
        judged.kept
        | "person" >> beam.Map(lambda row: row[1])
        | "count" >> beam.combiners.Count.PerElement()
        | "counts" >> beam.combiners.ToList()
    )
    every_shard = pipeline | "shards" >> beam.Create([(shard, None) for shard in range(shards)])
    by_shard = judged.kept | "shard" >> beam.Map(lambda row: (shard_of(row[0], shards), row))
    entries = (
        (by_shard, every_shard)
        | "with empty shards" >> beam.Flatten()
        | "by shard" >> beam.GroupByKey()
        | "write shard" >> beam.FlatMap(_write_shard, str(folder), shards, counts)
        | "entries" >> beam.combiners.ToList()
    )
    # A source may name an image twice, and every slice of a folder sees the files next to the people.
    refused = (
        (crops.refused, judged.refused)
        | "all refused" >> beam.Flatten()
        | "refused once" >> beam.Distinct()
        | "refused" >> beam.combiners.ToList()
    )
    notes = (
        judged.kept
        | "note" >> beam.FlatMap(lambda row: [(row[2], row[0], text) for text in row[5]])
        | "notes" >> beam.combiners.ToList()
    )
    sides = [beam.pvalue.AsSingleton(side) for side in (entries, refused, notes)]
    (
        pipeline
        | "once" >> beam.Create([None])
        | "finish" >> beam.Map(lambda _, *lists: _finish(job, folder, *lists), counts, *sides)
    )


def _slice_people(job: Job, people: list[str]) -> list[list[str]]:
    """People to look for together. Sources that are one file are read once, by one worker."""
    if job.source.kind not in ("folder", "orl"):
        return [people]
    size = -(-len(people) // _SLICES)
    return [people[begin : begin + size] for begin in range(0, len(people), size)]


def _items(people: list[str], job: Job) -> Iterator[Item]:
    return job.source.items(set(people))


class _CropGroup(beam.DoFn):
    """Items -> (digest of the picture, row), and lines about those refused."""

    def __init__(self, settings: CropSettings) -> None:
        self._settings = settings

    def setup(self) -> None:
        self._pool = ThreadPoolExecutor(1)

    def teardown(self) -> None:
        self._pool.shutdown()

    def process(self, items: list[Item]) -> Iterator[Any]:
        for group in crop_groups(items, self._settings, self._pool, ahead=1):
            for crop in group:
                key = to_bytes(crop.key)
                if crop.refused:
                    yield beam.pvalue.TaggedOutput("refused", (key, crop.order, crop.refused))
                else:
                    identity = to_bytes(crop.identity)
                    yield (
                        crop.digest,
                        (crop.order, identity, key, crop.encoded, crop.points, crop.notes),
                    )


def _keep_first(picture: tuple[bytes, Iterable[_Row]]) -> Iterator[Any]:
    """Of images with the same pixels the first by name, as `Journal.refuse_duplicates` does."""
    _, rows = picture
    order, identity, key, *_ = first = min(rows, key=lambda row: by_name(row[1], row[2]))
    yield first
    for row in rows:
        if row[0] != order:
            kind = "duplicate" if row[1] == identity else "duplicate of another person"
            text = f"{kind}: same picture as {shown(key)}"
            yield beam.pvalue.TaggedOutput("refused", (row[2], row[0], text))


def _write_shard(
    keyed: tuple[int, Iterable[_Row | None]], folder: str, shards: int, counts: list[tuple[bytes, int]]
) -> Iterator[dict[str, Any]]:
    shard, rows = keyed
    labels = {name: label for label, name in enumerate(_people(counts))}
    if len(labels) > 1:
        chosen = sorted((row for row in rows if row is not None), key=lambda row: row[0])
        crops = (Crop(row[0], to_name(row[1]), to_name(row[2]), row[3], points=row[4]) for row in chosen)
        yield output.write_shard(Path(folder, output.shard_name(shard, shards)), crops, labels)


def _people(counts: list[tuple[bytes, int]]) -> dict[str, int]:
    return sorted_people({to_name(name): count for name, count in counts})


def _finish(
    job: Job,
    folder: Path,
    counts: list[tuple[bytes, int]],
    entries: list[dict[str, Any]],
    refused: list[_Line],
    notes: list[_Line],
) -> None:
    people = _people(counts)
    lines = [[(shown(key), text) for key, _, text in sorted(listed)] for listed in (refused, notes)]
    try:
        kinds = output.tally(text for _, text in lines[0])
        check_enough(people, job, kinds, lines[0][0] if lines[0] else None)
    except EmptySourceError as error:
        write_text(folder / WORK / _PROBLEM, str(error))
        return
    entries = sorted(entries, key=lambda entry: entry["file"])
    write_result(job, folder, people, entries, lines[0], lines[1])
