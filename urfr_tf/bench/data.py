"""`urfr bench data`: what the training pipeline costs, compared with decoding the same images.

`decode` is the least that a tf.data pipeline of images does: `map(decode_jpeg)` over encoded images in
memory, then `batch`, in uint8. `own_decode` is the first half of our pipeline: it reads shards, and parses
and decodes whole batches. It is faster, so it is the stricter baseline. Everything else is `training_dataset`
with its shuffling, in float32 batches. `pose` and `all` read turned faces that `urfr turn` stored with the
shards. `pose_in_graph` and `all_in_graph` turn them in the pipeline. The pipelines take turns, so that a
drift of the machine affects all of them.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import tensorflow as tf

from urfr_tf import keys
from urfr_tf.augment.choose import VARIATIONS
from urfr_tf.bench.photographs import write_photographs
from urfr_tf.bench.spread import BenchResult, summarize
from urfr_tf.data import records
from urfr_tf.data.manifest import load_manifest
from urfr_tf.data.stream.random_crop import decode, decode_all
from urfr_tf.data.stream.settings import Augmentation, Sampling, StreamSettings
from urfr_tf.data.stream.training_stream import training_dataset
from urfr_tf.data.stream.turned_faces import turn_shards
from urfr_tf.runs.origin import collect_versions
from urfr_tf.system.processor import describe_machine

# The paper's sizes and probability (method, sections 1 and 3).
IMAGE_SIZE, CROP_SIZE, PROBABILITY = 110, 100, 0.3
_PAPER = ("blur", "occlusion", "pose")
_IMAGES, _BATCH = 2048, 256
_FIRST, _TIMED = 3, 8


def run(args: argparse.Namespace) -> BenchResult:
    """Measures. Seconds are those of 1,000 images."""
    with tempfile.TemporaryDirectory() as folder:
        write_photographs(Path(folder), _IMAGES, IMAGE_SIZE)
        return _measure(folder, args.repeat)


def _measure(folder: str, rounds: int) -> BenchResult:
    pipelines = {"decode": _decode_only(folder), "own_decode": _own_decode(folder)}
    turn_shards(load_manifest(folder), copies=1, seed=0)
    chosen = {"crop_flip": (), **{v: (v,) for v in VARIATIONS}, "all": _PAPER}
    for name, variations in chosen.items():
        pipelines[name] = _augmented(folder, variations, turned="pose" in variations)
    for name in ("pose", "all"):
        pipelines[f"{name}_in_graph"] = _augmented(folder, chosen[name], turned=False)
    for dataset in pipelines.values():
        _seconds(dataset)
    wall: dict[str, list[float]] = {name: [] for name in pipelines}
    processor: dict[str, list[float]] = {name: [] for name in pipelines}
    for _ in range(rounds):
        for name, dataset in pipelines.items():
            seconds = _seconds(dataset)
            wall[name].append(seconds[0])
            processor[name].append(seconds[1])
    ratios = {}
    for name in list(pipelines)[1:]:
        of_rounds = [d / s for d, s in zip(wall["decode"], wall[name], strict=True)]
        ratios[f"{name}_over_decode"] = statistics.median(of_rounds)
        ratios[f"{name}_over_decode_min"] = min(of_rounds)
        ratios[f"{name}_over_decode_max"] = max(of_rounds)
    rounds_of_both = zip(wall["own_decode"], wall["all"], strict=True)
    ratios["all_over_own_decode"] = statistics.median(d / s for d, s in rounds_of_both)
    return {
        "machine": describe_machine(),
        "versions": collect_versions(),
        "seconds": {name: summarize(values) for name, values in wall.items()},
        "processor_seconds": {name: summarize(values) for name, values in processor.items()},
        "ratios": ratios,
    }


def _augmented(folder: str, variations: tuple[str, ...], turned: bool) -> tf.data.Dataset:
    return training_dataset(
        StreamSettings(
            shards=folder,
            crop_size=CROP_SIZE,
            seed=0,
            sampling=Sampling(_BATCH),
            augmentation=Augmentation(probabilities=dict.fromkeys(variations, PROBABILITY), turned=turned),
        )
    )


def _decode_only(folder: str) -> tf.data.Dataset:
    shards = tf.data.TFRecordDataset([str(path) for path in load_manifest(folder).shard_paths])
    encoded = records.parse(tf.constant(list(shards.as_numpy_iterator())))[keys.IMAGE]
    stream = tf.data.Dataset.from_tensor_slices(encoded).repeat()
    stream = stream.map(lambda one: decode(one, IMAGE_SIZE), num_parallel_calls=tf.data.AUTOTUNE)
    return stream.batch(_BATCH, drop_remainder=True).prefetch(tf.data.AUTOTUNE)


def _own_decode(folder: str) -> tf.data.Dataset:
    shards = tf.data.TFRecordDataset([str(path) for path in load_manifest(folder).shard_paths])

    def read(serialized: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        batch = records.parse(serialized)
        return decode_all(batch[keys.IMAGE], IMAGE_SIZE), batch[keys.LABEL]

    stream = shards.repeat().batch(_BATCH, drop_remainder=True)
    return stream.map(read, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def _seconds(dataset: tf.data.Dataset) -> tuple[float, float]:
    """Wall and processor seconds for 1,000 images, once the pipeline is under way."""
    batches = iter(dataset)
    for _ in range(_FIRST):
        next(batches)
    wall, processor = time.perf_counter(), time.process_time()
    for _ in range(_TIMED):
        next(batches)
    images = _TIMED * _BATCH / 1000
    return (time.perf_counter() - wall) / images, (time.process_time() - processor) / images
