"""The files of a data set dealt out to parts, so that a worker of a training reads its own files only."""

import dataclasses

import numpy as np

from urfr_tf.data.manifest import Manifest
from urfr_tf.errors import UrfrError


def dealt(records: np.ndarray, parts: int) -> list[list[int]]:
    """Deals shards out: the largest first, each to the part with the fewest records so far.

    Args:
        records: int [shards], records of each.
        parts: how many parts.

    Returns:
        The shards' indices of each part, rising; all shards once.
    """
    parts_of: list[list[int]] = [[] for _ in range(parts)]
    totals = np.zeros(parts, np.int64)
    for shard in np.argsort(-records, kind="stable"):
        part = int(totals.argmin())
        parts_of[part].append(int(shard))
        totals[part] += records[shard]
    return [sorted(part) for part in parts_of]


def part_of(manifest: Manifest, part: int, parts: int) -> Manifest:
    """The shards of one part as if they were all there are; `counts` and `raw` stay those of the whole."""
    if parts == 1:
        return manifest
    chosen = dealt(manifest.shard_records, parts)[part]
    return dataclasses.replace(
        manifest,
        images=int(manifest.shard_records[chosen].sum()),
        shard_paths=[manifest.shard_paths[shard] for shard in chosen],
        shard_records=manifest.shard_records[chosen],
    )


def steps_of_parts(manifest: Manifest, batch_size: int, parts: int) -> int:
    """Steps of a pass in which every part fills an equal share of each batch: as many as the smallest has.

    Raises:
        UrfrError: fewer shards than parts, or a part without images for its share of a batch.
    """
    if len(manifest.shard_paths) < parts:
        raise UrfrError(
            f"expected at least data.worker_shares = {parts} shards, but {manifest.folder} has "
            f"{len(manifest.shard_paths)}; urfr prepare --shards makes more"
        )
    if batch_size % parts:
        raise UrfrError(f"expected a batch that data.worker_shares divides, but got {batch_size} and {parts}")
    share = batch_size // parts
    smallest = min(int(manifest.shard_records[part].sum()) for part in dealt(manifest.shard_records, parts))
    if smallest < share:
        raise UrfrError(
            f"expected at least {share} images in each of {parts} parts of {manifest.folder}, "
            f"but one holds {smallest}"
        )
    return smallest // share
