"""Sources -> the tables and notes of a report: results, settings that differ, training, what ran."""

import json
import math
import shlex
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import yaml

from urfr_tf.visualize.page import Cell, Measured
from urfr_tf.visualize.report import Note, Table
from urfr_tf.visualize.sources import Evaluation, Source
from urfr_tf.visualize.training_curves import NUMBERED

MAX_LOG_ROWS = 12
STDERR = "_stderr"


def systems(sources: Sequence[Source]) -> list[tuple[str, Evaluation]]:
    """Every evaluation with the name of its row; the source's name leads where there are several sources.

    Within a protocol of a source the best come first, by the first metric; the sources keep the order
    given. A copy at the run's top of a result that also has a folder of its own is left out.
    """
    rows = []
    for source in sources:
        protocols = _ordered(evaluation.protocol for evaluation in source.evaluations)
        for evaluation in sorted(source.evaluations, key=lambda e: (protocols.index(e.protocol), _rank(e))):
            twin = any(
                other is not evaluation and other.raw == evaluation.raw and other.folder != source.folder
                for other in source.evaluations
            )
            if twin and evaluation.folder == source.folder:
                continue
            name = evaluation.name
            if len(sources) > 1 and name != source.name:
                name = f"{source.name}: {name}"
            rows.append((name, evaluation))
    return rows


def _rank(evaluation: Evaluation) -> float:
    name, value = next(iter(evaluation.metrics.items()), ("", math.nan))
    if math.isnan(value):
        return math.inf
    return value if _lower_is_better(name) else -value


def metric_title(name: str) -> str:
    """A metric's name as a column heading: tar@far=1e-3 -> TAR at FAR 1e-3."""
    for short, long in (("tar@far=", "TAR at FAR "), ("tpir@fpir=", "TPIR at FPIR "), ("rank", "Rank ")):
        if name.startswith(short):
            return long + _spaced(name[len(short) :]).strip()
    return {"map": "mAP", "auc": "AUC", "eer": "EER"}.get(name, _titled(name))


def _ordered(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _spaced(name: str) -> str:
    return name.replace("_", " ")


def _titled(name: str) -> str:
    return _spaced(name[:1].upper() + name[1:])


def _as_cell(value: Any) -> Cell:
    return value if value is None or isinstance(value, int | float | str) else json.dumps(value, default=str)


def _lower_is_better(name: str) -> bool:
    return name.startswith(("eer", "error", "fnmr", "frr"))


def _best_cells(
    rows: Sequence[Sequence[Cell]], columns: Sequence[str], first: int
) -> frozenset[tuple[int, int]]:
    """The best cell of every metric's column, when two or more systems were measured and they differ."""
    best: set[tuple[int, int]] = set()
    for at, name in enumerate(columns, first):
        values = [cell.value if isinstance(cell, Measured) else cell for cell in (row[at] for row in rows)]
        present = [v for v in values if isinstance(v, float) and math.isfinite(v)]
        if len(present) < 2 or min(present) == max(present):
            continue
        top = min(present) if _lower_is_better(name) else max(present)
        best.update((row, at) for row, value in enumerate(values) if value == top)
    return frozenset(best)


def result_tables(sources: Sequence[Source]) -> list[Table]:
    """One table a protocol: rows are systems, columns the metrics, then what was counted."""
    every = systems(sources)
    tables = []
    for protocol in _ordered(evaluation.protocol for _, evaluation in every):
        group = [(name, evaluation) for name, evaluation in every if evaluation.protocol == protocol]
        metrics = _ordered(key for _, evaluation in group for key in evaluation.metrics)
        shown = [key for key in metrics if not (key.endswith(STDERR) and key[: -len(STDERR)] in metrics)]
        counts = _ordered(key for _, evaluation in group for key in evaluation.counts)
        rows: list[list[Cell]] = []
        for name, evaluation in group:
            cells: list[Cell] = [name, evaluation.score or None]
            for key in shown:
                value, error = evaluation.metrics.get(key), evaluation.metrics.get(key + STDERR)
                cells.append(value if value is None or error is None else Measured(value, error))
            rows.append(cells + [_as_cell(evaluation.counts.get(key)) for key in counts])
        note = "Metrics are fractions; ± is the standard error."
        if len(group) > 1:
            note += " The best of each column is stressed; its standard error says whether that matters."
            if len({json.dumps(evaluation.counts, sort_keys=True) for _, evaluation in group}) > 1:
                note += " The counts differ between rows: these systems did not see the same pairs or images."
        tables.append(
            Table(
                caption=f"Results, protocol {protocol}",
                columns=["System", "Score", *map(metric_title, shown), *map(_titled, counts)],
                rows=rows,
                note=note,
                best=_best_cells(rows, shown, 2),
            )
        )
    return tables


def _log_cell(name: str, value: float) -> Cell:
    if math.isnan(value):
        return None
    return int(value) if name in ("epoch", "step") and math.isfinite(value) else float(value)


def training_table(source: Source) -> Table | None:
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
    said = []
    if len(chosen) < length:
        said.append(f"{len(chosen)} of the {length} rows of log.csv, evenly spread.")
    if left_out:
        said.append(
            f"{left_out} columns of single sub-embeddings or variations are in log.csv and in the pictures."
        )
    return Table(
        caption=f"Training of {source.name}, by epoch",
        columns=list(map(metric_title, names)),
        rows=rows,
        note=" ".join(said),
    )


def flatten(tree: Any, prefix: str = "") -> dict[str, str]:
    """A tree of mappings as dotted keys -> text: {'a': {'b': 1}} -> {'a.b': '1'}."""
    if isinstance(tree, dict) and tree:
        flat: dict[str, str] = {}
        for key, value in tree.items():
            flat.update(flatten(value, f"{prefix}.{key}" if prefix else str(key)))
        return flat
    return {prefix: tree if isinstance(tree, str) else json.dumps(tree, default=str)}


def _settings(source: Source) -> dict[str, str]:
    path = source.folder / "config.yaml"
    try:
        # An alias lets a short file unfold into one of any size; a resolved configuration has none.
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(source.config)):
            source.missing.append(f"{path} has YAML aliases and was not compared.")
            return {}
        tree = yaml.safe_load(source.config)
    except (yaml.YAMLError, RecursionError) as error:
        source.missing.append(f"{path} does not parse as YAML: {str(error).splitlines()[0]}.")
        return {}
    return flatten(tree) if isinstance(tree, dict) else {}


