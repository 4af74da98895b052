"""The table that `urfr evaluate` prints: a row for each figure and a column for each model."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from urfr_tf.evaluation.results import OperatingPoint, Result


class Column(NamedTuple):
    """A model and its figures.

    Attributes:
        name: of the model.
        score: that it was compared by.
        result: its figures.
        point: its operating point, where one was calibrated.
        stored: the files that the threshold was written to.
    """

    name: str
    score: str
    result: Result
    point: OperatingPoint | None
    stored: Sequence[Path]


def summary_lines(columns: Sequence[Column]) -> list[str]:
    """The table as lines of text; how each column was obtained is below."""
    names = list(dict.fromkeys(name for column in columns for name in column.result.metrics))
    names = [name for name in names if "_stderr" not in name]
    first = max(map(len, [*names, "protocol"]))
    heads = [f"{column.name}, {column.score}" for column in columns]
    widths = [max(len(head), 22) for head in heads]
    rows = [
        ("", heads),
        *((name, [format_cell(column.result, name) for column in columns]) for name in names),
    ]
    lines = [
        f"{name:{first}}  " + "  ".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
        for name, cells in rows
    ]
    return lines + [line for column in columns for line in _note_lines(column)]


def _note_lines(column: Column) -> list[str]:
    counts: Mapping[str, object] = {
        key: value for key, value in column.result.counts.items() if value not in ({}, None)
    }
    lines = [f"{column.name}: " + ", ".join(f"{key} {value}" for key, value in counts.items())]
    lines += _left_out_lines(column.result.refused)
    point = column.point
    if column.stored and point is not None:
        reached = "unknown" if point["far_reached"] is None else f"{point['far_reached']:.2g}"
        lines.append(
            f"  threshold {point['threshold']:.6g} for FAR {point['far']:g}; on held-out people it reaches "
            f"{reached}; in {', '.join(map(str, column.stored))}"
        )
    return lines


def _left_out_lines(refused: Mapping[str, str]) -> list[str]:
    """A line for each kind of figure that is left out, with the reason of the first of them."""
    names_by_kind: dict[str, list[str]] = {}
    for name in refused:
        names_by_kind.setdefault(name.partition("@")[0], []).append(name)
    return [f"  left out: {', '.join(names)}: {refused[names[0]]}" for names in names_by_kind.values()]


def format_cell(result: Result, name: str) -> str:
    """A figure with its standard error and interval, marked where it is thin; "-" where there is none."""
    metrics = result.metrics
    if name not in metrics:
        return "-"
    text = f"{metrics[name]:.4f}"
    stderr = name.replace("accuracy", "accuracy_stderr") if "accuracy" in name else f"{name}_stderr"
    if stderr in metrics:
        text += f" +- {metrics[stderr]:.4f}"
    if name in result.intervals:
        low, high = result.intervals[name]
        text += f" [{low:.4f}, {high:.4f}]"
    return text + (" thin" if name in result.thin else "")
