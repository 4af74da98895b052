"""A run folder -> a SavedModel or a TFLite file that was checked before it got its name."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from urfr_tf.errors import UrfrError
from urfr_tf.files import disk_error, read_json, size_of, write_bytes, write_json
from urfr_tf.inference import load, load_network, network_embedder
from urfr_tf.run_folder import versions

from .departure import first_departure
from .images import images_for
from .parity import LIMITS, check, measure
from .saved_model import write_saved_model
from .tflite import convert
from .warmup import write_warmup

PARITY = "parity.json"
PARITY_IMAGES = 64
CALIBRATION_IMAGES = 256


def export_run(
    run: str | os.PathLike[str],
    out: str | os.PathLike[str],
    form: str,
    *,
    quantize: str = "none",
    calibration: str | None = None,
    licence: str = "Apache-2.0",
    version: int = 1,
) -> tuple[Path, dict[str, Any]]:
    """Exports a run.

    Args:
        run: run folder.
        out: folder for `saved_model/VERSION/` or `model.tflite`, and `parity.json`.
        form: `saved_model` or `tflite`.
        quantize: for TFLite, one of `tflite.QUANTIZATIONS`.
        calibration: folder of shards whose images parity is checked with and int8 measures ranges on.
        licence: what the card says about the licence of the model (an SPDX name).
        version: for a SavedModel, the number of its folder; a server takes the largest.

    Returns:
        Where the export is, and what parity.json says about it.

    Raises:
        UrfrError: the run is not complete, the settings do not go together, the disk is full, or the
            export departs from Keras by more than its limit. An older export is left as it was then.
    """
    if form == "saved_model" and quantize != "none":
        raise UrfrError(
            f"expected --quantize with --format tflite, but got --quantize {quantize} with {form}"
        )
    if quantize == "int8" and not calibration:
        raise UrfrError("int8 needs --calibration SHARDS, a folder of urfr prepare, to measure ranges on")
    run, out = Path(run), Path(out)
    network, card, config = load_network(run)
    keras_model = network_embedder(run, network, card)
    count = PARITY_IMAGES + (CALIBRATION_IMAGES if quantize == "int8" else 0)
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
        "versions": versions(),
    }
    target = out / (f"saved_model/{version}" if form == "saved_model" else "model.tflite")
    with _scratch(out) as scratch:
        made = scratch / target.name
        if form == "saved_model":
            write_saved_model(network, made, card)
            write_warmup(made, card["input_size"], card["groups"], card["dim"])
        else:
            write_bytes(made, convert(network, card, quantize, measured))
        name = "SavedModel" if form == "saved_model" else f"TFLite file with --quantize {quantize}"
        limit = LIMITS[form if form == "saved_model" else quantize]
        apart = measure(keras_model(checked), load(made)(checked))
        try:
            parity = check(name, apart, limit)
        except UrfrError as error:
            if form != "tflite":
                raise
            place = first_departure(network, made.read_bytes(), quantize, checked[:4], limit.cosine)
            raise UrfrError(f"{error}; {place}") from error
        size = size_of(made)
        _put(made, target, scratch / "old")
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
