"""Keys that have a new name. Run folders that were written with the old one can still be read and resumed."""

import copy
from collections.abc import Mapping

RENAMED_KEYS: Mapping[str, str] = {"data.parts": "data.worker_shares"}
"""Old dotted key -> new dotted key.

The table is applied to the `config.yaml` of run folders only. In a file that a user writes, an old key is an
error that names the new one.
"""


def rename_old_keys(tree: Mapping[str, object]) -> dict[str, object]:
    """Returns a copy of a run's configuration in which every old key has its new name.

    Args:
        tree: the nested mappings of a run's `config.yaml`.

    Returns:
        The tree with the new names. An old key stays where the new one is there too, and is refused later.
    """
    renamed = copy.deepcopy(dict(tree))
    for old, new in RENAMED_KEYS.items():
        *old_groups, old_name = old.split(".")
        *new_groups, new_name = new.split(".")
        source, target = _group(renamed, old_groups), _group(renamed, new_groups)
        if source is not None and target is not None and old_name in source and new_name not in target:
            target[new_name] = source.pop(old_name)
    return renamed


def _group(tree: dict[str, object], names: list[str]) -> dict[str, object] | None:
    """The group of keys at a path, or None where there is none."""
    group: object = tree
    for name in names:
        group = group.get(name) if isinstance(group, dict) else None
    return group if isinstance(group, dict) else None
