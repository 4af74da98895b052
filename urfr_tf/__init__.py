"""urfr_tf: universal face representations (URFace, CVPR 2020) in TensorFlow/Keras."""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from urfr_tf.runs.embedder import Embedder

__version__ = "0.1.0"


def load(path: "str | os.PathLike[str]") -> "Embedder":
    """Loads a run folder, a SavedModel folder or a .tflite file as one callable.

    Args:
        path: a run folder, a SavedModel folder or a TFLite file; "default" is the network of the extra
            `default-network` (98.2 % on LFW, measured by us; stronger networks: `urfr import`).

    Returns:
        A callable: images uint8 or float32 [B, H, W, 3], RGB, 0..255, aligned crops -> dict of NumPy
        arrays `embedding` float32 [B, D] of unit norm, `confidence` and `variance` float32 [B, K].

    Raises:
        UrfrError: there is no model at `path`, or it is not one of the three.
    """
    from urfr_tf.runs.load_model import load_model

    return load_model(path)
