"""Imports point one way; heavy ones stay out of the command line; one module knows tensorflow-addons."""

import ast
import subprocess
import sys

import pytest
from paths import ROOT

PACKAGE = ROOT / "urfr_tf"
# The floors of the house, from the ground up. A room (a folder of urfr_tf or a module directly in it) imports from
# itself and from floors below its own, never from a neighbour. A leaf takes plain arguments, so the configuration
# is on the same floor as the leaves. Of the names of urfr_tf itself ours takes the version alone: `load` is for users.
FLOORS = (
    ("errors", "keys"),
    ("files", "system"),
    ("config", "faces", "foreign_weights", "layers", "losses", "metrics"),
    ("augment", "models"),
    ("data",),
    ("protocols", "runs"),
    ("embedding", "evaluation"),
    ("visualize",),
    ("export", "training"),
    ("bench", "evaluate", "planning", "train"),
    ("cli",),
    ("commands", "demo"),
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
# What users call: the package itself may import the one thing that it offers.
OFFERED = {"__init__": {"runs"}}
# `python -m urfr_tf.train` is `urfr train`: it goes through the command line before TensorFlow is imported.
UPWARDS = {("urfr_tf/train.py", "cli")}
HEAVY = ("tensorflow", "keras", "numpy", "cv2", "matplotlib", "official", "sklearn", "yaml")
FILES = sorted(PACKAGE.rglob("*.py"))


def imported(path, top_level_only=False):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if top_level_only else list(ast.walk(tree))
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: an import that begins with a dot hides which room it is from"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def rooms_imported(path):
    """First component below urfr_tf of everything of ours that a file imports."""
    names = (name.split(".") for name in imported(path))
    return {name[1] for name in names if name[0] == "urfr_tf" and len(name) > 1} - {"__version__"}


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
    """Nobody finds a thing among dozens: at most 10 modules directly in urfr_tf, 32 rooms with the folders."""
    modules = [path for path in PACKAGE.glob("*.py") if path.name != "__init__.py"]
    assert len(modules) <= 10
    assert len(FLOOR) <= 32


def test_commands_import_nothing_heavy_at_the_top():
    for path in [PACKAGE / "cli.py", *(PACKAGE / "commands").glob("*.py")]:
        heavy = {name.split(".")[0] for name in imported(path, top_level_only=True)} & set(HEAVY)
        assert not heavy, f"{path.name} imports {heavy}"


def test_only_one_module_imports_tensorflow_addons():
    files = [*FILES, *(ROOT / "experiments").rglob("*.py")]
    using = [p.name for p in files if any(n.split(".")[0] == "tensorflow_addons" for n in imported(p))]
    assert using == ["addons.py"]


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
