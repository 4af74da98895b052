"""A SavedModel that `urfr export` wrote -> a callable."""

from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from urfr_tf import keys
from urfr_tf.errors import UrfrError, short_reason_of
from urfr_tf.files import read_json
from urfr_tf.runs.card import CARD_IN_SAVED_MODEL, card_of_json
from urfr_tf.runs.embedder import Embedder, Outputs
from urfr_tf.runs.fingerprints import fingerprint_saved_model
from urfr_tf.runs.saved_model_check import check_saved_model
from urfr_tf.system.plain_paths import plain_path


def load_saved_model(folder: Path) -> Embedder:
    """Loads the folder that holds `saved_model.pb`.

    Raises:
        UrfrError: another program wrote it, it is damaged, or it has an operation that no export needs.
    """
    card_path = folder / CARD_IN_SAVED_MODEL
    if not card_path.is_file():
        raise UrfrError(
            f"expected a SavedModel that urfr export wrote, but {folder} has no {CARD_IN_SAVED_MODEL}: "
            "its input size is not known"
        )
    card = card_of_json(read_json(card_path), card_path)
    check_saved_model(folder)
    try:
        model = tf.saved_model.load(plain_path(folder))
        embed = model.signatures["serving_default"]
        size, groups, dim = int(card["input_size"]), int(card["groups"]), int(card["dim"])
        embed.structured_outputs[keys.CONFIDENCE].shape.assert_is_compatible_with([None, groups])
        embed.structured_outputs[keys.EMBEDDING].shape.assert_is_compatible_with([None, dim])
    except Exception as error:  # The loader raises OSError, KeyError, DecodeError or an OpError.
        raise UrfrError(f"the SavedModel in {folder} is damaged: {short_reason_of(error)}") from error

    def compute(crops: NDArray[np.float32], alive: object = model) -> Outputs:
        # `alive`: the variables live as long as the object that was loaded, not as long as its signature.
        return {name: value.numpy() for name, value in embed(**{keys.IMAGE: tf.constant(crops)}).items()}

    return Embedder(
        str(folder), "saved_model", size, groups, dim, fingerprint_saved_model(folder), compute, card
    )
