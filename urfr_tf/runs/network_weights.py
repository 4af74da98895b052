"""The weights of a run: the one place that names, writes and reads `inference.weights.h5`."""

import os
from pathlib import Path

from urfr_tf.errors import UrfrError, short_reason_of
from urfr_tf.files import replacing
from urfr_tf.keras2 import keras
from urfr_tf.runs.hdf5_check import count_plain_arrays

WEIGHTS = "inference.weights.h5"


def save_network_weights(network: keras.Model, run: str | os.PathLike[str]) -> None:
    """Writes the weights of an inference network into a run folder, whole or not at all.

    Raises:
        UrfrError: the disk is full or the folder cannot be written. Older weights stay as they were.
    """
    with replacing(Path(run) / WEIGHTS) as tmp_path:
        network.save_weights(str(tmp_path))


def find_weights(run: str | os.PathLike[str]) -> Path:
    """Returns the path of the weights of a run folder.

    Raises:
        UrfrError: there are none yet.
    """
    path = Path(run) / WEIGHTS
    if not path.is_file():
        raise UrfrError(
            f"expected {WEIGHTS} in {run}, but there is none: it is written when the first epoch ends"
        )
    return path


def load_network_weights(network: keras.Model, run: str | os.PathLike[str]) -> None:
    """Reads the weights of a run folder into a network of the same structure.

    Args:
        network: what the `config.yaml` of the run describes, with any weights.
        run: the run folder.

    Raises:
        UrfrError: no weights yet, a damaged file, one that refers to other files, or weights of another
            network.
    """
    path, config_path = find_weights(run), Path(run) / "config.yaml"
    try:
        count = count_plain_arrays(path)
    except UrfrError:
        raise
    except Exception as error:  # h5py raises OSError, RuntimeError or KeyError on damaged files.
        raise UrfrError(f"expected Keras weights in {path}, but the file is truncated or damaged") from error
    # Keras loads a file with other arrays than the network has without an error.
    if count != len(network.weights):
        raise UrfrError(
            f"{path} holds {count} arrays, but {config_path} describes a network "
            f"of {len(network.weights)}: they are not of the same model"
        )
    try:
        network.load_weights(str(path))
    except Exception as error:  # Keras raises ValueError, KeyError or OSError, by the kind of damage.
        raise UrfrError(
            f"the weights in {path} do not fit {config_path}: {short_reason_of(error)}"
        ) from error