def difference_table(sources: Sequence[Source]) -> Table | None:
    """The settings in which two or more runs differ, side by side; None for a single run."""
    runs = [source for source in sources if source.config]
    if len(runs) < 2:
        return None
    settings = [_settings(source) for source in runs]
    rows: list[list[Cell]] = [
        [key, *(one.get(key) for one in settings)]
        for key in _ordered(key for one in settings for key in one)
        if len({one.get(key) for one in settings}) > 1
    ]
    columns = ["Setting", *(source.name for source in runs)]
    return Table("Settings that differ", columns, rows, "" if rows else "Every setting is the same.")


def facts_table(sources: Sequence[Source]) -> Table | None:
    """What run.json says of each run (commit, seed, versions); the command stands in the notes."""
    runs = [source for source in sources if source.facts]
    if not runs:
        return None
    facts = [flatten({k: v for k, v in source.facts.items() if k != "command"}) for source in runs]
    keys = _ordered(key for one in facts for key in one)
    rows: list[list[Cell]] = [[key, *(one.get(key) for one in facts)] for key in keys]
    return Table("What ran", ["Fact", *(source.name for source in runs)], rows) if rows else None


def command_text(command: Any) -> str:
    """A command as one line for a shell, from a string or a list of arguments."""
    if isinstance(command, list):
        return shlex.join(str(part) for part in command)
    return command if isinstance(command, str) else ""


def notes(sources: Sequence[Source], again: str) -> list[Note]:
    """How each number was obtained, the command for it, and what is missing; `again` remakes the report."""
    found = []
    for source in sources:
        if source.config or source.facts:
            command = command_text(source.facts.get("command"))
            found.append(
                Note(
                    f"The run {source.name}",
                    f"Trained in {source.folder}; its resolved configuration is folded below."
                    + ("" if command else " run.json names no command that gives it again."),
                    command,
                    source.config,
                    "config.yaml",
                )
            )
    for name, evaluation in systems(sources):
        command = command_text(evaluation.raw.get("command"))
        threshold = evaluation.raw.get("threshold")
        said = f"Read from {evaluation.folder / 'metrics.json'}"
        said += f", measured on {evaluation.model}" if evaluation.model else ""
        said += f" with the score {evaluation.score}" if evaluation.score else ""
        said += f"; threshold {json.dumps(threshold)}" if threshold is not None else "; no threshold"
        said += "." if command else ". The file names no command that gives it again."
        found.append(
            Note(
                f"{name}, protocol {evaluation.protocol}",
                said,
                command,
                json.dumps(evaluation.raw, indent=1, ensure_ascii=False),
                "metrics.json",
            )
        )
    found.append(Note("This report", "Made only from the files named above.", again))
    gaps = _ordered(sentence for source in sources for sentence in source.missing)
    if gaps:
        found.append(Note("What is missing", " ".join(gaps)))
    return found


def tables(sources: Sequence[Source]) -> list[Table]:
    """Results first, then how they compare in their settings, then the training and what ran."""
    maybe = [difference_table(sources), *map(training_table, sources), facts_table(sources)]
    return result_tables(sources) + [table for table in maybe if table is not None]
