"""`urfr bench inference`: every exported format, and ONNX Runtime on the same network, in one run.

Keras, SavedModel and TensorFlow's own TFLite interpreter run in one process, ai-edge-litert and ONNX Runtime
in another, with the Python of the benchmark's own environment (made once under ~/.cache/urfr, see
`peers.py`), because neither belongs to the lock file. Weights are drawn at random: speed does not depend on
them.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TypeAlias, TypedDict

import numpy as np

from urfr_tf.bench.peers import Peers, peers_environment, run_program
from urfr_tf.bench.spread import BenchResult, Spread, summarize
from urfr_tf.config.load_config import from_dict
from urfr_tf.files import size_of
from urfr_tf.keras2 import keras
from urfr_tf.models.inference_graph import build_inference
from urfr_tf.runs.origin import collect_versions
from urfr_tf.system.cores import count_cores
from urfr_tf.system.processor import BFLOAT16, DECISIVE, describe_machine, processor_flags

SIZE = 112
BACKBONES = {"ir50": "ir50", "mobile": "mobilefacenet", "dlib": "dlib_resnet"}
FORMATS = {"float32": "none", "float16": "float16", "dynamic": "dynamic", "int8": "int8"}
BATCH = 32
ROUNDS = {1: 10, BATCH: 1}
"""Rounds of measurement for each of `--repeat`: a 95th percentile needs many, a batch takes seconds."""
HERE, THERE = ("keras", "saved_model", "tf_lite"), ("litert", "onnx")
Times: TypeAlias = dict[str, list[float]]


class Timed(TypedDict):
    """What `runtimes` says of one model."""

    seconds: list[float]
    peak_bytes: int


class Percentiles(Spread):
    """A spread with the 95th percentile."""

    p95: float


def run(args: argparse.Namespace) -> BenchResult:
    """Measures. Seconds are those of one call."""
    peers = peers_environment()
    threads = args.threads or count_cores()
    seconds: dict[str, Percentiles] = {}
    ratios: dict[str, float] = {}
    sizes: dict[str, int] = {}
    peaks: dict[str, int] = {}
    for name, backbone in BACKBONES.items():
        with tempfile.TemporaryDirectory() as folder:
            models = _export(backbone, Path(folder), peers)
            sizes.update(
                {
                    f"{name}_{model}": size_of(Path(path))
                    for model, (kind, path) in models.items()
                    if kind != "keras"
                }
            )
            for batch, each in ROUNDS.items():
                times: Times = {}
                for python, kinds in ((sys.executable, HERE), (peers.python, THERE)):
                    _report(f"{name}: batch {batch} in {', '.join(kinds)}")
                    chosen = {model: place for model, place in models.items() if place[0] in kinds}
                    for model, entry in _measured(python, chosen, batch, each * args.repeat, threads).items():
                        times[model] = entry["seconds"]
                        peaks[f"{name}_{model}_batch{batch}"] = entry["peak_bytes"]
                seconds.update(
                    {f"{name}_{model}_batch{batch}": _summary(values) for model, values in times.items()}
                )
                ratios.update({f"{name}_{key}_batch{batch}": value for key, value in _ratios(times).items()})
    # Names that other programs rely on: IR-50, one image.
    for key in ("int8_over_float32", "dynamic_over_float32", "tflite_over_onnxruntime"):
        ratios[key] = ratios[f"ir50_{key}_batch1"]
    return {
        "machine": describe_machine(),
        "instructions": [name for name in DECISIVE if name in processor_flags()],
        "threads": threads,
        "versions": {**collect_versions(), **peers.versions},
        "seconds": seconds,
        "ratios": ratios,
        "bytes": sizes,
        "peak_bytes": peaks,
        "images_per_second": {
            key.removesuffix(f"_batch{BATCH}"): BATCH / value["median"]
            for key, value in seconds.items()
            if key.endswith(f"_batch{BATCH}")
        },
    }


def build_random_network(backbone: str) -> keras.Model:
    """Builds the inference model of a backbone, with batch norms that do something."""
    tree = {
        "model": {"backbone": backbone, "input_size": SIZE, "groups": 16, "embedding_dim": 512},
        "optimizer": {"learning_rate": {"type": "constant"}},
    }
    network = build_inference(from_dict(tree, "urfr bench inference"))
    random = np.random.default_rng(0)
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.moving_variance.assign(random.uniform(0.5, 2, layer.moving_variance.shape))
            layer.moving_mean.assign(random.normal(0, 0.1, layer.moving_mean.shape))
    return network


def _export(backbone: str, folder: Path, peers: Peers) -> dict[str, tuple[str, str]]:
    """Model -> kind of runtime and file or folder, for everything that is compared."""
    from urfr_tf.export.fold_batch_norm import fold_batch_norm
    from urfr_tf.export.images import make_smooth_images
    from urfr_tf.export.saved_model import write_saved_model
    from urfr_tf.export.tflite import convert_to_tflite

    network = build_random_network(backbone)
    models = {"keras": ("keras", backbone), "saved_model": ("saved_model", str(folder / "saved_model"))}
    _report(f"{backbone}: SavedModel")
    write_saved_model(network, folder / "saved_model", {})
    folded = {"saved_model_frozen": ("float32", True)}
    if processor_flags().intersection(BFLOAT16):
        folded["saved_model_bfloat16"] = ("bfloat16", False)
        folded["saved_model_bfloat16_frozen"] = ("bfloat16", True)
    for name, (dtype, frozen) in folded.items():
        models[name] = ("saved_model", str(folder / name))
        write_saved_model(
            fold_batch_norm(network, prelu="maximum", dtype=dtype), folder / name, {}, frozen=frozen
        )
    images = make_smooth_images(SIZE, 8)
    for name, quantize in FORMATS.items():
        _report(f"{backbone}: TFLite {name}")
        file = folder / f"{name}.tflite"
        file.write_bytes(convert_to_tflite(network, {}, quantize, images))
        models[f"tflite_{name}"] = ("litert", str(file))
        if name != "float16":  # whose weights are float32 once they are loaded
            models[f"tf_lite_{name}"] = ("tf_lite", str(file))
    _report(f"{backbone}: ONNX by tf2onnx, the longest of the conversions")
    peers.to_onnx(folder / "saved_model", folder / "network.onnx")
    models["onnxruntime"] = ("onnx", str(folder / "network.onnx"))
    return models


def _measured(
    python: str, models: dict[str, tuple[str, str]], batch: int, rounds: int, threads: int | None
) -> dict[str, Timed]:
    """Measures the seconds of each round and the growth of the resident memory's peak, by model."""
    job = {"models": models, "size": SIZE, "batch": batch, "rounds": rounds, "threads": threads}
    program = Path(__file__).with_name("runtimes.py")
    output = run_program([python, str(program)], "the benchmark's runtimes failed", stdin=json.dumps(job))
    timed: dict[str, Timed] = json.loads(output.splitlines()[-1])
    return timed


