"""`urfr bench inference`: every exported format, and ONNX Runtime on the same network, in one run.

Keras, SavedModel and TensorFlow's own TFLite interpreter run here; ai-edge-litert and ONNX Runtime run in
the benchmark's own environment (made once under ~/.cache/urfr, see `peers.py`), because neither belongs to
the lock file. Weights are drawn at random: speed does not depend on them.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from urfr_tf import heads
from urfr_tf.bench.peers import peers_environment
from urfr_tf.bench.peers import run as run_peer
from urfr_tf.config import from_dict
from urfr_tf.files import size_of
from urfr_tf.models.inference import build_inference
from urfr_tf.run_folder import machine, versions

SIZE = 112
BACKBONES = {"ir50": "ir50", "mobile": "mobilefacenet"}
FORMATS = ("none", "float16", "dynamic", "int8")
BATCH = 32


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measures; see interface.md for the keys. Seconds are those of one call."""
    peers = peers_environment()
    seconds: dict[str, dict[str, float]] = {}
    ratios: dict[str, float] = {}
    sizes: dict[str, int] = {}
    peaks: dict[str, int] = {}
    for name, backbone in BACKBONES.items():
        with tempfile.TemporaryDirectory() as folder:
            network = _network(backbone)
            files = _export(network, Path(folder), peers)
            sizes.update({f"{name}_{part}": size_of(path) for part, path in files.items()})
            for batch in (1, BATCH):
                here = _here(network, files, batch, args.repeat)
                there = _there(files, batch, args.repeat, peers)
                peaks.update({f"{name}_{part}_batch{batch}": p for part, (_, p) in there.items()})
                times = {**here, **{part: values for part, (values, _) in there.items()}}
                seconds.update(
                    {f"{name}_{part}_batch{batch}": _summary(values) for part, values in times.items()}
                )
                ratios.update({f"{name}_{key}_batch{batch}": value for key, value in _ratios(times).items()})
    # The names of interface.md: IR-50, one image.
    for key in ("int8_over_float32", "dynamic_over_float32", "tflite_over_onnxruntime"):
        ratios[key] = ratios[f"ir50_{key}_batch1"]
    return {
        "machine": machine(),
        "versions": {**versions(), **peers.versions},
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


def _network(backbone: str) -> Any:
    tree = {
        "model": {"backbone": backbone, "input_size": SIZE, "groups": 16, "embedding_dim": 512},
        "optimizer": {"learning_rate": {"type": "constant"}},
    }
    network = build_inference(from_dict(tree, "urfr bench inference"))
    random = np.random.default_rng(0)
    for layer in network.layers:
        if isinstance(layer, tf.keras.layers.BatchNormalization):
            layer.moving_variance.assign(random.uniform(0.5, 2, layer.moving_variance.shape))
            layer.moving_mean.assign(random.normal(0, 0.1, layer.moving_mean.shape))
    return network


def _export(network: Any, folder: Path, peers: Any) -> dict[str, Path]:
    """Part -> file or folder, for every format that is compared."""
    from urfr_export.images import made_up_images
    from urfr_export.saved_model import write_saved_model
    from urfr_export.tflite import convert

    files = {"saved_model": folder / "saved_model"}
    write_saved_model(network, files["saved_model"], {})
    images = made_up_images(SIZE, 8)
    for quantize in FORMATS:
        name = "float32" if quantize == "none" else quantize
        files[f"tflite_{name}"] = folder / f"{name}.tflite"
        files[f"tflite_{name}"].write_bytes(convert(network, {}, quantize, images))
    files["onnxruntime"] = folder / "network.onnx"
    peers.to_onnx(files["saved_model"], files["onnxruntime"])
    return files


def _here(network: Any, files: dict[str, Path], batch: int, rounds: int) -> dict[str, list[float]]:
    """Seconds of Keras, SavedModel and TensorFlow's TFLite interpreter; they take turns."""
    images = tf.constant(np.random.default_rng(0).uniform(0, 255, [batch, SIZE, SIZE, 3]), tf.float32)
    keras_call = tf.function(lambda image: network({heads.IMAGE: image}, training=False), autograph=False)
    loaded = tf.saved_model.load(str(files["saved_model"]))
    works: dict[str, Callable[[], Any]] = {
        "keras": lambda: keras_call(images)[heads.EMBEDDING].numpy(),
        "saved_model": lambda: loaded.signatures["serving_default"](image=images)[heads.EMBEDDING].numpy(),
    }
    for part in ("float32", "dynamic", "int8"):
        works[f"tf_lite_{part}"] = _interpreter(files[f"tflite_{part}"], images.numpy())
    times: dict[str, list[float]] = {part: [] for part in works}
    for work in works.values():
        work()
        work()
    for _ in range(rounds):
        for part, work in works.items():
            start = time.perf_counter()
            work()
            times[part].append(time.perf_counter() - start)
    return times


def _interpreter(path: Path, images: np.ndarray) -> Callable[[], Any]:
    interpreter = tf.lite.Interpreter(str(path), num_threads=os.cpu_count())
    index = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(index, images.shape)
    interpreter.allocate_tensors()

    def work() -> None:
        interpreter.set_tensor(index, images)
        interpreter.invoke()

    return work


def _there(files: dict[str, Path], batch: int, rounds: int, peers: Any) -> dict[str, tuple[list[float], int]]:
    """Seconds and growth of the peak memory in ai-edge-litert and ONNX Runtime."""
    parts = {str(path): part for part, path in files.items() if path.is_file()}
    job = {
        "files": list(parts),
        "size": SIZE,
        "batch": batch,
        "rounds": rounds,
        "threads": os.cpu_count(),
    }
    program = Path(__file__).with_name("runtimes.py")
    said = run_peer([peers.python, str(program)], "the benchmark's peers failed", input=json.dumps(job))
    result = json.loads(said.splitlines()[-1])
    return {parts[file]: (entry["seconds"], entry["peak_bytes"]) for file, entry in result.items()}


def _ratios(times: dict[str, list[float]]) -> dict[str, float]:
    """Medians over rounds of the ratio within a round."""

    def over(above: str, below: str) -> float:
        pairs = zip(times[above], times[below], strict=True)
        return statistics.median(a / b for a, b in pairs)

    return {
        "int8_over_float32": over("tflite_int8", "tflite_float32"),
        "dynamic_over_float32": over("tflite_dynamic", "tflite_float32"),
        "float16_over_float32": over("tflite_float16", "tflite_float32"),
        "tflite_over_onnxruntime": over("tflite_float32", "onnxruntime"),
        "saved_model_over_keras": over("saved_model", "keras"),
    }


def _summary(values: list[float]) -> dict[str, float]:
    return {
        "min": min(values),
        "median": statistics.median(values),
        "max": max(values),
        "p95": float(np.quantile(values, 0.95)),
    }
