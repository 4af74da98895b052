"""`urfr bench step`: one training step of URFace with everything on against CosFace's, in one run.

Both have the same backbone (IR-18), batch (32) and input (100 x 100) and run the trainer's own train
step on prepared tensors; their rounds alternate, so that a drift of the machine meets both. Then IR-18, and
with `--full` IR-50 and IR-100, train and serve 112 x 112 pixels in float32 and bfloat16, each in a process of
its own (`step_point.py`) next to the matrix product of the same precision.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable

from urfr_tf.bench.peers import run_program
from urfr_tf.bench.spread import BenchResult, summarize
from urfr_tf.bench.step_point import (
    CLASSES,
    StepJob,
    StepPoint,
    count_multiply_adds,
    make_matrix_product,
    make_training_step,
)
from urfr_tf.config.load_config import from_dict
from urfr_tf.config.tree import Experiment
from urfr_tf.runs.origin import collect_versions
from urfr_tf.system.processor import describe_machine
from urfr_tf.training.optimizers import build_schedule
from urfr_tf.training.tasks.recognition import build_recognition_model, compile_model

BATCH, SIZE, STEPS = 32, 100, 2
BACKBONES, FULL = ("ir18",), ("ir18", "ir50", "ir100")
PRECISIONS = ("float32", "mixed_bfloat16")
_POINT_SIZE = 112
_SIDE = 2048
_SCHEDULE = {"learning_rate": {"type": "constant", "constant": {"learning_rate": 0.01}}}


def run(args: argparse.Namespace) -> BenchResult:
    """Measures; docs/lab/scale.md has what was measured."""
    seconds, ratios = compare_with_cosface(args.repeat)
    images: dict[str, float] = {}
    peaks: dict[str, int] = {}
    for backbone in FULL if args.full else BACKBONES:
        for precision in PRECISIONS:
            name = f"{backbone}_{precision}"
            point = measure_network(backbone, precision, args.repeat)
            peaks[name] = point["peak_bytes"]
            seconds.update({f"{name}_{work}": values for work, values in point["seconds"].items()})
            images.update({f"{name}_{work}": value for work, value in compute_rates(point).items()})
            ratios.update(
                {
                    f"{name}_{work}_share_of_peak": value
                    for work, value in compute_shares_of_peak(point).items()
                }
            )
    return {
        "machine": describe_machine(),
        "versions": collect_versions(),
        "seconds": {name: summarize(values) for name, values in seconds.items()},
        "ratios": ratios,
        "images_per_second": images,
        "peak_bytes": peaks,
    }


def measure_network(backbone: str, precision: str, rounds: int, batch: int = BATCH) -> StepPoint:
    """Measures one network with `step_point` in a separate process.

    Raises:
        UrfrError: its process fails.
    """
    job: StepJob = {
        "backbone": backbone,
        "size": _POINT_SIZE,
        "batch": batch,
        "precision": precision,
        "rounds": rounds,
        "inference": True,
    }
    command = [sys.executable, "-m", "urfr_tf.bench.step_point", json.dumps(job)]
    output = run_program(command, f"{backbone} in {precision} failed")
    point: StepPoint = json.loads(output.splitlines()[-1])
    return point


def compute_rates(point: StepPoint) -> dict[str, float]:
    """Computes images a second in training and inference, from the median."""
    works = (work for work in point["seconds"] if work != "matmul")
    return {work: point["batch"] / statistics.median(point["seconds"][work]) for work in works}


def compute_shares_of_peak(point: StepPoint) -> dict[str, float]:
    """Divides operations a second by those of the fastest matrix product of the same process."""
    seconds, flops = point["seconds"], point["flops"]
    peak = flops["matmul"] / min(seconds["matmul"])
    works = (work for work in seconds if work != "matmul")
    return {work: flops[work] / statistics.median(seconds[work]) / peak for work in works}


def compare_with_cosface(rounds: int) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Measures URFace against CosFace: (seconds of each round, ratios)."""
    steps, flops = {}, 0.0
    for name, config in build_configurations().items():
        model, network = build_recognition_model(config, CLASSES, synchronized=False)
        compile_model(config, model, build_schedule(config.optimizer, 1000))
        steps[name] = make_training_step(config, model)
        if name == "cosface":
            flops = 3 * 2 * count_multiply_adds(model, network) * BATCH
    times: dict[str, list[float]] = {name: [] for name in [*steps, "matmul"]}
    square = make_matrix_product(_SIDE)
    for timed in (*steps.values(), square):
        timed()
    ratios = []
    for _ in range(rounds):
        for name, step in steps.items():
            times[name].append(_time(step, STEPS))
        times["matmul"].append(_time(square, 1))
        ratios.append(times["urface"][-1] / times["cosface"][-1])
    peak = 2 * _SIDE**3 / min(times["matmul"])
    return times, {
        "urface_over_cosface": statistics.median(ratios),
        "urface_over_cosface_min": min(ratios),
        "urface_over_cosface_max": max(ratios),
        "share_of_peak": flops / statistics.median(times["cosface"]) / peak,
    }


def build_configurations() -> dict[str, Experiment]:
    """Builds the two experiments that are compared."""
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


def _time(work: Callable[[], object], count: int) -> float:
    start = time.perf_counter()
    for _ in range(count):
        work()
    return (time.perf_counter() - start) / count
