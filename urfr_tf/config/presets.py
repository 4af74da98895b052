"""Configuration files and presets: finds them by name, and reads one together with the bases it builds on.

A file may name another one as its `base`. The keys of the file are then merged into those of its base, group
by group. `description` says in one sentence what the file is. Both keys belong to the file and not to the
experiment. This module imports nothing heavy, because `urfr configs` lists the presets with it.
"""

import copy
import dataclasses
import difflib
import functools
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import yaml

from urfr_tf.config.yaml_text import parse_yaml
from urfr_tf.errors import UrfrError

FOLDER = Path(__file__).parents[1] / "configs"
SUFFIX = ".yaml"
Tree = dict[str, object]
"""Nested mappings of keys, as YAML gives them."""


@dataclasses.dataclass(frozen=True)
class Preset:
    """A configuration that comes with the package.

    Attributes:
        name: what `--config` takes, "paper/table1_3_0".
        description: one sentence.
        path: its file.
    """

    name: str
    description: str
    path: str


@dataclasses.dataclass(frozen=True)
class Layer:
    """The keys of one file, without those of its base.

    Attributes:
        tree: nested mappings of keys.
        where: the file or preset in words, for errors.
        lines: dotted key -> its line in the file.
    """

    tree: Tree
    where: str
    lines: Mapping[str, int] = dataclasses.field(default_factory=dict)

    def place(self, key: str) -> str:
        """Names the file and the line of a key, or of the nearest group above it that has one."""
        while key and key not in self.lines:
            key = key.rpartition(".")[0]
        return f"line {self.lines[key]} of {self.where}" if key else self.where


def preset_names() -> list[str]:
    """The names of all presets, sorted."""
    return list(_names_in(FOLDER))


@functools.cache  # The files of the package do not change while it runs.
def _names_in(folder: Path) -> tuple[str, ...]:
    paths = folder.rglob(f"*{SUFFIX}")
    return tuple(sorted(path.relative_to(folder).with_suffix("").as_posix() for path in paths))


def list_presets() -> list[Preset]:
    """All presets with their descriptions, sorted by name.

    Raises:
        UrfrError: a preset cannot be read.
    """
    presets = []
    for name in preset_names():
        path = _preset_path(name)
        description = _text_of(read_yaml(path, f"preset {name}"), "description", f"preset {name}")
        presets.append(Preset(name, description, str(path)))
    return presets


def read_layers(config: str | os.PathLike[str]) -> list[Layer]:
    """Reads a configuration and its bases.

    Args:
        config: a file, or the name of a preset. What is both is the file.

    Returns:
        The layers in the order in which they are merged, the last base first.

    Raises:
        UrfrError: there is no such file or preset, it is not a mapping in YAML, or it is its own base.
    """
    path, where = _find(config, Path(), "")
    layers: list[Layer] = []
    visited: dict[Path, str] = {}
    while True:
        if path.resolve() in visited:
            chain = " -> ".join([*visited.values(), where])
            raise UrfrError(f"expected a configuration that is not its own base, but got {chain}")
        visited[path.resolve()] = where
        is_preset = FOLDER in path.parents
        tree, lines = copy.deepcopy(_read_preset(path, where)) if is_preset else read_lines(path, where)
        base = _text_of(tree, "base", where)
        _text_of(tree, "description", where)
        keys = {key: value for key, value in tree.items() if key not in ("base", "description")}
        layers.insert(0, Layer(keys, where, lines))
        if not base:
            return layers
        path, where = _find(base, path.parent, where)


def read_yaml(path: str | os.PathLike[str], where: str) -> Tree:
    """Reads a file that holds a mapping of keys.

    Args:
        path: the file.
        where: the file in words, for errors.

    Raises:
        UrfrError: it cannot be read, or it is not a mapping in YAML.
    """
    return read_lines(path, where)[0]


def read_lines(path: str | os.PathLike[str], where: str) -> tuple[Tree, dict[str, int]]:
    """Reads a file as `read_yaml` does; returns also the lines of its keys, see `parse_yaml`."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            tree, lines = parse_yaml(file)
    except OSError as error:
        raise UrfrError(f"could not read the configuration {where}: {error.strerror or error}") from error
    except (yaml.YAMLError, RecursionError) as error:
        line = (str(error).splitlines() or [""])[-1].strip()
        raise UrfrError(f"expected YAML in {where}, but it does not parse: {line}") from error
    if tree is None:
        tree = {}
    if not isinstance(tree, dict):
        raise UrfrError(f"expected a mapping of keys at the top of {where}, but got {type(tree).__name__}")
    return tree, lines


@functools.cache
def _read_preset(path: Path, where: str) -> tuple[Tree, dict[str, int]]:
    return read_lines(path, where)


def merge_layers(layers: Iterable[Layer]) -> Tree:
    """The keys of a configuration with those of its bases, as `read_layers` gives them."""
    tree: Tree = {}
    for layer in layers:
        tree = merge(tree, layer.tree)
    return tree


def merge(under: Mapping[str, object], over: Mapping[str, object]) -> Tree:
    """Merges two trees key by key; `over` wins. A list is one value."""
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _find(config: str | os.PathLike[str], folder: Path, file: str) -> tuple[Path, str]:
    """The path of a file or preset, and how errors name it.

    Args:
        config: a path, or the name of a preset.
        folder: what a path is relative to.
        file: the file that names `config` as its base; empty if a user does.
    """
    text = os.fspath(config)
    path = folder / text
    # Not is_file: the configuration may come through a pipe.
    if path.exists() and not path.is_dir():
        return path, str(path) if file else text
    names = preset_names()
    if text in names:
        return _preset_path(text), f"preset {text}"
    what = f"the base {text} of {file}" if file else f"the configuration {text}"
    reason = "it is a folder" if path.is_dir() else "there is no such file, and no preset of this name"
    alike = difflib.get_close_matches(text.removeprefix("configs/").removesuffix(SUFFIX), names)
    advice = f"close matches: {', '.join(alike)}" if alike else "`urfr configs` lists the presets"
    raise UrfrError(f"could not read {what}: {reason}; {advice}")


def _preset_path(name: str) -> Path:
    return FOLDER / f"{name}{SUFFIX}"


def _text_of(tree: Tree, key: str, where: str) -> str:
    value = tree.get(key, "")
    if not isinstance(value, str):
        raise UrfrError(f"{key} in {where} is a text, but got {value!r}")
    return value
