"""Reads a configuration from YAML, applies overrides, checks it, and locks it.

Nothing starts before the whole tree is right. Every error names the key in full, and where it was set.
"""

import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence

import yaml
from official.modeling import hyperparams

from urfr_tf.config.check import check_types, check_values
from urfr_tf.config.presets import Layer, Tree, merge, read_layers, read_yaml
from urfr_tf.config.renamed_keys import rename_old_keys
from urfr_tf.config.tree import Experiment
from urfr_tf.config.yaml_text import parse_yaml
from urfr_tf.errors import UrfrError

_OVERRIDE = "--set "


def load_config(config: str | os.PathLike[str], overrides: Sequence[str] = ()) -> Experiment:
    """Reads a configuration, applies `a.b=value` overrides, checks everything, and locks the tree.

    Args:
        config: a file, or the name of a preset. What is both is the file.
        overrides: texts like "loss.margin=8", with a value in YAML. They replace what the file says.

    Raises:
        UrfrError: an unreadable file, an unknown key, a wrong type, a value out of range, or a combination
            that cannot work.
    """
    tree: Tree = {}
    origins: dict[str, str] = {}
    layers = read_layers(config)
    for layer in layers:
        check_types(Experiment, layer.tree, layer.place)
        tree = merge(tree, layer.tree)
        origins |= {key: layer.place(key) for key in _leaves(layer.tree)}
    for override in overrides:
        keys, layer = _parse_override(override)
        check_types(Experiment, layer.tree, layer.place)
        # A group of keys replaces the whole group.
        tree = merge(_without(tree, keys), layer.tree)
        origins |= dict.fromkeys(_leaves(layer.tree), layer.where)
    return _build(tree, layers[-1].where, origins)


def from_dict(tree: Mapping[str, object], where: str) -> Experiment:
    """Builds the locked tree from plain dictionaries; `where` names their origin in errors."""
    check_types(Experiment, tree, lambda key: where)
    return _build(tree, where, {})


def read_run_config(run_dir: str | os.PathLike[str]) -> Experiment:
    """The resolved configuration that a run folder holds.

    Keys that had another name when it was written are renamed.

    Raises:
        UrfrError: the folder has no `config.yaml`, or it does not fit this version.
    """
    path = os.path.join(run_dir, "config.yaml")
    if not os.path.isfile(path):
        raise UrfrError(f"expected a run folder with config.yaml, but {run_dir} has none")
    return from_dict(rename_old_keys(read_yaml(path, path)), path)


def to_yaml(config: Experiment) -> str:
    """The resolved tree as YAML that `load_config` reads back to an equal tree."""
    text: str = yaml.safe_dump(_without_nothing(config.as_dict()), sort_keys=False)
    return text


def _build(tree: Mapping[str, object], where: str, origins: Mapping[str, str]) -> Experiment:
    """Builds, checks and locks.

    Args:
        tree: keys whose types are right.
        where: the configuration in words, for errors.
        origins: dotted key -> where it was set in words. An error about a key that an override has set names
            only the override, because it is what the user has to change.
    """

    def where_set(keys: Sequence[str]) -> str:
        texts = [text for key, text in origins.items() if f"{key}.".startswith(tuple(f"{k}." for k in keys))]
        overrides = [text for text in texts if text.startswith(_OVERRIDE)]
        return ", ".join(dict.fromkeys(overrides or texts)) or where

    config = Experiment()
    config.override(tree, is_strict=True)
    check_values(config, where_set)
    _lock(config)
    return config


def _parse_override(override: str) -> tuple[list[str], Layer]:
    """The keys of `a.b=value`, and the tree that it stands for."""
    key, separator, text = override.partition("=")
    if not separator or not key:
        raise UrfrError(f"expected --set a.b=value, but got --set {override}")
    try:
        value: object = parse_yaml(text)[0]
    except yaml.YAMLError as error:
        reason = (str(error).splitlines() or [""])[-1].strip()
        raise UrfrError(
            f"expected a YAML value in --set {override}, but it does not parse: {reason}"
        ) from error
    if isinstance(value, str) and text.strip()[:1] not in ("'", '"', "!", "&") and value != text.strip():
        raise UrfrError(
            f"YAML reads the value of --set {override} as {value!r}; put it in quotes inside YAML"
        )
    keys = key.split(".")
    for name in reversed(keys):
        value = {name: value}
    assert isinstance(value, dict)
    return keys, Layer(value, f"{_OVERRIDE}{override}")


def _without(tree: Tree, keys: Sequence[str]) -> Tree:
    """The tree without the value or group at a path of keys."""
    first, *rest = keys
    inner = tree.get(first)
    if rest and isinstance(inner, dict):
        return {**tree, first: _without(inner, rest)}
    return {key: value for key, value in tree.items() if key != first}


def _leaves(tree: Mapping[str, object], prefix: str = "") -> Iterator[str]:
    """The dotted keys of all values."""
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def _lock(config: hyperparams.Config) -> None:
    # The library locks one node; a setting changed after the checks would not be checked.
    for field in dataclasses.fields(config):
        if isinstance(value := getattr(config, field.name, None), hyperparams.Config):
            _lock(value)
    config.lock()


def _without_nothing(tree: Mapping[str, object]) -> Tree:
    return {
        key: _without_nothing(value) if isinstance(value, dict) else value
        for key, value in tree.items()
        if value is not None
    }
