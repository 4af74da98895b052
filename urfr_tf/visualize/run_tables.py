"""Runs -> the tables of a report about them: settings that differ, training by epoch, what ran."""

import json
import math
from collections.abc import Sequence

import numpy as np
import yaml

from urfr_tf.config.renamed_keys import rename_old_keys
from urfr_tf.config.yaml_text import parse_yaml
from urfr_tf.visualize.cells import Cell
from urfr_tf.visualize.report import Table
from urfr_tf.visualize.result_tables import drop_duplicates, format_metric_name
from urfr_tf.visualize.sources import ReportSource
from urfr_tf.visualize.training_figures import NUMBERED

MAX_LOG_ROWS = 12


def _log_cell(name: str, value: float) -> Cell:
    if math.isnan(value):
        return None
    return int(value) if name in ("epoch", "step") and math.isfinite(value) else float(value)


def make_training_table(source: ReportSource) -> Table | None:
    """The epochs of a run's log.csv: all of them, or 12 spread evenly with the first and the last."""
    if not source.log:
        return None
    length = len(next(iter(source.log.values())))
    chosen = np.unique(np.linspace(0, length - 1, min(length, MAX_LOG_ROWS)).round().astype(int))
    # One column for each of 16 sub-embeddings is a picture, not a table.
    names = [name for name in source.log if not NUMBERED.fullmatch(name)]
    left_out = len(source.log) - len(names)
    for first in ("step", "epoch"):
        if first in names:
            names.insert(0, names.pop(names.index(first)))
    rows: list[list[Cell]] = [[_log_cell(name, source.log[name][at]) for name in names] for at in chosen]
    sentences = []
    if len(chosen) < length:
        sentences.append(f"{len(chosen)} of the {length} rows of log.csv, evenly spread.")
    if left_out:
        sentences.append(
            f"{left_out} columns of single sub-embeddings or variations are in log.csv and in the pictures."
        )
    return Table(
        caption=f"Training of {source.name}, by epoch",
        columns=list(map(format_metric_name, names)),
        rows=rows,
        note=" ".join(sentences),
    )


def spell_tree(tree: object, prefix: str = "") -> dict[str, str]:
    """A tree of mappings as dotted keys -> text: {'a': {'b': 1}} -> {'a.b': '1'}."""
    if isinstance(tree, dict) and tree:
        flat: dict[str, str] = {}
        for key, value in tree.items():
            flat.update(spell_tree(value, f"{prefix}.{key}" if prefix else str(key)))
        return flat
    return {prefix: tree if isinstance(tree, str) else json.dumps(tree, default=str)}


def _settings(source: ReportSource) -> dict[str, str]:
    path = source.folder / "config.yaml"
    try:
        # An alias lets a short file unfold into one of any size; a resolved configuration has none.
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(source.config)):
            source.missing.append(f"{path} has YAML aliases and was not compared.")
            return {}
        tree, _ = parse_yaml(source.config)
    except (yaml.YAMLError, RecursionError) as error:
        source.missing.append(f"{path} does not parse as YAML: {str(error).splitlines()[0]}.")
        return {}
    return spell_tree(rename_old_keys(tree)) if isinstance(tree, dict) else {}


def make_difference_table(sources: Sequence[ReportSource]) -> Table | None:
    """The settings in which two or more runs differ, side by side; None for a single run."""
    runs = [source for source in sources if source.config]
    if len(runs) < 2:
        return None
    settings = [_settings(source) for source in runs]
    rows: list[list[Cell]] = [
        [key, *(one.get(key) for one in settings)]
        for key in drop_duplicates(key for one in settings for key in one)
        if len({one.get(key) for one in settings}) > 1
    ]
    columns = ["Setting", *(source.name for source in runs)]
    return Table("Settings that differ", columns, rows, "" if rows else "Every setting is the same.")


def make_facts_table(sources: Sequence[ReportSource]) -> Table | None:
    """What run.json says of each run (commit, seed, versions); the command stands in the notes."""
    runs = [source for source in sources if source.facts]
    if not runs:
        return None
    facts = [spell_tree({k: v for k, v in source.facts.items() if k != "command"}) for source in runs]
    keys = drop_duplicates(key for one in facts for key in one)
    rows: list[list[Cell]] = [[key, *(one.get(key) for one in facts)] for key in keys]
    return Table("What ran", ["Fact", *(source.name for source in runs)], rows) if rows else None


def make_run_tables(sources: Sequence[ReportSource]) -> list[Table]:
    """How the runs differ, then the training of each, then what ran."""
    maybe = [make_difference_table(sources), *map(make_training_table, sources), make_facts_table(sources)]
    return [table for table in maybe if table is not None]
