"""Estimates: numbers that follow from the configuration."""

import dataclasses

import pytest
from plans import RATE, TREE, small

from urfr_tf.bench.photographs import write_photographs
from urfr_tf.config.load_config import from_dict
from urfr_tf.data.manifest import load_manifest
from urfr_tf.errors import UrfrError
from urfr_tf.planning.estimate import pipeline_bytes, plan_training
from urfr_tf.planning.facts import DataFacts, count_replicas, read_data_facts, worker_shard_bytes
from urfr_tf.planning.memory_budget import MemoryBudget
from urfr_tf.planning.report import format_plan
from urfr_tf.system import memory
from urfr_tf.system.cores import count_cores


def test_the_head_and_its_momentum(planned):
    """1,000 x 16 float32; momentum for every parameter once."""
    assert planned.head_parameters == 16_000
    assert planned.memory.head == 64_000
    # Also: the optimizer's counter of steps, and variables that are no weights, as running means of the log.
    assert 0 < planned.memory.optimizer - 4 * planned.parameters < 200
    assert planned.memory.checkpoint == planned.memory.weights + 64_000 + planned.memory.optimizer


def test_no_memory_is_taken_for_what_is_planned():
    """4 * 10^6 identities of 512 numbers, 8.2 GB and as much momentum, take less than a gigabyte."""
    before = memory.resident()
    model = {"embedding_dim": 512, "groups": 16}
    huge = plan_training(small(model=model, head={"sample_count": 100}), DataFacts(classes=4 * 10**6), 1)
    assert huge.memory.head == 4 * 10**6 * 512 * 4
    assert huge.memory.optimizer > huge.memory.head
    # Of 108 rows, not of all.
    assert huge.memory.activations < 10**8
    assert memory.resident() - before < 10**9


def test_an_average_of_weights_is_one_more_of_each(planned):
    averaged = plan_training(small(optimizer={"ema_decay": 0.9}), DataFacts(classes=1000), 1)
    assert averaged.memory.optimizer - planned.memory.optimizer >= 4 * planned.parameters
    assert averaged.parameters == planned.parameters


def test_a_shard_is_one_rth():
    whole = plan_training(small(head={"sample_rate": 0.5}), DataFacts(classes=1000), 2)
    shard = plan_training(small(head={"sample_rate": 0.5, "sharded": True}), DataFacts(classes=1000), 2)
    assert (whole.memory.head, shard.memory.head) == (64_000, 32_000)


def test_micro_batches_need_the_activations_of_one_of_them():
    """4 micro-batches of 8 images need what 8 images do, and sums of gradients.

    The sums need less than the weights twice more.
    """
    model = {"width": 0.25, "input_size": 64, "embedding_dim": 64}
    data = DataFacts(classes=5000)
    whole, few, micro = (
        plan_training(
            small(model=model, data={"batch_size": batch}, train={"accumulate": micro_batches}), data, 1
        )
        for batch, micro_batches in ((32, 1), (8, 1), (32, 4))
    )
    weights = micro.memory.weights + micro.memory.head
    assert few.memory.activations <= micro.memory.activations < few.memory.activations + 2 * weights
    assert micro.memory.activations < whole.memory.activations - 10 * 2**20
    assert micro.memory.optimizer == whole.memory.optimizer
    # The feature maps that must be kept are more than half of what is planned.
    certain = 32 * whole.kept_per_image
    assert whole.kept_per_image == few.kept_per_image == micro.kept_per_image
    assert 0.5 * whole.memory.activations < certain < whole.memory.activations
    assert "global batch 32 = 1 replica(s) x 4 micro-batches x 8 images" in format_plan(
        micro, MemoryBudget(None, False), None
    )


