"""One call for every kind of model: a run folder, a SavedModel folder, a TFLite file."""

import os
from pathlib import Path

from urfr_tf.errors import UrfrError
from urfr_tf.runs.default_network import find_model
from urfr_tf.runs.embedder import Embedder
from urfr_tf.system.extras import name_missing_extra

_KINDS = "a run folder, a SavedModel folder or a .tflite file"


def load_model(path: str | os.PathLike[str], bulk: bool = False) -> Embedder:
    """Loads a run folder, a SavedModel folder (or its parent with numbered versions) or a .tflite file.

    Args:
        path: the model; the string `default` is the default network (`runs.default_network`).
        bulk: prepare for many images. A run folder starts more slowly and then embeds faster. A .tflite file
            gets an interpreter for each core, each with its own copy of the weights.

    Raises:
        UrfrError: there is no model at `path`, it is not one of the three, or it is damaged.
    """
    # Each loader is imported when it is needed: exports need neither the configuration nor the layers.
    model = find_model(path)
    if not model.exists():
        raise UrfrError(f"expected {_KINDS}, but {path} does not exist")
    if model.is_file():
        if model.suffix != ".tflite":
            raise UrfrError(f"expected {_KINDS}, but {path} is a file whose name does not end in .tflite")
        from urfr_tf.runs.load_tflite import load_tflite

        return load_tflite(model, bulk)
    if (saved_model := _find_saved_model(model)) is not None:
        from urfr_tf.runs.load_saved_model import load_saved_model

        return load_saved_model(saved_model)
    if (model / "config.yaml").is_file():
        with name_missing_extra("a run folder"):
            from urfr_tf.runs.load_run import load_run

        return load_run(model, bulk)
    what = "holds neither config.yaml nor saved_model.pb" if any(model.iterdir()) else "is empty"
    raise UrfrError(f"expected {_KINDS}, but the folder {path} {what}")


def _find_saved_model(folder: Path) -> Path | None:
    """Gives the folder itself, the newest version in it, or None."""
    if (folder / "saved_model.pb").is_file():
        return folder
    versions = [
        child for child in folder.iterdir() if child.name.isdigit() and (child / "saved_model.pb").is_file()
    ]
    return max(versions, key=lambda child: int(child.name), default=None)
