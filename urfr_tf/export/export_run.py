"""A run folder -> a SavedModel or a TFLite file that was checked before it got its name."""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from urfr_tf.errors import UrfrError
from urfr_tf.export.accuracy import change, check_faces, measure_faces, open_faces
from urfr_tf.export.departure import departure_of_file, departure_of_network
from urfr_tf.export.fold_batch_norm import fold
from urfr_tf.export.images import images_for
from urfr_tf.export.parity import LIMITS, check, measure
from urfr_tf.export.saved_model import write_saved_model
from urfr_tf.export.tflite import QUANTIZATIONS, convert
from urfr_tf.export.warmup import write_warmup
from urfr_tf.files import disk_error, read_json, size_of, write_bytes, write_json
from urfr_tf.runs.load_model import load_model
from urfr_tf.runs.load_run import load_network, make_embedder
from urfr_tf.runs.origin import collect_versions
from urfr_tf.runs.thresholds import threshold_path, write_threshold

PARITY = "parity.json"
PARITY_IMAGES = 64
CALIBRATION_IMAGES = 256
TRAINING_IMAGES = 2048
EMBEDDINGS = ".embeddings"
"""Of the pairs of faces, in the folder of the exports; the next format finds those of Keras there."""


def export_run(
    run: str | os.PathLike[str],
    out: str | os.PathLike[str],
    form: str,
    *,
    quantize: str = "none",
    calibration: str | None = None,
    faces: str | None = None,
    quantization_aware: int = 0,
    licence: str = "Apache-2.0",
    version: int = 1,
    frozen: bool = False,
) -> tuple[Path, dict[str, Any]]:
    """Exports a run.

    Args:
        run: run folder.
        out: folder for `saved_model/VERSION/` or `model.tflite`, and `parity.json`.
        form: `saved_model` or `tflite`.
        quantize: for TFLite, one of `tflite.QUANTIZATIONS`; for a SavedModel `none` or `bfloat16`, which only a
            processor that computes in it (AMX, AVX512_BF16) runs faster than float32.
        calibration: folder of shards whose images parity is checked with and int8 measures ranges on.
        faces: pairs of faces (`accuracy.open_faces`) on which accuracy and TAR may not fall by more than the limit;
            the export then gets the threshold that was calibrated with itself.
        quantization_aware: for int8, so many steps of training beforehand (`quantization_aware.adapt`).
        licence: what the card says about the licence of the model (an SPDX name).
        version: for a SavedModel, the number of its folder; a server takes the largest.
        frozen: for a SavedModel, folded and with its weights as constants: faster at batch 1, larger in memory, and
            not to be fine-tuned.

    Returns:
        Where the export is, and what parity.json says about it.

    Raises:
        UrfrError: the run is not complete, the settings do not go together, the disk is full, or the
            export departs from Keras by more than its limit. An older export is left as it was then.
    """
    allowed = ("none", "bfloat16") if form == "saved_model" else QUANTIZATIONS
    if quantize not in allowed:
        raise UrfrError(f"expected --quantize {', '.join(allowed)} with {form}, but got {quantize}")
    if quantize == "int8" and not calibration:
        raise UrfrError("int8 needs --calibration SHARDS, a folder of urfr prepare, to measure ranges on")
    if quantization_aware and quantize != "int8":
        raise UrfrError(f"expected --quantization-aware with --quantize int8, but got it with {quantize}")
    if frozen and form != "saved_model":
        raise UrfrError(f"expected --frozen with --format saved_model, but got it with {form}")
    run, out = Path(run), Path(out)
    pairs = open_faces(faces) if faces else None
    network, card, config = load_network(run)
    keras_model = make_embedder(run, network, card)
    count = PARITY_IMAGES + (CALIBRATION_IMAGES if quantize == "int8" else 0)
    if quantization_aware:
        count = PARITY_IMAGES + TRAINING_IMAGES
    images, source = images_for(config, calibration, count)
    # Apart from those that the ranges are measured on, as far as there are enough.
    checked, measured = (
        images[:PARITY_IMAGES],
        images[PARITY_IMAGES:] if len(images) > PARITY_IMAGES else images,
    )
    card = {
        **card,
        "licence": licence,
        "weights_sha256": keras_model.fingerprint,
        "versions": collect_versions(),
    }
    target = out / (f"saved_model/{version}" if form == "saved_model" else "model.tflite")
    name = {"saved_model": "SavedModel", "tflite": "TFLite file"}[form] + f" with --quantize {quantize}"
    limit = LIMITS["saved_model" if (form, quantize) == ("saved_model", "none") else quantize]
    with _scratch(out) as scratch:
        made = scratch / target.name
        served = network
        if form == "saved_model":
            if frozen or quantize == "bfloat16":
                dtype = "float32" if quantize == "none" else quantize
                served = fold(network, prelu="maximum", dtype=dtype)
            write_saved_model(served, made, {**card, "quantize": quantize, "frozen": frozen}, frozen=frozen)
            write_warmup(made, card["input_size"], card["groups"], card["dim"])
        else:
            if quantization_aware:
                from urfr_tf.export.quantization_aware import (
                    adapt,  # which imports TensorFlow Model Optimization
                )

                served = adapt(network, measured, quantization_aware)
            write_bytes(made, convert(served, card, quantize, measured[:CALIBRATION_IMAGES]))
        export = load_model(made)
        apart = measure(keras_model(checked), export(checked))

        def where() -> str:
            if form == "tflite":
                return departure_of_file(network, made.read_bytes(), checked[:4], limit.cosine)
            return departure_of_network(network, served, made, checked[:4], limit.cosine)

        with _said_where(where):
            parity: dict[str, Any] = check(name, apart, limit)
        if pairs is not None:
            reference, candidate = (
                measure_faces(pairs, model, keras_model, out / EMBEDDINGS) for model in (keras_model, export)
            )
            parity["faces"] = change(reference, candidate)
            with _said_where(where):
                check_faces(name, parity["faces"], limit)
        size = size_of(made)
        _put(made, target, scratch / "old")
        if pairs is not None:
            # Next to the export itself, where `urfr compare` finds it.
            point = parity["faces"]["export"]["calibration"]
            write_threshold(threshold_path(export.kind, target), export, "cosine", pairs.name, point)
    parameters = sum(int(np.prod(weight.shape)) * weight.dtype.size for weight in network.weights)
    report = {
        "format": form,
        "quantize": quantize,
        "images_from": source,
        **parity,
        "bytes": size,
        "bytes_of_weights": parameters,
        "weights_sha256": keras_model.fingerprint,
    }
    path = out / PARITY
    others = read_json(path) if path.is_file() else {}
    write_json(path, {**others, target.relative_to(out).as_posix(): report})
    return target, report


@contextlib.contextmanager
def _said_where(where: Callable[[], str]) -> Iterator[None]:
    """Adds to an error which layer departs first."""
    try:
        yield
    except UrfrError as error:
        raise UrfrError(f"{error}; {where()}") from error


@contextlib.contextmanager
def _scratch(out: Path) -> Iterator[Path]:
    """A folder inside `out` (the same disk), gone afterwards whatever happens."""
    folder = out / f".export.{os.getpid()}.part"
    try:
        folder.mkdir(parents=True)
        yield folder
    except OSError as error:
        raise disk_error(error, out) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _put(made: Path, target: Path, old: Path) -> None:
    """Renames `made` onto `target`; a folder that is there already goes to `old` first."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.is_dir():
        os.replace(made, target)
        return
    os.rename(target, old)
    try:
        os.rename(made, target)
    except OSError:
        os.rename(old, target)
        raise
