"""Plans: numbers that follow from the configuration, refusals, and the peak of a real training."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest
import yaml

from urfr_tf.bench.photographs import write_photographs
from urfr_tf.config.load_config import from_dict
from urfr_tf.data.manifest import load_manifest
from urfr_tf.errors import UrfrError
from urfr_tf.planning import memory_budget
from urfr_tf.planning.estimate import pipeline_bytes, plan_training
from urfr_tf.planning.facts import DataFacts, count_replicas, read_data_facts, worker_shard_bytes
from urfr_tf.planning.memory_budget import MemoryBudget, alternatives, cannot_fit, check_fit
from urfr_tf.planning.replica_model import kept_per_image
from urfr_tf.planning.report import as_json, count_hours, format_plan
from urfr_tf.system import memory
from urfr_tf.system.cores import count_cores

RATE = {"learning_rate": {"type": "constant", "constant": {"learning_rate": 0.01}}}
TREE = {
    "name": "small",
    "data": {"batch_size": 8},
    "model": {"backbone": "ir10", "width": 0.125, "input_size": 32, "embedding_dim": 16, "groups": 4},
    "optimizer": RATE,
    "train": {"epochs": 3, "steps_per_epoch": 10},
    "runtime": {"precision": "float32"},
}


def small(**groups):
    merged = {
        key: {**TREE[key], **value} if isinstance(TREE.get(key), dict) else value
        for key, value in groups.items()
    }
    return from_dict({**TREE, **merged}, "test")


@pytest.fixture(scope="module")
def planned():
    return plan_training(small(), DataFacts(classes=1000, images=80, steps=10), 1)


def test_the_head_and_what_is_kept_of_it(planned):
    """1,000 x 16 float32; momentum for every parameter once."""
    assert planned.head_parameters == 16_000
    assert planned.memory.head == 64_000
    # Besides: the optimizer's counter of steps, and what is not a weight of its own, as running means of the log.
    assert 0 < planned.memory.optimizer - 4 * planned.parameters < 200
    assert planned.memory.checkpoint == planned.memory.weights + 64_000 + planned.memory.optimizer


def test_no_memory_is_taken_for_what_is_planned():
    """4 * 10^6 identities of 512 numbers, 8.2 GB and as much momentum, without a gigabyte more than before."""
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
    """4 micro-batches of 8 images need what 8 images do, and sums of gradients: less than the weights twice more."""
    model = {"backbone": "ir10", "width": 0.125, "input_size": 64, "embedding_dim": 64}
    data = DataFacts(classes=5000)
    whole, few, micro = (
        plan_training(small(model=model, data={"batch_size": batch}, train={"accumulate": parts}), data, 1)
        for batch, parts in ((32, 1), (8, 1), (32, 4))
    )
    weights = micro.memory.weights + micro.memory.head
    assert few.memory.activations <= micro.memory.activations < few.memory.activations + 2 * weights
    assert micro.memory.activations < whole.memory.activations - 10 * 2**20
    assert micro.memory.optimizer == whole.memory.optimizer
    # What must be kept is a part of what is planned, and more than half of it.
    kept = 32 * whole.kept_per_image
    assert whole.kept_per_image == few.kept_per_image == micro.kept_per_image
    assert 0.5 * whole.memory.activations < kept < whole.memory.activations
    assert "global batch 32 = 1 replica(s) x 4 micro-batches x 8 images" in format_plan(
        micro, MemoryBudget(None, False), None
    )


def test_every_map_that_a_layer_reads_is_counted_once():
    """conv, norm and PReLU one behind the other on 4 x 4 maps: they read 4 x 4 x (3 + 8 + 8) float32 numbers."""
    image = keras.Input([4, 4, 3])
    x = keras.layers.Conv2D(8, 3, padding="same")(image)
    x = keras.layers.BatchNormalization()(x)
    model = keras.Model(image, keras.layers.PReLU(shared_axes=[1, 2])(x))
    assert kept_per_image(model) == 4 * 16 * (3 + 8 + 8)
    model.trainable = False
    assert kept_per_image(model) == 0


def test_a_backbone_that_is_frozen_to_the_end_has_no_slots_and_no_gradients(planned):
    """Momentum for the heads alone, as the trainer makes it; a backbone that learns later has them at its peak."""
    frozen = plan_training(small(train={"freeze_backbone_epochs": 3}), DataFacts(classes=1000), 1)
    later = plan_training(small(train={"freeze_backbone_epochs": 2}), DataFacts(classes=1000), 1)
    assert 0 < frozen.memory.optimizer - 4 * frozen.parameters < 200
    assert frozen.parameters < planned.parameters / 2
    assert frozen.memory.weights == planned.memory.weights
    assert frozen.memory.activations < planned.memory.activations
    assert dataclasses.replace(later.memory, base=0) == dataclasses.replace(planned.memory, base=0)


def test_workers_share_the_batch_the_shards_and_the_replicas(planned, tmp_path):
    """4 shards of 64 images in 4 shares over 2 workers: each reads half of the bytes, buffers 2 x 8 of its records."""
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


def test_what_must_be_kept_rules_settings_out_without_a_plan(planned):
    """100 bytes an image: 8 images keep 800, and 9 tenths of 500 are there. 4 images (400) are planned, 8 not."""
    large = dataclasses.replace(planned, kept_per_image=100)
    budget = MemoryBudget(500, True)
    assert cannot_fit(large, budget, {"head.sample_count": 8192})
    for override in (
        {"data.batch_size": 4},
        {"runtime.precision": "mixed_bfloat16"},
    ):
        assert not cannot_fit(large, budget, override)
    assert cannot_fit(large, MemoryBudget(440, True), {"data.batch_size": 4})
    assert not cannot_fit(large, MemoryBudget(None, False), {"data.batch_size": 8})


def test_weights_to_start_from_need_not_be_there():
    start = {"initial_weights": "/nowhere", "head": {"start": "class_means"}}
    assert (
        plan_training(small(**start), DataFacts(classes=7), 1).parameters
        == plan_training(small(), DataFacts(classes=7), 1).parameters
    )


def test_lengths(planned):
    # 3 epochs of 10 steps of 8 images, at 2 images a second: 120 s.
    assert planned.images_seen == 240
    assert count_hours(planned, 2.0) == pytest.approx(120 / 3600)
    with pytest.raises(UrfrError, match="--rate above 0"):
        count_hours(planned, 0.0)


def test_what_cannot_fit_is_refused_with_the_setting(planned, monkeypatch):
    """Of 1,050 bytes with the 5 % of rounding, a replica needs 1,000 for activations, in proportion to the batch of 8."""
    nothing = dataclasses.replace(planned.memory, weights=0, head=0, optimizer=0, start=0, checkpoint=0)

    def scaled(config, data, replicas, workers=1):
        size = 1000 * config.data.batch_size // 8
        return dataclasses.replace(
            planned, config=config, memory=dataclasses.replace(nothing, activations=size), kept_per_image=0
        )

    monkeypatch.setattr(memory_budget, "plan_training", scaled)
    large = scaled(planned.config, planned.data, 1)
    check_fit(large, MemoryBudget(1200, True))  # a tenth of 1,200 is spared: 1,080
    check_fit(large, MemoryBudget(None, False))
    # A batch of 4 needs 525, one of 2 262; the lesser change is named, and the precision changes nothing here.
    message = r"^small needs about 1\.0 KiB, but each of the devices can give 540 B; what would fit is data\.batch_size: 4$"
    with pytest.raises(UrfrError, match=message):
        check_fit(large, MemoryBudget(600, True))
    with pytest.raises(UrfrError, match="no single setting"):
        check_fit(large, MemoryBudget(20, True))
    # The program itself comes besides where the replicas share a process.
    with pytest.raises(UrfrError, match="this machine can give"):
        check_fit(large, MemoryBudget(600, False))


def test_alternatives_divide_and_are_not_there_already():
    config = small(data={"batch_size": 24}, head={"sample_count": 5}, runtime={"precision": "mixed_bfloat16"})
    # 24 = 2^3 * 3 over 3 replicas: 12, 6 and 3 divide.
    assert alternatives(config, DataFacts(classes=10**6), 3) == [
        {"head.sharded": True},
        {"data.batch_size": 12},
        {"data.batch_size": 6},
        {"data.batch_size": 3},
    ]


def test_shards_that_are_not_here_are_named(planned):
    config = small(data={"train": "/nowhere"}, train={"steps_per_epoch": 0})
    assert read_data_facts(config, None, None) == DataFacts()
    assert read_data_facts(config, 5, 80) == DataFacts(classes=5, images=80, steps=10)
    without = plan_training(config, DataFacts(), 1)
    words = format_plan(without, MemoryBudget(None, False), None)
    assert "unknown: identities and so the head; /nowhere is not here" in words
    assert "unknown: steps of each of the 3 epochs" in words
    assert as_json(without, MemoryBudget(None, False), 1.0)["hours"] is None
    assert f"{planned.parameters - 16_000:,} parameters without the head" in words


def test_replicas():
    assert count_replicas(small(), None) == (0, 1)
    assert count_replicas(small(runtime={"replicas": 4}), None) == (0, 4)
    with pytest.raises(UrfrError, match="divides"):
        count_replicas(small(), 3)


@pytest.mark.parametrize("adversary", ["identity", "domain"])
def test_the_attribute_network_is_planned(adversary):
    tree = {"task": "attributes", "data": {"batch_size": 8, "soft_labels": ["a", "b", "real"]}}
    tree |= {"attributes": {"adversary": adversary, "domain": "real"}, "model": {"input_size": 32}}
    done = plan_training(
        from_dict({**tree, "optimizer": RATE, "runtime": TREE["runtime"]}, "test"), DataFacts(classes=7), 1
    )
    assert done.parameters > 1_000_000
    assert done.memory.activations > 0


def test_the_uncertainty_stage_is_planned():
    """Only the confidence head learns: its F x 4 kernel and 4 biases have a momentum."""
    done = plan_training(small(task="uncertainty", initial_weights="/nowhere"), DataFacts(classes=7), 1)
    features = 2 * 2 * 64  # 32 px / 16, 512 channels / 8
    assert 0 < done.memory.optimizer - 4 * (features * 4 + 4) < 200


# What it prints last is its own peak, in KiB.
TRAIN = """
import re, sys
from urfr_tf.cli import main
assert main(sys.argv[1:]) == 0
print(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read()).group(1))
"""
AIM = 0.15
_PLAIN = {
    "optimizer": {**RATE, "clip_norm": 5.0},
    "train": {"epochs": 1, "steps_per_epoch": 3, "tensorboard": False},
    "runtime": TREE["runtime"],
}
_FACES = {"augment": {"blur": 0.3, "occlusion": 0.3, "pose": 0.3}, "decorrelation": {"enabled": True}}
MEASURED = {
    "small_table1_3_0": {
        **_PLAIN,
        **_FACES,
        "data": {"batch_size": 64},
        "model": {"backbone": "ir18", "width": 0.25, "input_size": 64},
    },
    "ir18_100": {
        **_PLAIN,
        **_FACES,
        "data": {"batch_size": 32},
        "model": {"backbone": "ir18", "input_size": 100},
    },
    "ir50_bfloat16": {
        **_PLAIN,
        "data": {"batch_size": 32},
        "model": {"backbone": "ir50", "input_size": 112},
        "runtime": {"precision": "mixed_bfloat16"},
    },
    "many_dense": {
        **_PLAIN,
        "data": {"batch_size": 64},
        "model": {"backbone": "ir18", "width": 0.25, "input_size": 64},
    },
    "many_sampled": {
        **_PLAIN,
        "data": {"batch_size": 64},
        "model": {"backbone": "ir18", "width": 0.25, "input_size": 64},
        "head": {"sample_count": 8192},
    },
}
IDENTITIES = {"many_dense": 200_000, "many_sampled": 200_000}
_SLOW = [name for name in MEASURED if name != "small_table1_3_0"]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    "name", ["small_table1_3_0", *[pytest.param(name, marks=pytest.mark.slow) for name in _SLOW]]
)
def test_the_peak_of_a_real_training(name, tmp_path):
    """`urfr train` on made-up photographs, with its input, its three steps and its checkpoint; VmHWM."""
    side = MEASURED[name]["model"]["input_size"]
    shards = tmp_path / "shards"
    shards.mkdir()
    write_photographs(shards, 256, side + 8)
    _add_identities(shards, IDENTITIES.get(name, 0))
    tree = {**MEASURED[name], "name": name}
    tree["data"] = {**tree["data"], "train": str(shards)}
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(tree))
    said = _run(["-m", "urfr_tf.cli", "plan", "--config", config, "--json"])
    expected = json.loads(said[-1])["needed"]
    said = _run(["-c", TRAIN, "train", "--config", config, "--run-dir", tmp_path / "run"])
    peak = int(said[-1]) * 1024
    assert abs(expected / peak - 1) < AIM, f"planned {expected >> 20} MiB, measured {peak >> 20} MiB"
    print(f"{name}: planned {expected >> 20} MiB, measured {peak >> 20} MiB, {expected / peak - 1:+.1%}")


def _run(words):
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run([sys.executable, *map(str, words)], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.splitlines()


def _add_identities(folder: Path, count: int) -> None:
    """People without images behind those who have some."""
    manifest = json.loads((folder / "manifest.json").read_text())
    have = manifest["classes"]
    if count > have:
        with open(folder / "classes.tsv", "a") as file:
            file.writelines(f"{label}\tnobody_{label}\t0\n" for label in range(have, count))
        (folder / "manifest.json").write_text(json.dumps({**manifest, "classes": count}))