def test_a_backbone_that_is_frozen_to_the_end_has_no_slots_and_no_gradients(planned):
    """Momentum for the heads alone. A backbone that learns later has its momentum at the peak."""
    frozen = plan_training(small(train={"freeze_backbone_epochs": 3}), DataFacts(classes=1000), 1)
    later = plan_training(small(train={"freeze_backbone_epochs": 2}), DataFacts(classes=1000), 1)
    assert 0 < frozen.memory.optimizer - 4 * frozen.parameters < 200
    # The first convolution, the shortcut's and two in the unit, of 8 channels; 6 batch norms; 2 PReLU.
    assert planned.parameters - frozen.parameters == 8 * 27 + 8 * 8 + 2 * 9 * 8 * 8 + 6 * 2 * 8 + 2 * 8
    assert frozen.memory.weights == planned.memory.weights
    assert frozen.memory.activations < planned.memory.activations
    assert dataclasses.replace(later.memory, base=0) == dataclasses.replace(planned.memory, base=0)


def test_workers_share_the_batch_the_shards_and_the_replicas(planned, tmp_path):
    """4 shards of 64 images, 2 workers: each reads half of the bytes and buffers 2 x 8 of its records."""
    write_photographs(tmp_path, 256, 40, shards=4)
    of_shard = {path: path.stat().st_size for path in load_manifest(tmp_path).shard_paths}
    tree = {"train": str(tmp_path), "worker_shares": len(of_shard), "shuffle_buffer": 8}
    config = small(data=tree, runtime={"strategy": "multi_worker_mirrored"}, train={"steps_per_epoch": 0})
    assert count_replicas(config, None, 2) == (0, 2)
    data = read_data_facts(config, None, None)
    both = dataclasses.replace(planned, config=config, data=data, replicas=2, workers=2)
    sizes = sorted(of_shard.values())
    assert sum(sizes) / 2 <= worker_shard_bytes(config, data, 2) <= sum(sizes[len(sizes) // 2 :])
    assert "shards of a worker" in format_plan(both, MemoryBudget(None, False), None)
    # Of the process one replica is there, and half of the batch of pixels.
    assert MemoryBudget(None, False).needed(both) == planned.memory.of_process(1)
    pixels = 8 * 32 * 32 * 3 * 4 * (4 * count_cores() + 2)
    record = sum(sizes) / 256
    for workers in (1, 2):
        records = pipeline_bytes(config, data, workers) - pixels // workers
        assert records == pytest.approx(8 * len(sizes) / workers * record, abs=1)
    with pytest.raises(UrfrError, match="divides the replicas and data.worker_shares: 2 and"):
        count_replicas(
            small(data={"worker_shares": 1}, runtime={"strategy": "multi_worker_mirrored"}), None, 2
        )


def test_weights_to_start_from_need_not_be_there():
    start = {"initial_weights": "/nowhere", "head": {"start": "class_means"}}
    assert (
        plan_training(small(**start), DataFacts(classes=7), 1).parameters
        == plan_training(small(), DataFacts(classes=7), 1).parameters
    )


@pytest.mark.parametrize("adversary", ["identity", "domain"])
def test_the_attribute_network_is_planned(adversary):
    tree = {"task": "attributes", "data": {"batch_size": 8, "soft_labels": ["a", "b", "real"]}}
    tree |= {"attributes": {"adversary": adversary, "domain": "real"}, "model": {"input_size": 32}}
    plan = plan_training(
        from_dict({**tree, "optimizer": RATE, "runtime": TREE["runtime"]}, "test"), DataFacts(classes=7), 1
    )
    assert plan.parameters > 1_000_000
    assert plan.memory.activations > 0


def test_the_uncertainty_stage_is_planned():
    """Only the confidence head learns: its F x 4 kernel and 4 biases have a momentum."""
    plan = plan_training(small(task="uncertainty", initial_weights="/nowhere"), DataFacts(classes=7), 1)
    features = 16 * 16 * 8  # 32 px / 2, 64 channels / 8
    assert 0 < plan.memory.optimizer - 4 * (features * 4 + 4) < 200
