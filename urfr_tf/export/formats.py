"""The table of formats: how each is written, which limits of parity it has, how a difference is located."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from urfr_tf.export.first_difference import find_difference_of_file, find_difference_of_saved_model
from urfr_tf.export.fold_batch_norm import fold_batch_norm
from urfr_tf.export.images import Images
from urfr_tf.export.request import ExportRequest
from urfr_tf.export.saved_model import write_saved_model
from urfr_tf.export.tflite import QUANTIZATIONS, convert_to_tflite
from urfr_tf.export.warmup import write_warmup
from urfr_tf.files import write_bytes
from urfr_tf.keras2 import keras
from urfr_tf.runs.card import ModelCard

CALIBRATION_IMAGES = 256
COMPARED_IMAGES = 4
"""Images on which the layers of an export that failed are compared with Keras."""


@dataclass(frozen=True)
class ExportSource:
    """The trained network and the images of an export.

    Attributes:
        network: the inference model.
        card: what the export says about itself.
        parity_images: Keras and the export are compared on them.
        range_images: int8 measures its ranges on them, and quantization-aware training learns from them.
    """

    network: keras.Model
    card: ModelCard
    parity_images: Images
    range_images: Images


@dataclass(frozen=True)
class ExportFormat:
    """One format.

    Attributes:
        title: what messages call it.
        limits: for each value of --quantize that the format has, the name of its limit in `parity.LIMITS`.
        name_target: gives the path of the export in the folder of exports.
        write: writes the export to a path and gives the network that was written.
        find_difference: says in a clause where the export at a path begins to differ from Keras, given the
            network that was written and the least cosine that a layer may have.
    """

    title: str
    limits: Mapping[str, str]
    name_target: Callable[[ExportRequest], str]
    write: Callable[[ExportRequest, ExportSource, Path], keras.Model]
    find_difference: Callable[[ExportSource, keras.Model, Path, float], str]


def _write_saved_model(request: ExportRequest, source: ExportSource, path: Path) -> keras.Model:
    network, card = source.network, source.card
    if request.frozen or request.quantize == "bfloat16":
        dtype = "float32" if request.quantize == "none" else request.quantize
        network = fold_batch_norm(network, prelu="maximum", dtype=dtype)
    about = ModelCard(**{**card, "quantize": request.quantize, "frozen": request.frozen})
    write_saved_model(network, path, about, frozen=request.frozen)
    write_warmup(path, card["input_size"], card["groups"], card["dim"])
    return network


def _write_tflite(request: ExportRequest, source: ExportSource, path: Path) -> keras.Model:
    network = source.network
    if request.quantization_aware:
        # This imports TensorFlow Model Optimization.
        from urfr_tf.export.quantization_aware_training import train_for_int8

        network = train_for_int8(network, source.range_images, request.quantization_aware)
    images = source.range_images[:CALIBRATION_IMAGES]
    write_bytes(path, convert_to_tflite(network, source.card, request.quantize, images))
    return network


def _find_in_saved_model(source: ExportSource, written: keras.Model, path: Path, least_cosine: float) -> str:
    images = source.parity_images[:COMPARED_IMAGES]
    return find_difference_of_saved_model(source.network, written, path, images, least_cosine)


def _find_in_tflite(source: ExportSource, written: keras.Model, path: Path, least_cosine: float) -> str:
    images = source.parity_images[:COMPARED_IMAGES]
    return find_difference_of_file(source.network, path.read_bytes(), images, least_cosine)


FORMATS = {
    "saved_model": ExportFormat(
        title="SavedModel",
        limits={"none": "saved_model", "bfloat16": "bfloat16"},
        name_target=lambda request: f"saved_model/{request.version}",
        write=_write_saved_model,
        find_difference=_find_in_saved_model,
    ),
    "tflite": ExportFormat(
        title="TFLite file",
        limits={quantize: quantize for quantize in QUANTIZATIONS},
        name_target=lambda request: "model.tflite",
        write=_write_tflite,
        find_difference=_find_in_tflite,
    ),
}
