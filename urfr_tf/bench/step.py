"""`urfr bench step`: one training step of URFace with everything on against CosFace's, in one run.

Both have the same backbone (IR-18), batch (32) and input (100 x 100) and run the trainer's own train
step on prepared tensors; their rounds alternate, so that a drift of the machine meets both.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from urfr_tf import heads
from urfr_tf.config import Experiment, from_dict
from urfr_tf.optimizers import build_schedule
from urfr_tf.run_folder import machine, versions
from urfr_tf.tasks.recognition import build_model, compile_model

BATCH, SIZE, CLASSES, STEPS = 32, 100, 1000, 2
_SCHEDULE = {"learning_rate": {"type": "constant", "constant": {"learning_rate": 0.01}}}


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measures; see interface.md for the keys."""
    steps = {name: _step(config) for name, config in configurations().items()}
    flops = training_flops(configurations()["cosface"])
    times: dict[str, list[float]] = {name: [] for name in [*steps, "matmul"]}
    product = _matmul()
    for timed in (*steps.values(), product):
        timed()
    ratios = []
    for _ in range(args.repeat):
        for name, step in steps.items():
            times[name].append(_time(step, STEPS))
        times["matmul"].append(_time(product, 1))
        ratios.append(times["urface"][-1] / times["cosface"][-1])
    peak = 2 * _SIDE**3 / min(times["matmul"])
    return {
        "machine": machine(),
        "versions": versions(),
        "seconds": {
            name: {"min": min(values), "median": statistics.median(values), "max": max(values)}
            for name, values in times.items()
        },
        "ratios": {
            "urface_over_cosface": statistics.median(ratios),
            "urface_over_cosface_min": min(ratios),
            "urface_over_cosface_max": max(ratios),
            "share_of_peak": flops / statistics.median(times["cosface"]) / peak,
        },
    }


def configurations() -> dict[str, Experiment]:
    """The two experiments that are compared."""
    model = {"backbone": "ir18", "input_size": SIZE}
    variations = {"blur": 0.3, "occlusion": 0.3, "pose": 0.3}
    shared = {"optimizer": {**_SCHEDULE, "clip_norm": 5.0}, "data": {"batch_size": BATCH}}
    urface = {
        "model": {**model, "groups": 16},
        "augment": variations,
        "decorrelation": {"enabled": True},
        **shared,
    }
    cosface = {
        "model": {**model, "groups": 1},
        "confidence": {"learned": False, "initial": 64.0},
        "loss": {"margin": 22.4},
        **shared,
    }
    return {"urface": from_dict(urface, "urfr bench step"), "cosface": from_dict(cosface, "urfr bench step")}


def training_flops(config: Experiment) -> float:
    """Floating-point operations of a training step's convolutions and products: 3 x 2 x multiply-adds."""
    model, network = build_model(config, CLASSES, synchronized=False)
    total = 0.0
    for layer in network.layers:
        kernel = getattr(layer, "kernel", None)
        if kernel is not None and len(layer.output_shape) == 4:
            total += float(np.prod(kernel.shape)) * np.prod(layer.output_shape[1:3])
    total += sum(float(np.prod(v.shape)) for v in model.trainable_variables if len(v.shape) == 2)
    return 3 * 2 * total * BATCH


def _step(config: Experiment) -> Callable[[], Any]:
    model, _ = build_model(config, CLASSES, synchronized=False)
    compile_model(config, model, build_schedule(config.optimizer, 1000))
    random = np.random.default_rng(0)
    images = tf.constant(random.uniform(0, 255, [BATCH, SIZE, SIZE, 3]), tf.float32)
    labels = tf.constant(random.integers(0, CLASSES, BATCH))
    variation = tf.constant(random.integers(0, 2, [BATCH, len(config.variations)]), tf.float32)
    data = ({heads.IMAGE: images, heads.LABEL: labels}, {heads.VARIATION: variation})
    compiled = tf.function(lambda: model.train_step(data)["loss"])
    return lambda: compiled().numpy()


_SIDE = 2048


def _matmul() -> Callable[[], Any]:
    square = tf.random.stateless_normal([_SIDE, _SIDE], [0, 1])
    compiled = tf.function(lambda: tf.matmul(square, square))
    return lambda: compiled().numpy()


def _time(work: Callable[[], Any], count: int) -> float:
    start = time.perf_counter()
    for _ in range(count):
        work()
    return (time.perf_counter() - start) / count
