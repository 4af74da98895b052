"""One callable for every kind of model: a run folder, a SavedModel folder, a TFLite file."""

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from urfr_tf import keys
from urfr_tf.errors import UrfrError, reason_of
from urfr_tf.files import file_sha256, read_json
from urfr_tf.runs.thresholds import own_threshold
from urfr_tf.system.cores import count_cores

CARD = "assets/urfr.json"
MOST_COPIES = 1 << 30
"""Bytes of weights that a TFLite file's interpreters may hold together."""
_LONGEST_REASON = 300
_KINDS = "a run folder, a SavedModel folder or a .tflite file"


@dataclass(frozen=True)
class Embedder:
    """A loaded model: aligned crops in, embeddings and confidences out. One thread at a time.

    Attributes:
        path: where it was loaded from.
        kind: `run`, `saved_model`, `tflite`, or `server` (`urfr_tf.export.client`).
        input_size: S; larger images are centre-cropped to S x S.
        groups: K.
        dim: D.
        fingerprint: sha256 (hex) of the files that the outputs depend on.
        card: what the model says about itself (see `urfr_tf.runs.card`); empty for a foreign TFLite file.
    """

    path: str
    kind: str
    input_size: int
    groups: int
    dim: int
    fingerprint: str
    compute: Callable[[np.ndarray], dict[str, np.ndarray]] = field(repr=False)
    card: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def aligned_size(self) -> int:
        """Side in pixels of the aligned crops that the network was trained on, at least input_size."""
        size = (self.card.get("alignment") or {}).get("size")
        return max(size, self.input_size) if isinstance(size, int) else self.input_size

    @property
    def alignment(self) -> str:
        """How photographs become crops as in training: `mtcnn` or `none`."""
        return "mtcnn" if (self.card.get("alignment") or {}).get("template") else "none"

    @property
    def threshold(self) -> dict[str, Any] | None:
        """The threshold calibrated with these very files, {"score", "threshold", ...}, or None.

        Raises:
            UrfrError: the threshold's file is mangled.
        """
        return own_threshold(self.kind, self.path, self.fingerprint, self.card.get("threshold"))

    def __call__(self, images: Any) -> dict[str, np.ndarray]:
        """Embeds a batch.

        Args:
            images: uint8 or float [B, H, W, 3], RGB, 0..255, aligned; H, W >= input_size.

        Returns:
            `embedding` float32 [B, D] of unit norm (each group 1/sqrt(K)), `confidence` float32
            [B, K] and `variance` = 1 / confidence float32 [B, K].

        Raises:
            UrfrError: the images have another shape or type.
        """
        outputs = self.with_norm(images)
        return {name: outputs[name] for name in (keys.EMBEDDING, keys.CONFIDENCE, keys.VARIANCE)}

    def with_norm(self, images: Any) -> dict[str, np.ndarray]:
        """As a call, and `norm` float32 [B]: the embedding's length before it is normalised.

        Only a run folder knows it, as its graph holds the layer before the normalisation; the signatures of
        an export do not give it, and it is NaN there.
        """
        crops = centre_crop(_checked(images, self.input_size), self.input_size)
        if not len(crops):
            empty = {keys.EMBEDDING: self.dim, keys.CONFIDENCE: self.groups, keys.VARIANCE: self.groups}
            none = {name: np.zeros([0, width], np.float32) for name, width in empty.items()}
            return {**none, keys.NORM: np.zeros(0, np.float32)}
        outputs = self.compute(np.ascontiguousarray(crops, np.float32))
        outputs = {keys.NORM: np.full(len(crops), np.nan), **outputs}
        names = (keys.EMBEDDING, keys.CONFIDENCE, keys.VARIANCE, keys.NORM)
        return {name: np.asarray(outputs[name], np.float32) for name in names}


def load(path: str | os.PathLike[str], bulk: bool = False) -> Embedder:
    """Loads a run folder, a SavedModel folder (or its versioned parent) or a .tflite file.

    Args:
        path: the model.
        bulk: made faster for many images: a run folder by `in_bulk`, which is slower to begin; a .tflite file
            by an interpreter for each core, which each hold the weights.

    Raises:
        UrfrError: there is no model at `path`, or it is not one of the three, or it is damaged.
    """
    place = Path(path)
    if not place.exists():
        raise UrfrError(f"expected {_KINDS}, but {path} does not exist")
    if place.is_file():
        if place.suffix != ".tflite":
            raise UrfrError(f"expected {_KINDS}, but {path} is a file whose name does not end in .tflite")
        return _load_tflite(place, bulk)
    saved = _saved_model_folder(place)
    if saved is not None:
        return _load_saved_model(saved)
    if (place / "config.yaml").is_file():
        network, card, _ = load_network(place)
        return network_embedder(place, network, card, bulk)
    what = "holds neither config.yaml nor saved_model.pb" if any(place.iterdir()) else "is empty"
    raise UrfrError(f"expected {_KINDS}, but the folder {path} {what}")


