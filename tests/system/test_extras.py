"""What an installation without extras can do, and what it says of the rest."""

import pytest
import tomllib
from paths import ROOT

from urfr_tf.errors import UrfrError
from urfr_tf.system.extras import EXTRAS, name_missing_extra

# Distributions of the extras whose module has another name, and those that nothing of ours imports.
MODULES = {
    "tf-models-official": "official",
    "scikit-learn": "sklearn",
    "tensorflow-serving-api": "tensorflow_serving",
    "grpcio": "grpc",
}
BOUNDS = {"tensorflow-metadata", "setuptools", "google-crc32c"}


def test_the_table_is_that_of_the_package():
    """Each distribution of an extra that no requirement of the base brings is in the table with its extra."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    declared = {}
    for extra in ("train", "detect", "report", "serving", "tfds", "beam", "demo"):
        for requirement in extras[extra]:
            name = requirement.split("[")[0].split("=")[0].split(">")[0].split("<")[0]
            if name not in BOUNDS | {"urfr-tf"} and not (extra == "train" and name == "tensorflow-datasets"):
                declared[MODULES.get(name, name.replace("-", "_"))] = extra
    assert declared == EXTRAS


def test_the_sentence_names_module_and_extra():
    expected = r"^urfr report needs the module jinja2, .*pip install 'urfr-tf\[report\]'$"
    with pytest.raises(UrfrError, match=expected), name_missing_extra("urfr report"):
        raise ModuleNotFoundError("No module named 'jinja2.sandbox'", name="jinja2.sandbox")


def test_a_defect_of_ours_stays_a_defect():
    with pytest.raises(ModuleNotFoundError), name_missing_extra("urfr report"):
        raise ModuleNotFoundError("No module named 'urfr_tf.nothing'", name="urfr_tf.nothing")
