"""What `urfr prepare` is asked to do, what must hold before and after, and what is said at the end.

Shared by the two ways of doing it: `prepare` on this machine, `beam` on many.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from urfr_tf.data.cropper import CropSettings
from urfr_tf.data.manifest import load_manifest
from urfr_tf.data.names import natural_key, shown, to_bytes
from urfr_tf.data.preparation import shard_writer as output
from urfr_tf.data.sources import WALKED, Source, choose_identities
from urfr_tf.data.tree import belongs
from urfr_tf.errors import UrfrError
from urfr_tf.faces.landmark_checks import explain_refusals
from urfr_tf.files import disk_error, read_json

WORK = ".prepare"


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


class EmptySourceError(UrfrError):
    """The source has too little that can be used; what was read of it is worth nothing."""


def already_done(job: Job, folder: Path) -> bool:
    """Whether `folder` is the finished result of this job.

    Raises:
        UrfrError: it is the result of another job, or damaged, or holds other files, or is inside the source.
    """
    if (folder / output.MANIFEST).exists():
        manifest = read_json(folder / output.MANIFEST)
        check_same(manifest.get("settings") if isinstance(manifest, dict) else None, job, folder)
        load_manifest(folder)
        return True
    try:
        if (
            folder.exists()
            and not (folder / WORK).exists()
            and any(belongs(entry.name) for entry in folder.iterdir())
        ):
            raise UrfrError(f"expected a new or empty folder for --out, but {folder} holds other files")
    except OSError as error:
        raise disk_error(error, folder) from error
    source, inside = os.path.realpath(job.source.path), os.path.realpath(folder)
    if (
        job.source.kind in WALKED  # it would find the shards among its files
        and os.path.isdir(source)
        and os.path.commonpath([inside, source]) == source
    ):
        raise UrfrError(f"expected --out outside of the source, but {folder} is inside {job.source.path}")
    return False


def check_same(stored: Any, job: Job, folder: Path) -> None:
    """Raises UrfrError unless `stored` are the settings of this job, naming the first that differs."""
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


def survey_people(job: Job, say: Callable[[str], None]) -> tuple[list[str], int]:
    """The people to prepare, sorted, and how many files may be images of them; says what was ignored.

    Raises:
        UrfrError: the source cannot be read, or fewer than two people are left.
    """
    survey = job.source.survey()
    if ignored := job.source.ignored.sentence():
        say(ignored)
    people = choose_identities(list(survey), job.identities)
    if len(people) < 2:
        chosen = f" with --identities {job.identities}" if job.identities else ""
        raise UrfrError(f"expected at least two people in {job.source.path}{chosen}, but got one")
    return people, sum(survey[name] for name in people)


def default_shards(images: int) -> int:
    """One shard for 32 images, up to 8; from 400,000 images on, one for 50,000."""
    return max(1, min(8, images // 32), images // 50_000)


def check_enough(
    counts: Mapping[Any, int], job: Job, refused: Mapping[str, int], example: tuple[str, str] | None
) -> None:
    """Raises EmptySourceError when fewer than two people have an image, or most of the points are wrong.

    Args:
        counts: person -> images taken, of those with at least one.
        job: what was to be prepared.
        refused: kind -> images refused.
        example: name of an image that was refused, and why.
    """
    people = len(counts)
    cause = explain_refusals(refused, sum(counts.values()) + sum(refused.values()))
    if cause:
        named = f" (for instance {example[0]}: {example[1]})" if example else ""
        raise EmptySourceError(f"{cause}; nothing of {job.source.path} was prepared{named}")
    if people >= 2:
        return
    kinds = ", ".join(f"{count} {kind}" for kind, count in refused.items())
    named = f" (for instance {example[0]}: {example[1]})" if example else ""
    raise EmptySourceError(
        f"expected images of at least two people in {job.source.path}, but "
        f"{'one person has' if people else 'nobody has'} an image that can be used"
        + (f"; refused: {kinds}{named}" if kinds else "")
    )


def sorted_people(counts: Mapping[str, int]) -> dict[str, int]:
    """The same counts in the order of the labels."""
    return dict(sorted(counts.items(), key=lambda row: natural_key(row[0])))


def write_result(
    job: Job,
    folder: Path,
    counts: dict[str, int],
    entries: list[dict[str, Any]],
    refused: Iterable[tuple[str, str]],
    notes: Iterable[tuple[str, str]],
) -> None:
    """Writes all files beside the shards, the manifest last.

    Args:
        counts: identity -> images taken, in the order of the labels.
        entries: of `shards.shard_entry`, in order.
        refused, notes: (name, text) as they are to be listed; each is read once.
    """
    output.write_classes(folder, counts)
    refused_kinds = output.write_listing(folder / output.REFUSED, refused)
    note_kinds = output.write_listing(folder / output.NOTES, notes)
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
            "refused": refused_kinds,
            "notes": note_kinds,
        },
    )


def sentences(job: Job, folder: Path) -> Iterator[str]:
    """What the user is told about the finished `folder`."""
    manifest = load_manifest(folder)
    yield f"{manifest.images} images of {manifest.classes} people in {folder}"
    for word, file in (("refused", output.REFUSED), ("notes", output.NOTES)):
        if kinds := manifest.raw[word]:
            counts = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
            yield f"{word}: {counts}; each is named in {folder / file}"
    if lone := [name for name, n in zip(manifest.identities, manifest.counts, strict=True) if n == 1]:
        named = ", ".join(shown(to_bytes(name)) for name in lone[:5]) + (" ..." if len(lone) > 5 else "")
        yield f"warning: {len(lone)} of the people have one image only, with no other to compare: {named}"
    if job.source.kind == "bin":
        yield "warning: a .bin file holds pairs, not people: one face may be several people in these shards"
