"""The house: which room of urfr_tf is on which floor, and who imports whom."""

import ast

from paths import ROOT

PACKAGE = ROOT / "urfr_tf"
# The floors of the house, from the ground up. A room is a folder of urfr_tf or a module directly in it. It
# imports from itself and from lower floors, never from a neighbor. A leaf takes plain arguments, so the
# configuration is on the same floor as the leaves. Of the names of urfr_tf itself our code takes only the
# version: `load` is for users.
FLOORS = (
    ("errors", "keras2", "keys"),
    ("files", "litert", "system"),
    ("config", "faces", "foreign_weights", "layers", "losses", "metrics"),
    ("augment", "models"),
    ("data",),
    ("protocols", "runs"),
    ("embedding", "evaluation"),
    ("gallery",),
    ("visualize",),
    ("export", "training"),
    ("bench", "doctor", "evaluate", "planning", "train"),
    ("cli",),
    ("commands", "demo"),
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
FILES = sorted(PACKAGE.rglob("*.py"))


def imported(path, top_level_only=False, source=None):
    """Full names that a file imports; `source` takes the place of what the file holds."""
    tree = ast.parse(path.read_text(encoding="utf-8") if source is None else source)
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


def imports_of_rooms():
    """Room -> the other rooms of the house that its files import, read from the files as they are."""
    edges = {room: set() for room in FLOOR}
    for path in FILES:
        if (room := room_of(path)) in FLOOR:
            edges[room] |= (rooms_imported(path) & set(FLOOR)) - {room}
    return edges
