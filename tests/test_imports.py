"""Imports point one way; heavy ones stay out of the command line; one module knows tensorflow-addons."""

import runpy
import subprocess
import sys

import pytest
from house import FILES, FLOOR, FLOORS, PACKAGE, imported, room_of, rooms_imported
from paths import ROOT

# What users call: the package itself may import the one thing that it offers.
OFFERED = {"__init__": {"runs"}}
# `python -m urfr_tf.train` is `urfr train`: it goes through the command line before TensorFlow is imported.
UPWARDS = {("urfr_tf/train.py", "cli")}
HEAVY = ("tensorflow", "keras", "tf_keras", "numpy", "cv2", "matplotlib", "official", "sklearn", "yaml")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_one_way(path):
    room, rooms = room_of(path), rooms_imported(path)
    if room in OFFERED:
        assert rooms <= OFFERED[room]
        return
    assert room in FLOOR, f"{path} belongs to no room: give its folder or module a floor in FLOORS"
    allowed = {other for other, floor in FLOOR.items() if floor < FLOOR[room]} | {room}
    upwards = {other for file, other in UPWARDS if file == str(path.relative_to(ROOT))}
    assert rooms <= allowed | upwards


def test_each_floor_names_rooms_that_there_are():
    """A room that is gone, or in two floors, would make the rule weaker without a word."""
    rooms = {room_of(path) for path in FILES} - set(OFFERED)
    assert sorted(room for floor in FLOORS for room in floor) == sorted(rooms)


def test_the_house_stays_small():
    """Nobody finds a thing among dozens: at most 10 modules at the top, 32 rooms with the folders."""
    modules = [path for path in PACKAGE.glob("*.py") if path.name != "__init__.py"]
    assert len(modules) <= 10
    assert len(FLOOR) <= 32


def test_commands_import_nothing_heavy_at_the_top():
    for path in [PACKAGE / "cli.py", *(PACKAGE / "commands").glob("*.py")]:
        heavy = {name.split(".")[0] for name in imported(path, top_level_only=True)} & set(HEAVY)
        assert not heavy, f"{path.name} imports {heavy}"


def importers(*names):
    """Files of the package, the tests, the experiments and the documentation that import one of these."""
    folders = (ROOT / name for name in ("tests", "experiments", "docs"))
    files = [*FILES, *(path for folder in folders for path in folder.rglob("*.py"))]
    return [str(p.relative_to(ROOT)) for p in files if any(n.startswith(names) for n in imported(p))]


def test_only_one_module_imports_tensorflow_addons():
    assert importers("tensorflow_addons") == ["urfr_tf/training/addons.py"]


def test_keras_comes_from_one_module():
    """From TensorFlow 2.16 on `import keras` and `tf.keras` are Keras 3, which our layers are not for."""
    using = importers("keras", "tf_keras", "tensorflow.keras")
    using += [p.name for p in FILES if "tf.keras." in p.read_text(encoding="utf-8")]
    other = sorted(set(using) - {"urfr_tf/keras2.py", "keras2.py", "tests/test_keras2.py"})
    assert not other, f"`from urfr_tf.keras2 import keras` is how Keras is imported: {', '.join(other)}"


def test_help_loads_no_heavy_module():
    """Not a clock: the half second that `urfr --help` may take is spent on nothing of this list."""
    code = (
        "import sys\nfrom urfr_tf.cli import build_parser\nbuild_parser().format_help()\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


def test_no_file_is_longer_than_one_sitting():
    long = {p.name: n for p in FILES if (n := len(p.read_text(encoding="utf-8").splitlines())) > 400}
    assert not long


def test_the_picture_of_the_house_is_of_these_imports():
    """docs/explanation/draw_architecture.py, run now, gives the picture that is committed."""
    script = ROOT / "docs" / "explanation" / "draw_architecture.py"
    names = runpy.run_path(str(script))
    assert names["draw"]() == names["OUT"].read_text(encoding="utf-8"), (
        f"run python {script.relative_to(ROOT)}"
    )
