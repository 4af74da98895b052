"""Imports point one way; heavy ones stay out of the command line; one module knows tensorflow-addons."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LEAVES = ("layers", "losses", "augment", "faces", "metrics", "weights")
BASE = ("errors", "files", "heads")
HEAVY = ("tensorflow", "keras", "numpy", "cv2", "matplotlib", "official", "sklearn", "yaml")
# Each area may import from itself, from those to its right, and from the base.
MAY = {
    "models": ("config", "config_check", *LEAVES),
    "data": LEAVES,
    "protocols": ("data", *LEAVES),
    "visualize": ("data", *LEAVES),
}
FILES = sorted((ROOT / "urfr_tf").rglob("*.py"))


def imported(path, top_level_only=False):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if top_level_only else list(ast.walk(tree))
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def ours(path):
    """First component below urfr_tf of everything of ours that a file imports."""
    for name in imported(path):
        parts = name.split(".")
        if parts[0] == "urfr_tf" and len(parts) > 1:
            yield parts[1]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_one_way(path):
    area = path.relative_to(ROOT / "urfr_tf").parts[0]
    if area in LEAVES:
        # The pose variation needs the face's shape; faces itself imports no leaf.
        allowed = {area, *BASE, *(["faces"] if area == "augment" else [])}
    elif area in MAY:
        allowed = {area, *BASE, *MAY[area]}
    elif area.removesuffix(".py") in BASE:
        allowed = set(BASE)
    else:
        return
    assert set(ours(path)) <= allowed


def test_commands_import_nothing_heavy_at_the_top():
    for path in [ROOT / "urfr_tf" / "cli.py", *(ROOT / "urfr_tf" / "commands").glob("*.py")]:
        heavy = {name.split(".")[0] for name in imported(path, top_level_only=True)} & set(HEAVY)
        assert not heavy, f"{path.name} imports {heavy}"


def test_only_one_module_imports_tensorflow_addons():
    files = [*FILES, *(ROOT / "export").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")]
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
