"""A .tflite file -> a callable, with one interpreter or with one for each core."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from urfr_tf import keys
from urfr_tf.errors import UrfrError, short_reason_of
from urfr_tf.litert import Interpreter
from urfr_tf.runs.embedder import Embedder, Outputs
from urfr_tf.runs.tflite_file import read_tflite
from urfr_tf.system.cores import count_cores

MOST_COPIES = 1 << 30
"""Bytes of weights that all interpreters of a file may hold."""


def load_tflite(path: Path, bulk: bool = False) -> Embedder:
    """Loads a TFLite file.

    Args:
        path: the file.
        bulk: one interpreter for each core, as far as memory allows. One core for each image is faster than
            all cores for one image after the other.

    Raises:
        UrfrError: the file is damaged, or has no signature `serving_default` as `urfr export` writes it.
    """
    content, card = read_tflite(path)
    cores = count_cores()
    count = max(1, min(cores, MOST_COPIES // len(content))) if bulk else 1
    try:
        interpreters = [Interpreter(model_content=content, num_threads=cores // count) for _ in range(count)]
        tensors = _find_tensors(interpreters[0])
        for interpreter in interpreters:
            interpreter.allocate_tensors()
    except Exception as error:  # ValueError or RuntimeError by the kind of damage, KeyError on other models.
        raise UrfrError(
            f"expected a TensorFlow Lite model with the signature serving_default of urfr export, but {path} "
            f"gives: {short_reason_of(error)}"
        ) from error

    # Not by the runner of the signature, which plans the graph again in every call.
    def embed_one_by_one(interpreter: Interpreter, crops: NDArray[np.float32]) -> list[Outputs]:
        results = []
        for crop in crops:
            interpreter.set_tensor(tensors.image, crop[np.newaxis])
            try:
                interpreter.invoke()
            except RuntimeError as error:  # What an operator finds wrong only when it runs.
                raise UrfrError(
                    f"the network in {path} does not run, it is damaged: {short_reason_of(error)}"
                ) from error
            results.append({name: interpreter.get_tensor(index) for name, index in tensors.outputs.items()})
        return results

    def compute(crops: NDArray[np.float32]) -> Outputs:
        with ThreadPoolExecutor(count) as pool:
            slices = pool.map(embed_one_by_one, interpreters, np.array_split(crops, count))
            images = [outputs for results in slices for outputs in results]
        return {name: np.concatenate([outputs[name] for outputs in images]) for name in tensors.outputs}

    return Embedder(
        str(path),
        "tflite",
        tensors.input_size,
        tensors.groups,
        tensors.dim,
        hashlib.sha256(content).hexdigest(),
        compute,
        card,
    )


class _Tensors(NamedTuple):
    """Indices of the input and of the outputs by name, and S, K, D."""

    image: int
    outputs: dict[str, int]
    input_size: int
    groups: int
    dim: int


def _find_tensors(interpreter: Interpreter) -> _Tensors:
    """Reads the signature `serving_default`.

    Raises:
        ValueError, KeyError: another signature.
    """
    image = interpreter.get_input_details()[0]
    size = int(image["shape"][1])
    # The runner is dropped with this function: an interpreter that something else holds refuses to allocate.
    runner = interpreter.get_signature_runner("serving_default")
    inputs, outputs = runner.get_input_details(), runner.get_output_details()
    names = (keys.CONFIDENCE, keys.EMBEDDING, keys.VARIANCE)
    groups, dim, variances = (int(outputs[name]["shape"][-1]) for name in names)
    if variances != groups:
        raise ValueError(f"expected {groups} variances, but got {variances}")
    if list(inputs) != [keys.IMAGE] or image["dtype"] != np.float32:
        raise ValueError(f"expected one float32 input {keys.IMAGE}")
    return _Tensors(
        image["index"], {name: each["index"] for name, each in outputs.items()}, size, groups, dim
    )