def _ratios(times: Times) -> dict[str, float]:
    """Medians over rounds of the ratio within a round; across two processes, ratios of the medians."""

    def over(above: str, below: str) -> float:
        pairs = zip(times[above], times[below], strict=True)
        return statistics.median(a / b for a, b in pairs)

    def across(above: str, below: str) -> float:
        return statistics.median(times[above]) / statistics.median(times[below])

    ratios = {
        "int8_over_float32": over("tflite_int8", "tflite_float32"),
        "dynamic_over_float32": over("tflite_dynamic", "tflite_float32"),
        "float16_over_float32": over("tflite_float16", "tflite_float32"),
        "tflite_over_onnxruntime": over("tflite_float32", "onnxruntime"),
        "saved_model_over_keras": over("saved_model", "keras"),
        "saved_model_over_onnxruntime": across("saved_model", "onnxruntime"),
        "frozen_over_onnxruntime": across("saved_model_frozen", "onnxruntime"),
    }
    if "saved_model_bfloat16" in times:
        ratios["bfloat16_over_float32"] = over("saved_model_bfloat16", "saved_model")
        ratios["bfloat16_over_onnxruntime"] = across("saved_model_bfloat16", "onnxruntime")
        ratios["bfloat16_frozen_over_onnxruntime"] = across("saved_model_bfloat16_frozen", "onnxruntime")
    return ratios


def _summary(values: list[float]) -> Percentiles:
    return {**summarize(values), "p95": float(np.quantile(values, 0.95))}


_START = time.monotonic()


def _report(what: str) -> None:
    print(f"{time.monotonic() - _START:5.0f} s  {what}", file=sys.stderr, flush=True)
