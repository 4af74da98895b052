"""Evaluations -> the tables of results: one a protocol, what was counted, and how degraded probes fare."""

import json
import math
from collections.abc import Iterable, Sequence

from urfr_tf.visualize.cells import Cell, Measured
from urfr_tf.visualize.degraded_metrics import DEGRADED, STDERR, UNITS
from urfr_tf.visualize.report import Table
from urfr_tf.visualize.sources import ReportedEvaluation, ReportSource

Group = Sequence[tuple[str, ReportedEvaluation]]


def list_systems(sources: Sequence[ReportSource]) -> list[tuple[str, ReportedEvaluation]]:
    """Every evaluation with the name of its row; the source's name leads where there are several sources.

    Within a protocol of a source the best come first, by the first metric; the sources keep the order
    given. A copy at the run's top of a result that also has its own folder is left out.
    """
    rows = []
    for source in sources:
        protocols = drop_duplicates(evaluation.protocol for evaluation in source.evaluations)
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


def group_by_protocol(sources: Sequence[ReportSource]) -> dict[str, list[tuple[str, ReportedEvaluation]]]:
    """`systems`, protocol by protocol."""
    groups: dict[str, list[tuple[str, ReportedEvaluation]]] = {}
    for name, evaluation in list_systems(sources):
        groups.setdefault(evaluation.protocol, []).append((name, evaluation))
    return groups


def drop_duplicates(names: Iterable[str]) -> list[str]:
    """The different names in the order of their first appearance."""
    return list(dict.fromkeys(names))


_SPELT = {
    "tar@far=": "TAR at FAR ",
    "tar_listed@far=": "TAR (listed impostors) at FAR ",
    "tpir@fpir=": "TPIR at FPIR ",
    "rank": "Rank ",
}


def format_metric_name(name: str) -> str:
    """A metric's name as a column heading: tar@far=1e-3 -> TAR at FAR 1e-3."""
    if name.startswith("val_"):
        return f"Validation {format_metric_name(name.removeprefix('val_'))}"
    for short, long in _SPELT.items():
        if name.startswith(short):
            return long + name[len(short) :].replace("_", " ").strip()
    titled = (name[:1].upper() + name[1:]).replace("_", " ")
    return {"map": "mAP", "auc": "AUC", "eer": "EER"}.get(name, titled)


def _rank(evaluation: ReportedEvaluation) -> float:
    name, value = next(iter(evaluation.metrics.items()), ("", math.nan))
    if math.isnan(value):
        return math.inf
    return value if _lower_is_better(name) else -value


def _lower_is_better(name: str) -> bool:
    return name.startswith(("eer", "error", "fnmr", "frr"))


def _shown(names: Iterable[str]) -> list[str]:
    """Metrics without the standard errors, which are shown next to their metric."""
    every = drop_duplicates(names)
    return [name for name in every if not (name.endswith(STDERR) and name.removesuffix(STDERR) in every)]


def _measured(evaluation: ReportedEvaluation, name: str, stderr: str) -> Cell:
    """The metric with its standard error (the metric `stderr`) or its interval, marked where it is thin."""
    value = evaluation.metrics.get(name)
    if value is None:
        return None
    thin = evaluation.raw.get("thin")
    return Measured(
        value,
        error=evaluation.metrics.get(stderr),
        interval=_interval(evaluation, name),
        thin=isinstance(thin, list) and name in thin,
    )


def _interval(evaluation: ReportedEvaluation, name: str) -> tuple[float, float] | None:
    intervals = evaluation.raw.get("intervals")
    ends = intervals.get(name) if isinstance(intervals, dict) else None
    if isinstance(ends, list) and len(ends) == 2 and all(isinstance(end, int | float) for end in ends):
        return float(ends[0]), float(ends[1])
    return None


def _best_cells(
    rows: Sequence[Sequence[Cell]], columns: Sequence[str], first: int
) -> frozenset[tuple[int, int]]:
    """The best cell of every metric's column, when two or more systems were measured and they differ."""
    best: set[tuple[int, int]] = set()
    for at, name in enumerate(columns, first):
        values = [
            cell.value if isinstance(cell, Measured) else math.nan for cell in (row[at] for row in rows)
        ]
        present = [value for value in values if math.isfinite(value)]
        if len(present) < 2 or min(present) == max(present):
            continue
        top = min(present) if _lower_is_better(name) else max(present)
        best.update((row, at) for row, value in enumerate(values) if value == top)
    return frozenset(best)


