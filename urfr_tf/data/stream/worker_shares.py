"""The shards of a data set dealt out, so that a worker of a training reads only files of its own."""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from urfr_tf.data.manifest import Manifest
from urfr_tf.data.stream.settings import WorkerShare
from urfr_tf.errors import UrfrError


def deal_shards(records: NDArray[np.int64], count: int) -> list[list[int]]:
    """Deals shards out: the largest first, each to the share with the fewest records so far.

    Args:
        records: int [shards], records of each.
        count: the number of shares.

    Returns:
        The indices of the shards of each share, rising; all shards once.
    """
    shares: list[list[int]] = [[] for _ in range(count)]
    totals = np.zeros(count, np.int64)
    for shard in np.argsort(-records, kind="stable"):
        smallest = int(totals.argmin())
        shares[smallest].append(int(shard))
        totals[smallest] += records[shard]
    return [sorted(share) for share in shares]


def select_share(manifest: Manifest, share: WorkerShare) -> Manifest:
    """The shards of one share as if there were no others; `counts` and `raw` stay those of all shards."""
    if share.count == 1:
        return manifest
    chosen = deal_shards(manifest.shard_records, share.count)[share.index]
    return dataclasses.replace(
        manifest,
        images=int(manifest.shard_records[chosen].sum()),
        shard_paths=[manifest.shard_paths[shard] for shard in chosen],
        shard_records=manifest.shard_records[chosen],
    )


def count_steps_of_shares(manifest: Manifest, batch_size: int, count: int) -> int:
    """Steps of a pass in which every share fills an equal number of places of each batch.

    The smallest share decides: a pass ends when it has no full batch left.

    Raises:
        UrfrError: fewer shards than shares, or a share without images for its places of a batch.
    """
    if len(manifest.shard_paths) < count:
        raise UrfrError(
            f"expected at least data.worker_shares = {count} shards, but {manifest.folder} has "
            f"{len(manifest.shard_paths)}; urfr prepare --shards makes more"
        )
    if batch_size % count:
        raise UrfrError(f"expected a batch that data.worker_shares divides, but got {batch_size} and {count}")
    places = batch_size // count
    totals = [
        int(manifest.shard_records[share].sum()) for share in deal_shards(manifest.shard_records, count)
    ]
    if min(totals) < places:
        raise UrfrError(
            f"expected at least {places} images in each of {count} worker shares of {manifest.folder}, "
            f"but one holds {min(totals)}"
        )
    return min(totals) // places
