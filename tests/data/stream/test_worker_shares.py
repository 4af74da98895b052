"""Shards dealt out to workers: each image once a pass, no file in two shares, one process the same stream."""

import numpy as np
import pytest
import tensorflow as tf
from streams import training_stream

from urfr_tf import keys
from urfr_tf.data.manifest import load_manifest
from urfr_tf.data.stream.settings import Sampling, WorkerShare
from urfr_tf.data.stream.training_stream import steps_per_pass
from urfr_tf.data.stream.worker_shares import deal_shards, select_share
from urfr_tf.errors import UrfrError


def test_the_largest_shard_goes_to_the_smallest_share():
    """7 | 5; then 3 joins 5 (8); 2 joins 7 (9); 2 joins 8 (10): 9 and 10 records."""
    assert deal_shards(np.array([3, 7, 2, 5, 2]), 2) == [[1, 2], [0, 3, 4]]


@pytest.fixture(scope="module")
def four(people, tmp_path_factory):
    """28 images in four shards of 7."""
    from urfr_tf.cli import main

    out = tmp_path_factory.mktemp("four") / "shards"
    prepare = ["prepare", "--source", "folder", "--path", str(people), "--size", "40", "--shards", "4"]
    assert main([*prepare, "--out", str(out)]) == 0
    return str(out)


def stream(shards, start=0, **settings):
    return training_stream(
        shards, batch_size=4, crop_size=40, seed=5, flip=False, start_step=start, **settings
    )


def pixels(dataset, steps):
    """Each image of some steps as bytes: uncropped and unvaried, so an image is known by its pixels."""
    batches = list(dataset.take(steps))
    return [image.numpy().tobytes() for inputs, _ in batches for image in inputs[keys.IMAGE]]


def test_a_pass_of_all_shares_holds_each_image_once(four):
    """14 images a share, two places each in a batch of 4: 7 steps, nothing left over."""
    assert steps_per_pass(four, Sampling(4), 2) == 7
    shares = [pixels(stream(four, worker_share=WorkerShare(index, 2)), 7) for index in (0, 1)]
    everything = pixels(stream(four), 7)
    assert len(set(shares[0])) == len(set(shares[1])) == 14
    assert set(shares[0]) | set(shares[1]) == set(everything)
    again = pixels(stream(four, worker_share=WorkerShare(0, 2)).skip(7), 7)
    assert set(again) == set(shares[0])
    assert again != shares[0]


def test_a_share_starts_anywhere_as_if_it_had_run(four):
    later = pixels(stream(four, start=9, worker_share=WorkerShare(1, 2)), 3)
    assert later == pixels(stream(four, worker_share=WorkerShare(1, 2)).skip(9), 3)


def test_a_share_opens_its_own_files_only(four):
    manifest = load_manifest(four)
    names = [
        {path.name for path in select_share(manifest, WorkerShare(index, 2)).shard_paths} for index in (0, 1)
    ]
    assert names[0].isdisjoint(names[1])
    assert len(names[0] | names[1]) == 4


def test_one_process_joins_the_shares_that_two_workers_take(four, tiny_config, shards):
    from urfr_tf.config.load_config import load_config
    from urfr_tf.training.tasks.batches import configured_batches

    config = load_config(tiny_config, [f"data.train={four}", "data.worker_shares=2"])
    whole = next(iter(configured_batches(config, 3)))
    halves = [next(iter(configured_batches(config, 3, worker, 2))) for worker in (0, 1)]
    joined = tf.nest.map_structure(lambda *values: tf.concat(values, 0), *halves)
    tf.nest.map_structure(np.testing.assert_array_equal, whole, joined)


def test_more_shares_than_shards_and_groups_by_person(four):
    with pytest.raises(UrfrError, match="at least data.worker_shares = 8 shards, but .* has 4"):
        training_stream(four, batch_size=8, crop_size=40, seed=0, worker_share=WorkerShare(0, 8))
    with pytest.raises(UrfrError, match="data.worker_shares: 1 where images are grouped"):
        stream(four, worker_share=WorkerShare(0, 2), images_per_identity=2)