def _legend(rows: Sequence[Sequence[Cell]]) -> str:
    cells = [cell for row in rows for cell in row if isinstance(cell, Measured)]
    sentences = ["Metrics are fractions."]
    if any(cell.error is not None for cell in cells):
        sentences.append("± is the standard error over the folds.")
    if any(cell.interval is not None for cell in cells):
        sentences.append("Brackets are 95 % bootstrap intervals over the people.")
    if any(cell.thin for cell in cells):
        sentences.append("† Thin: fewer than 10 false accepts, so the figure is little more than chance.")
    if len(rows) > 1:
        sentences.append(
            "The best figure of each column is highlighted. Its error says whether that matters."
        )
    return " ".join(sentences)


def _result(protocol: str, group: Group) -> Table:
    every = _shown(name for _, evaluation in group for name in evaluation.metrics)
    names = [name for name in every if not DEGRADED.fullmatch(name)]
    rows: list[list[Cell]] = [
        [
            name,
            evaluation.score or None,
            *(_measured(evaluation, metric, metric + STDERR) for metric in names),
        ]
        for name, evaluation in group
    ]
    columns = ["System", "Score", *map(format_metric_name, names)]
    return Table(f"Results, protocol {protocol}", columns, rows, _legend(rows), _best_cells(rows, names, 2))


def _degraded(protocol: str, group: Group) -> Table | None:
    """Rows are system and degradation, columns the metrics; None where no probe was degraded."""
    cells: dict[tuple[str, str], dict[str, Cell]] = {}
    for name, evaluation in group:
        for key in evaluation.metrics:
            match = DEGRADED.fullmatch(key)
            if match and not match[1].endswith(STDERR):
                row = cells.setdefault((name, f"{match[2]} {match[3]}"), {})
                row[match[1]] = _measured(evaluation, key, f"{match[1]}{STDERR}@{match[2]}={match[3]}")
    if not cells:
        return None
    names = drop_duplicates(metric for row in cells.values() for metric in row)
    rows: list[list[Cell]] = [
        [degradation, name, *(row.get(metric) for metric in names)]
        for (name, degradation), row in cells.items()
    ]
    note = f"Strengths: {'; '.join(f'{variation}, {unit}' for variation, unit in UNITS.items())}."
    columns = ["Degradation", "System", *map(format_metric_name, names)]
    return Table(f"Degraded probes, protocol {protocol}", columns, rows, note)


def _as_cell(value: object) -> Cell:
    return value if value is None or isinstance(value, int | float | str) else json.dumps(value, default=str)


def _counts(protocol: str, group: Group) -> Table | None:
    """What the figures rest on: rows are counts, columns systems, or one column where all agree."""
    names = [
        name
        for name in drop_duplicates(name for _, evaluation in group for name in evaluation.counts)
        if any(evaluation.counts.get(name) not in (None, {}, []) for _, evaluation in group)
    ]
    if not names:
        return None
    columns = [[_as_cell(evaluation.counts.get(name)) for name in names] for _, evaluation in group]
    alike = all(column == columns[0] for column in columns)
    shown = (
        {"All systems": columns[0]} if alike else dict(zip((name for name, _ in group), columns, strict=True))
    )
    rows: list[list[Cell]] = [
        [format_metric_name(name), *(column[at] for column in shown.values())]
        for at, name in enumerate(names)
    ]
    note = "" if alike else "The counts differ: these systems were not measured on the same pairs or images."
    return Table(f"What was counted, protocol {protocol}", ["Count", *shown], rows, note)


def make_result_tables(sources: Sequence[ReportSource]) -> list[Table]:
    """For each protocol its results, its degraded probes if any, and what was counted."""
    tables = []
    for protocol, group in group_by_protocol(sources).items():
        tables += [_result(protocol, group), _degraded(protocol, group), _counts(protocol, group)]
    return [table for table in tables if table is not None]
