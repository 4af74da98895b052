"""Imported weights -> a run folder: the one place where readers, configuration and model meet."""

from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict

from urfr_tf import keys
from urfr_tf.config.load_config import from_dict
from urfr_tf.config.tree import Experiment
from urfr_tf.errors import UrfrError
from urfr_tf.files import file_sha256, read_json, write_json
from urfr_tf.foreign_weights.graph import accept_our_pixels, says_pixels, tidy_graph
from urfr_tf.foreign_weights.iresnet import build_iresnet_graph, check_named_pixels
from urfr_tf.foreign_weights.keras_graph import read_keras_graph
from urfr_tf.foreign_weights.mapping import Proportions, assign_weights, recognize_backbone
from urfr_tf.foreign_weights.mxnet import find_symbol_file, read_mxnet_graph
from urfr_tf.foreign_weights.onnx import read_onnx_graph
from urfr_tf.foreign_weights.pixels import PIXELS, Pixels, is_zero
from urfr_tf.foreign_weights.torch_file import read_tensors
from urfr_tf.models.inference_graph import build_inference
from urfr_tf.models.pixels import ZERO_PIXELS
from urfr_tf.runs.folder import open_run, refuse_other_run
from urfr_tf.runs.network_weights import save_network_weights

SCALE = 64.0
"""The s of CosFace and ArcFace, as the fixed confidence of one group."""


class _ImportFacts(TypedDict):
    source: str
    file: str
    sha256: str
    channels: str
    pixels: str
    """What the network makes of pixels: a name of `PIXELS`, or a formula."""
    pixels_from: str
    """Who says so: the `file`, an `option`, or the usual for the `format`."""
    zero_pixel: str
    pixel_scale: list[float]
    """Of R, G, B; the network sees (pixel - zero_pixel) * pixel_scale."""
    backbone: str
    width: float
    input_size: int
    embedding_dim: int
    numbers: int
    """How many weights were copied."""
    folded: int
    """How many batch norms the file has folded into the convolutions before them."""
    unused: list[str]
    """Names of the tensors that the network does not need."""


class ImportFacts(_ImportFacts, total=False):
    """What run.json keeps under `imported`."""

    symbol_sha256: str
    licence: str
    """Of the file, as an SPDX name, where it is known."""


def import_weights(
    source: str, weights: str, out: Path, channels: str | None = None, pixels: str | None = None
) -> ImportFacts:
    """Reads `weights`, builds our model of the same structure, and writes the run folder `out`.

    The run has one group and a fixed confidence: the imported embedding, normalized as a whole.

    Args:
        source: `insightface`, `arcface_torch` or `onnx`.
        weights: the file.
        out: the run folder; new, or an import of the same file.
        channels: `rgb` or `bgr`, what the network was trained on; None takes it from the format, where that
            says it.
        pixels: a name of `PIXELS`, what the network was trained on; None takes it from the file or its
            format.

    Raises:
        UrfrError: the file cannot be read or does not fit, or `out` holds another run; nothing is written.
    """
    input_size = None
    blue_first = False
    if source == "insightface":
        output, unused = read_mxnet_graph(weights)
    elif source == "arcface_torch":
        tensors = read_tensors(weights)
        check_named_pixels(tensors, weights, channels, pixels)
        output, unused, blue_first = build_iresnet_graph(tensors, weights)
    else:
        output, unused, input_size = read_onnx_graph(weights)
    blue_first = channels == "bgr" if channels else blue_first
    output, folded = tidy_graph(output)
    pixels_from = "file" if says_pixels(output) else "option" if pixels else "format"
    assumed = None if source == "insightface" else PIXELS["centered"]
    seen = accept_our_pixels(output, blue_first, PIXELS[pixels] if pixels else None, assumed)
    zero_pixel = find_zero_pixel(seen, weights)
    network = recognize_backbone(output, input_size)

    digest = file_sha256(weights)
    refuse_other_run(out, "imported", "sha256", digest, "import of these weights")
    config = make_configuration(network, f"import of {weights}", zero_pixel)
    model = build_inference(config)
    numbers = assign_weights(output, read_keras_graph(model, keys.EMBEDDING))
    facts: ImportFacts = {
        "source": source,
        "file": str(Path(weights).resolve()),
        "sha256": digest,
        "channels": "bgr" if blue_first else "rgb",
        "pixels": str(seen),
        "pixels_from": pixels_from,
        "zero_pixel": zero_pixel,
        "pixel_scale": list(seen.scale),
        "backbone": network.backbone,
        "width": network.width,
        "input_size": network.input_size,
        "embedding_dim": network.embedding_dim,
        "numbers": numbers,
        "folded": folded,
        "unused": unused,
    }
    if source == "insightface":
        facts["symbol_sha256"] = file_sha256(find_symbol_file(weights))
    open_run(out, config, {"imported": facts})
    save_network_weights(model, out)
    return facts


def record_check(out: Path, check: Mapping[str, object]) -> None:
    """Adds what a check found to the facts of an import in run.json.

    Raises:
        UrfrError: run.json cannot be read or written.
    """
    facts = read_json(out / "run.json")
    write_json(out / "run.json", {**facts, "imported": {**facts["imported"], "check": check}})


def find_zero_pixel(seen: Pixels, where: str) -> str:
    """Names the zero of a network, which ours must share for what pads its border.

    Args:
        seen: what the network makes of pixels.
        where: its file, for the message.

    Raises:
        UrfrError: none of `ZERO_PIXELS` fits.
    """
    for name, zero in ZERO_PIXELS.items():
        if is_zero(seen.zero, zero):
            return name
    raise UrfrError(
        "expected a network that sees 127.5, black or the mean of ImageNet's photographs (R, G, B = "
        f"{', '.join(f'{value:g}' for value in ZERO_PIXELS['imagenet'])}) as 0, but {where} computes {seen}"
    )


def make_configuration(network: Proportions, where: str, zero_pixel: str = "gray") -> Experiment:
    """Makes the experiment of an imported network.

    Its training settings are a start for fine-tuning. How the network was trained is not known.

    Args:
        network: the structure that was found in the file.
        where: names the origin in errors.
        zero_pixel: key of `ZERO_PIXELS`.
    """
    tree = {
        "name": "imported",
        "model": {
            "backbone": network.backbone,
            "width": network.width,
            "input_size": network.input_size,
            "zero_pixel": zero_pixel,
            "embedding_dim": network.embedding_dim,
            "groups": 1,
        },
        "confidence": {"learned": False, "initial": SCALE},
        "optimizer": {"learning_rate": {"type": "constant", "constant": {"learning_rate": 0.01}}},
    }
    return from_dict(tree, where)