def load_network(run: str | os.PathLike[str]) -> tuple[Any, dict[str, Any], Any]:
    """The inference model (keras.Model) of a run folder with its weights, its card, its configuration.

    Raises:
        UrfrError: no configuration, no weights yet, or weights that do not fit the configuration.
    """
    from urfr_tf.config.load_config import read_run_config
    from urfr_tf.models.inference_graph import build_inference
    from urfr_tf.runs.card import run_card
    from urfr_tf.runs.folder import WEIGHTS

    weights = Path(run) / WEIGHTS
    config = read_run_config(run)
    if not weights.is_file():
        raise UrfrError(
            f"expected {WEIGHTS} in {run}, but there is none: it is written when the first epoch ends"
        )
    network = build_inference(config)
    try:
        stored = _stored_arrays(weights)
    except Exception as error:  # h5py raises OSError, RuntimeError or KeyError on damaged files
        raise UrfrError(
            f"expected Keras weights in {weights}, but the file is truncated or damaged"
        ) from error
    if stored != len(network.weights):
        raise UrfrError(
            f"{weights} holds {stored} arrays, but {Path(run) / 'config.yaml'} describes a network "
            f"of {len(network.weights)}: they are not of the same model"
        )
    try:
        network.load_weights(str(weights))
    except Exception as error:  # Keras raises ValueError, KeyError or OSError, by the kind of damage
        raise UrfrError(
            f"the weights in {weights} do not fit {Path(run) / 'config.yaml'}: {reason_of(error)[:_LONGEST_REASON]}"
        ) from error
    return network, run_card(Path(run), config), config


def network_embedder(run: Path, network: Any, card: dict[str, Any], bulk: bool = False) -> Embedder:
    """An inference model in memory as a callable; see `load_network`."""
    import tensorflow as tf

    from urfr_tf.layers.cpu.prelu import in_bulk
    from urfr_tf.models.inference_graph import norm_beside

    size = card["input_size"]
    observed = norm_beside(network)

    def run_network(image: tf.Tensor) -> dict[str, tf.Tensor]:
        with in_bulk() if bulk else contextlib.nullcontext():
            return observed({keys.IMAGE: image}, training=False)

    embed = tf.function(
        run_network,
        input_signature=[tf.TensorSpec([None, size, size, 3], tf.float32)],
        autograph=False,
    )
    return Embedder(
        path=str(run),
        kind="run",
        input_size=size,
        groups=card["groups"],
        dim=card["dim"],
        fingerprint=run_fingerprint(run),
        compute=lambda crops: {k: v.numpy() for k, v in embed(tf.constant(crops)).items()},
        card=card,
    )


def centre_crop(images: np.ndarray, size: int) -> np.ndarray:
    """Images [B, H, W, C] -> the view [B, size, size, C] about their centre (rounded up and left)."""
    top, left = (images.shape[1] - size) // 2, (images.shape[2] - size) // 2
    return images[:, top : top + size, left : left + size]


def fingerprint(paths: Iterable[Path], root: Path) -> str:
    """sha256 (hex) over the names below `root` and the contents of files, in the order of the names."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(path.relative_to(root).as_posix().encode("utf-8", "surrogateescape") + b"\0")
        digest.update(bytes.fromhex(file_sha256(path)))
    return digest.hexdigest()


def run_fingerprint(run: Path) -> str:
    """sha256 (hex) of a run folder's configuration and weights."""
    from urfr_tf.runs.folder import WEIGHTS

    return fingerprint([run / "config.yaml", run / WEIGHTS], run)


def saved_model_fingerprint(folder: Path) -> str:
    """sha256 (hex) of a SavedModel's files but those in assets.extra, which no output depends on."""
    files = [path for path in folder.rglob("*") if path.is_file() and "assets.extra" not in path.parts]
    return fingerprint(files, folder)


def _checked(images: Any, size: int) -> np.ndarray:
    array = np.asarray(images)
    if array.ndim != 4 or array.shape[-1] != 3 or min(array.shape[1:3]) < size:
        raise UrfrError(
            f"expected images [B, H, W, 3] with H and W at least {size}, but got shape {list(array.shape)}"
        )
    if array.dtype != np.uint8 and not np.issubdtype(array.dtype, np.floating):
        raise UrfrError(f"expected images of uint8 or float in 0..255, but got {array.dtype}")
    return array


