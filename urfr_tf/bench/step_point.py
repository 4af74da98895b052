"""One network in one precision for `urfr bench step`, in a process of its own: a peak of memory cannot be
taken back.

Run as `python -m urfr_tf.bench.step_point JSON`; it prints JSON. Training is the trainer's step of a
CosFace baseline on prepared tensors; inference is the serving graph. The matrix product next to them, in the
same precision, takes turns with them.
"""

import json
import sys
import time
from collections.abc import Callable
from typing import TypedDict

import numpy as np
import tensorflow as tf

from urfr_tf import keys
from urfr_tf.config.load_config import from_dict
from urfr_tf.config.tree import Experiment
from urfr_tf.export.fold_batch_norm import fold_batch_norm
from urfr_tf.keras2 import keras
from urfr_tf.models.inference_graph import build_inference
from urfr_tf.system import memory
from urfr_tf.training.optimizers import build_schedule
from urfr_tf.training.tasks.recognition import build_recognition_model, compile_model

CLASSES = 1000
_SIDES = {"float32": 2048, "mixed_bfloat16": 4096}


class StepJob(TypedDict):
    """What is measured."""

    backbone: str
    size: int
    batch: int
    precision: str
    rounds: int
    inference: bool


class StepPoint(TypedDict):
    """What was measured; `train`, `inference` and `matmul` are the keys of the first three."""

    seconds: dict[str, list[float]]
    processor_seconds: dict[str, list[float]]
    flops: dict[str, float]
    peak_bytes: int
    batch: int


def configure_cosface(job: StepJob) -> Experiment:
    """Builds CosFace of scale 64 and margin 0.35 with the backbone, size, batch and precision of a job."""
    return from_dict(
        {
            "model": {"backbone": job["backbone"], "input_size": job["size"], "groups": 1},
            "confidence": {"learned": False, "initial": 64.0},
            "loss": {"margin": 22.4},
            "optimizer": {
                "learning_rate": {"type": "constant", "constant": {"learning_rate": 0.01}},
                "clip_norm": 5.0,
            },
            "data": {"batch_size": job["batch"]},
            "runtime": {"precision": job["precision"]},
        },
        "urfr bench step",
    )


def count_multiply_adds(model: keras.Model, network: keras.Model) -> float:
    """Counts the multiply-adds of the convolutions and products of one image's forward pass."""
    total = 0.0
    for layer in network.layers:
        kernel = getattr(layer, "kernel", None)
        if kernel is not None and len(layer.output_shape) == 4:
            total += float(np.prod(kernel.shape)) * np.prod(layer.output_shape[1:3])
    return total + sum(float(np.prod(v.shape)) for v in model.trainable_variables if len(v.shape) == 2)


def measure_point(job: StepJob) -> StepPoint:
    """Measures the seconds of each round, by the clock and of the processors, and the peak memory."""
    config = configure_cosface(job)
    keras.mixed_precision.set_global_policy(job["precision"])
    before = memory.resident()
    model, network = build_recognition_model(config, CLASSES, synchronized=False, load=False)
    compile_model(config, model, build_schedule(config.optimizer, 1000))
    multiply_adds = count_multiply_adds(model, network)
    works = {"train": make_training_step(config, model)}
    if job["inference"]:
        works["inference"] = make_inference_step(config)
    seconds: dict[str, list[float]] = {name: [] for name in (*works, "matmul")}
    processor: dict[str, list[float]] = {name: [] for name in seconds}
    for work in works.values():
        work()
        work()
    peak = memory.peak() - before
    side = _SIDES[job["precision"]]
    works["matmul"] = make_matrix_product(side, job["precision"])
    works["matmul"]()
    for _ in range(job["rounds"]):
        for name, work in works.items():
            start, used = time.perf_counter(), time.process_time()
            work()
            seconds[name].append(time.perf_counter() - start)
            processor[name].append(time.process_time() - used)
    return {
        "seconds": seconds,
        "processor_seconds": processor,
        "flops": {
            "train": 3 * 2 * multiply_adds * job["batch"],
            "inference": 2 * multiply_adds * job["batch"],
            "matmul": 2 * side**3,
        },
        "peak_bytes": peak,
        "batch": job["batch"],
    }


def make_training_step(config: Experiment, model: keras.Model) -> Callable[[], object]:
    """Makes one training step on prepared tensors."""
    batch, size = config.data.batch_size, config.model.input_size
    random = np.random.default_rng(0)
    images = tf.constant(random.uniform(0, 255, [batch, size, size, 3]), tf.float32)
    labels = tf.constant(random.integers(0, CLASSES, batch))
    variation = tf.constant(random.integers(0, 2, [batch, len(config.variations)]), tf.float32)
    inputs = {keys.IMAGE: images, keys.LABEL: labels}
    if config.loss.teacher:
        inputs[keys.ORIGINAL] = tf.cast(images, tf.uint8)
    data = (inputs, {keys.VARIATION: variation})
    compiled = tf.function(lambda: model.train_step(data)["loss"])
    return lambda: compiled().numpy()


def make_inference_step(config: Experiment) -> Callable[[], object]:
    """Makes one pass of the inference graph as an export serves it on as many prepared images: folded in
    bfloat16.
    """
    batch, size = config.data.batch_size, config.model.input_size
    images = tf.constant(np.random.default_rng(0).uniform(0, 255, [batch, size, size, 3]), tf.float32)
    if config.runtime.precision == "mixed_bfloat16":
        keras.mixed_precision.set_global_policy("float32")
        network = fold_batch_norm(build_inference(config), prelu="maximum", dtype="bfloat16")
        keras.mixed_precision.set_global_policy("mixed_bfloat16")
    else:
        network = build_inference(config)
    compiled = tf.function(lambda: network({keys.IMAGE: images}, training=False)[keys.EMBEDDING])
    return lambda: compiled().numpy()


def make_matrix_product(side: int, precision: str = "float32") -> Callable[[], object]:
    """Makes the product of a square matrix with itself, in the precision in which a policy computes."""
    dtype = tf.bfloat16 if precision == "mixed_bfloat16" else tf.float32
    square = tf.cast(tf.random.stateless_normal([side, side], [0, 1]), dtype)
    compiled = tf.function(lambda: tf.reduce_sum(tf.cast(tf.matmul(square, square)[:1], tf.float32)))
    return lambda: compiled().numpy()


if __name__ == "__main__":
    from urfr_tf.system.quiet import leave_out_keras_3, quiet_libraries

    leave_out_keras_3()
    quiet_libraries()
    print(json.dumps(measure_point(json.loads(sys.argv[1]))))
