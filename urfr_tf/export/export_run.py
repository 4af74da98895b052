"""A run folder -> a SavedModel or a TFLite file that was checked before it got its name."""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypedDict

import numpy as np

from urfr_tf.data.cropper import CropSettings, describe_crops
from urfr_tf.errors import UrfrError
from urfr_tf.export.accuracy import (
    AccuracyChange,
    check_accuracy,
    choose_crops,
    compare_accuracy,
    measure_face_pairs,
    open_face_pairs,
)
from urfr_tf.export.formats import CALIBRATION_IMAGES, FORMATS, ExportSource
from urfr_tf.export.images import choose_parity_images
from urfr_tf.export.parity import LIMITS, Parity, check_parity, measure_parity
from urfr_tf.export.request import ExportRequest
from urfr_tf.files import disk_error, read_json, size_of, write_json
from urfr_tf.keras2 import keras
from urfr_tf.protocols.protocol import Pairs
from urfr_tf.runs.card import ModelCard
from urfr_tf.runs.default_network import find_model
from urfr_tf.runs.embedder import Embedder
from urfr_tf.runs.folder import find_licence
from urfr_tf.runs.load_model import load_model
from urfr_tf.runs.load_run import load_network, make_embedder
from urfr_tf.runs.origin import collect_versions
from urfr_tf.runs.thresholds import threshold_path, write_threshold
from urfr_tf.system.folder_lock import lock_folder

PARITY = "parity.json"
PARITY_IMAGES = 64
TRAINING_IMAGES = 2048
EMBEDDINGS = ".embeddings"
"""Of the pairs of faces, in the folder of the exports; the next format finds those of Keras there."""


class _Faces(TypedDict, total=False):
    faces: AccuracyChange


class ExportReport(Parity, _Faces):
    """What parity.json says about one export; `faces` only where pairs of faces were given."""

    format: str
    quantize: str
    images_from: str
    limits: dict[str, float]
    bytes: int
    bytes_of_weights: int
    weights_sha256: str


def export_run(
    request: ExportRequest, say: Callable[[str], None] = lambda sentence: None
) -> tuple[Path, ExportReport]:
    """Exports a run.

    Args:
        request: what is exported, in which format, and what it is checked on.
        say: takes sentences for the user.

    Returns:
        Where the export is, and what parity.json says about it.

    Raises:
        UrfrError: the run is not complete, the settings do not go together, the disk is full, or the export
            differs from Keras by more than its limit. An older export then stays as it was.
    """
    form = FORMATS[request.format]
    request.check(tuple(form.limits))
    run, out = find_model(request.run), Path(request.out)
    pairs = open_face_pairs(request.faces) if request.faces else None
    for remark in pairs.images.remarks() if pairs is not None else ():
        say(remark)
    network, card, config = load_network(run)
    reference = make_embedder(run, network, card)
    images, images_from = choose_parity_images(config, request.calibration, _count_images(request))
    source = ExportSource(
        network,
        ModelCard(
            **{
                **card,
                "licence": request.licence or find_licence(run) or "Apache-2.0",
                "weights_sha256": reference.fingerprint,
                "versions": collect_versions(),
            }
        ),
        parity_images=images[:PARITY_IMAGES],
        # Other images than those of the parity check, if there are enough.
        range_images=images[PARITY_IMAGES:] if len(images) > PARITY_IMAGES else images,
    )
    target = out / form.name_target(request)
    limit = LIMITS[form.limits[request.quantize]]
    name = f"{form.title} with --quantize {request.quantize}"
    with _scratch_folder(out) as scratch:
        path = scratch / target.name
        written = form.write(request, source, path)
        export = load_model(path)
        parity = measure_parity(reference(source.parity_images), export(source.parity_images))
        with _named_difference(lambda: form.find_difference(source, written, path, limit.cosine)):
            limits = check_parity(name, parity, limit)
            comparison: _Faces = {}
            if pairs is not None:
                crops = choose_crops(pairs, reference, request)
                comparison["faces"] = _compare_on_faces(pairs, reference, export, crops, out / EMBEDDINGS)
                check_accuracy(name, comparison["faces"], limit)
        size = size_of(path)
        _replace(path, target, scratch / "old")
        if pairs is not None:
            # Next to the export itself, where `urfr compare` finds it.
            point = comparison["faces"]["export"]["calibration"]
            about = describe_crops(crops, pairs.images.aligned)
            write_threshold(
                threshold_path(export.kind, target), export, "cosine", pairs.name, {**point, **about}
            )
    report: ExportReport = {
        "format": request.format,
        "quantize": request.quantize,
        "images_from": images_from,
        **parity,
        "limits": limits,
        **comparison,
        "bytes": size,
        "bytes_of_weights": _count_bytes(network),
        "weights_sha256": reference.fingerprint,
    }
    _add_report(out / PARITY, target.relative_to(out).as_posix(), report)
    return target, report


def _count_images(request: ExportRequest) -> int:
    if request.quantization_aware:
        return PARITY_IMAGES + TRAINING_IMAGES
    return PARITY_IMAGES + (CALIBRATION_IMAGES if request.quantize == "int8" else 0)


def _count_bytes(network: keras.Model) -> int:
    return sum(int(np.prod(weight.shape)) * weight.dtype.size for weight in network.weights)


def _compare_on_faces(
    pairs: Pairs, reference: Embedder, export: Embedder, crops: CropSettings, cache: Path
) -> AccuracyChange:
    before, after = (measure_face_pairs(pairs, model, crops, cache) for model in (reference, export))
    return compare_accuracy(before, after)


@contextlib.contextmanager
def _named_difference(find: Callable[[], str]) -> Iterator[None]:
    """Adds to an error which layer is the first that differs."""
    try:
        yield
    except UrfrError as error:
        raise UrfrError(f"{error}; {find()}") from error


@contextlib.contextmanager
def _scratch_folder(out: Path) -> Iterator[Path]:
    """A folder inside `out` (the same disk), which is removed afterwards whatever happens."""
    folder = out / f".export.{os.getpid()}.part"
    try:
        folder.mkdir(parents=True)
        yield folder
    except OSError as error:
        raise disk_error(error, out) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _replace(path: Path, target: Path, old: Path) -> None:
    """Renames `path` to `target`; a folder that is there already goes to `old` first."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.is_dir():
        os.replace(path, target)
        return
    os.rename(target, old)
    try:
        os.rename(path, target)
    except OSError:
        os.rename(old, target)
        raise


def _add_report(path: Path, name: str, report: ExportReport) -> None:
    """Puts a report into parity.json next to those of other exports."""
    # Two formats may be exported at the same time.
    with lock_folder(path.parent, "another urfr export", f".{path.name}.lock", wait=True):
        others = read_json(path) if path.is_file() else {}
        write_json(path, {**others, name: report})