def _load_saved_model(folder: Path) -> Embedder:
    import tensorflow as tf

    if not (folder / CARD).is_file():
        raise UrfrError(
            f"expected a SavedModel that urfr export wrote, but {folder} has no {CARD}: its input size is not known"
        )
    card = read_json(folder / CARD)
    if not isinstance(card, dict):
        raise UrfrError(f"expected an object in {folder / CARD}, but got {type(card).__name__}")
    try:
        model = tf.saved_model.load(str(folder))
        embed = model.signatures["serving_default"]
        size, groups, dim = (int(card[key]) for key in ("input_size", "groups", "dim"))
        embed.structured_outputs[keys.CONFIDENCE].shape.assert_is_compatible_with([None, groups])
        embed.structured_outputs[keys.EMBEDDING].shape.assert_is_compatible_with([None, dim])
    except Exception as error:  # the loader raises OSError, KeyError, DecodeError or an OpError
        raise UrfrError(
            f"the SavedModel in {folder} is damaged: {reason_of(error)[:_LONGEST_REASON]}"
        ) from error

    def compute(crops: np.ndarray, keep: Any = model) -> dict[str, np.ndarray]:
        # `keep`: the variables live as long as the object that was loaded, not as its signature.
        return {k: v.numpy() for k, v in embed(**{keys.IMAGE: tf.constant(crops)}).items()}

    return Embedder(
        str(folder), "saved_model", size, groups, dim, saved_model_fingerprint(folder), compute, card
    )


def _load_tflite(path: Path, bulk: bool) -> Embedder:
    import tensorflow as tf

    from urfr_tf.runs.tflite_file import read_tflite

    content, card = read_tflite(path)
    cores = count_cores()
    # One core for each image is 1.2 times as fast as all cores for one after the other (docs/export.md).
    count = max(1, min(cores, MOST_COPIES // len(content))) if bulk else 1
    try:
        interpreters = [
            tf.lite.Interpreter(model_content=content, num_threads=cores // count) for _ in range(count)
        ]
        image = interpreters[0].get_input_details()[0]
        size = int(image["shape"][1])
        runner = interpreters[0].get_signature_runner("serving_default")
        inputs, outputs = runner.get_input_details(), runner.get_output_details()
        del runner  # An interpreter that something else holds refuses to allocate.
        groups, dim = (int(outputs[name]["shape"][-1]) for name in (keys.CONFIDENCE, keys.EMBEDDING))
        for interpreter in interpreters:
            interpreter.allocate_tensors()
        if list(inputs) != [keys.IMAGE] or image["dtype"] != np.float32:
            raise ValueError(f"expected one float32 input {keys.IMAGE}")
    except Exception as error:  # ValueError or RuntimeError by the kind of damage, KeyError on other models
        raise UrfrError(
            f"expected a TensorFlow Lite model with the signature serving_default of urfr export, but {path} "
            f"gives: {reason_of(error)[:_LONGEST_REASON]}"
        ) from error

    # Not by the signature's runner, which plans the graph anew in every call (docs/export.md).
    def one_by_one(interpreter: Any, crops: np.ndarray) -> list[dict[str, np.ndarray]]:
        found = []
        for crop in crops:
            interpreter.set_tensor(image["index"], crop[np.newaxis])
            interpreter.invoke()
            found.append({name: interpreter.get_tensor(each["index"]) for name, each in outputs.items()})
        return found

    def compute(crops: np.ndarray) -> dict[str, np.ndarray]:
        with ThreadPoolExecutor(count) as pool:
            parts = pool.map(one_by_one, interpreters, np.array_split(crops, count))
            images = [values for part in parts for values in part]
        return {name: np.concatenate([values[name] for values in images]) for name in outputs}

    return Embedder(
        str(path), "tflite", size, groups, dim, hashlib.sha256(content).hexdigest(), compute, card
    )


def _saved_model_folder(folder: Path) -> Path | None:
    if (folder / "saved_model.pb").is_file():
        return folder
    versions = [
        child for child in folder.iterdir() if child.name.isdigit() and (child / "saved_model.pb").is_file()
    ]
    return max(versions, key=lambda child: int(child.name), default=None)


def _stored_arrays(weights: Path) -> int:
    import h5py

    count = 0

    def visit(name: str, item: Any) -> None:
        nonlocal count
        count += isinstance(item, h5py.Dataset)

    with h5py.File(weights, "r") as file:
        file.visititems(visit)
    return count
