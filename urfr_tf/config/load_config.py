"""Reads a configuration from YAML, applies overrides, checks it, and locks it.

Nothing starts before the whole tree is right. Every error names the key in full.
"""

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

import yaml
from official.modeling import hyperparams

from urfr_tf.config.check import check_sense, check_types
from urfr_tf.config.renamed_keys import rename_old_keys
from urfr_tf.config.tree import Experiment
from urfr_tf.errors import UrfrError


def load_config(path: str | os.PathLike[str], overrides: Sequence[str] = ()) -> Experiment:
    """Reads a YAML file, applies `a.b=value` overrides, checks everything, and locks the tree.

    Raises:
        UrfrError: an unreadable file, an unknown key, a wrong type, or an impossible combination.
    """
    tree = _read_yaml(path)
    for override in overrides:
        key, separator, text = override.partition("=")
        if not separator or not key:
            raise UrfrError(f"expected --set a.b=value, but got --set {override}")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise UrfrError(f"expected a YAML value in --set {override}, but it does not parse") from error
        _put(tree, key.split("."), value, key)
    return from_dict(tree, str(path))


def from_dict(tree: dict[str, Any], where: str) -> Experiment:
    """Builds the locked tree from plain dictionaries; `where` names their origin in errors."""
    check_types(Experiment, tree, "", where)
    config = Experiment()
    config.override(tree, is_strict=True)
    check_sense(config, where)
    _lock(config)
    return config


def read_run_config(run_dir: str | os.PathLike[str]) -> Experiment:
    """The resolved configuration that a run folder holds; keys that had another name when it was written are renamed.

    Raises:
        UrfrError: the folder has no `config.yaml`, or it does not fit this version.
    """
    path = os.path.join(run_dir, "config.yaml")
    if not os.path.isfile(path):
        raise UrfrError(f"expected a run folder with config.yaml, but {run_dir} has none")
    return from_dict(rename_old_keys(_read_yaml(path)), path)


def to_yaml(config: Experiment) -> str:
    """The resolved tree as YAML that `load_config` reads back to an equal tree."""
    return yaml.safe_dump(_without_nothing(config.as_dict()), sort_keys=False)


def _lock(config: hyperparams.Config) -> None:
    # The library locks one node; a setting changed after the checks would not be checked.
    for field in dataclasses.fields(config):
        if isinstance(value := getattr(config, field.name, None), hyperparams.Config):
            _lock(value)
    config.lock()


def _without_nothing(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_nothing(v) for k, v in value.items() if v is not None}
    return value


def _read_yaml(path: str | os.PathLike[str]) -> dict[str, Any]:
    try:
        with open(path, encoding="utf-8") as file:
            tree = yaml.safe_load(file) or {}
    except OSError as error:
        raise UrfrError(f"could not read the configuration {path}: {error.strerror or error}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        line = str(error).splitlines()[-1].strip()
        raise UrfrError(f"expected YAML in {path}, but it does not parse: {line}") from error
    if not isinstance(tree, dict):
        raise UrfrError(f"expected a mapping of keys at the top of {path}, but got {type(tree).__name__}")
    return tree


def _put(tree: dict[str, Any], keys: list[str], value: Any, full: str) -> None:
    for key in keys[:-1]:
        tree = tree.setdefault(key, {})
        if not isinstance(tree, dict):
            raise UrfrError(f"--set {full}: {key} is a value, not a group of keys")
    tree[keys[-1]] = value
