"""What runs and evaluations leave on the disk, read for a report.

A file that is missing or damaged becomes a sentence in `missing`, never an exception: a report about
half a run is worth more than none. Nothing is unpickled and sizes are checked before anything is read.
"""

import csv
import json
import math
import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from urfr_tf.errors import UrfrError

MAX_TEXT_BYTES = 16 * 2**20
MAX_SCORES_BYTES = 2**30


@dataclass
class ReportedEvaluation:
    """One metrics.json and, if it is there, the scores.npz next to it.

    metrics: fractions by name. scores float64 [P], same bool [P]: None where scores.npz has none.
    cmc: curves of scores.npz by name, float64 [R], the identification rate within rank 1 to R.
    """

    name: str
    folder: Path
    protocol: str
    model: str
    score: str
    metrics: dict[str, float]
    counts: dict[str, object]
    raw: dict[str, object]
    scores: NDArray[np.float64] | None = None
    same: NDArray[np.bool_] | None = None
    cmc: dict[str, NDArray[np.float64]] = field(default_factory=dict)


@dataclass
class ReportSource:
    """A folder of the report: a run (config, facts, log) and every evaluation below it."""

    name: str
    folder: Path
    config: str = ""
    facts: dict[str, object] = field(default_factory=dict)
    log: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    evaluations: list[ReportedEvaluation] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def _text(path: Path, missing: list[str]) -> str | None:
    """The file's text; None, and a sentence in `missing`, where there is none."""
    try:
        if path.stat().st_size > MAX_TEXT_BYTES:
            missing.append(f"{path} is larger than {MAX_TEXT_BYTES} bytes and was not read.")
            return None
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        missing.append(f"There is no {path}.")
    except OSError as error:
        missing.append(f"{path} could not be read: {error.strerror or error}.")
    return None


def _json_object(path: Path, missing: list[str]) -> dict[str, object] | None:
    text = _text(path, missing)
    if text is None:
        return None
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        missing.append(f"{path} does not parse as JSON: {error}.")
        return None
    if not isinstance(content, dict):
        missing.append(f"{path} should hold a JSON object, but holds a {type(content).__name__}.")
        return None
    return content


def _number(cell: str | None) -> float:
    try:
        return float(cell or "nan")
    except ValueError:
        return math.nan


def read_log(path: Path, missing: list[str]) -> dict[str, NDArray[np.float64]]:
    """The columns of log.csv, float64 [rows] each; an empty or non-numeric cell is NaN.

    A last line that was cut short, as a killed run leaves it, is dropped, with a sentence in `missing`.
    """
    text = _text(path, missing)
    if text is None:
        return {}
    rows = [row for row in csv.reader(text.splitlines()) if row]
    if len(rows) < 2:
        missing.append(f"{path} holds no epoch yet.")
        return {}
    header, body = rows[0], rows[1:]
    whole = [row for row in body if len(row) == len(header)]
    if len(whole) < len(body):
        missing.append(
            f"{len(body) - len(whole)} of {len(body)} lines of {path} do not have {len(header)} cells and "
            "were dropped."
        )
    columns = {
        name.strip(): np.array([_number(row[index]) for row in whole], np.float64)
        for index, name in enumerate(header)
    }
    return {name: values for name, values in columns.items() if np.isfinite(values).any()}


def read_scores(path: Path, evaluation: ReportedEvaluation, missing: list[str]) -> None:
    """Puts the pairs and the CMC curves of a scores.npz into `evaluation`; says what cannot be used."""
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(member.file_size for member in archive.infolist()) > MAX_SCORES_BYTES:
                missing.append(f"{path} unpacks to more than {MAX_SCORES_BYTES} bytes and was not read.")
                return
        with np.load(path, allow_pickle=False) as stored:
            curves = {
                name: np.asarray(stored[name], np.float64) for name in stored.files if name.endswith("cmc")
            }
            if "scores" in stored.files or not curves:
                evaluation.scores = np.asarray(stored["scores"], np.float64)
                evaluation.same = np.asarray(stored["same"]).astype(bool)
    except (OSError, ValueError, KeyError, EOFError, MemoryError, TypeError, zipfile.BadZipFile) as error:
        evaluation.scores = evaluation.same = None
        missing.append(f"{path} should hold the arrays scores and same, but: {error}.")
        return
    for name, curve in curves.items():
        if curve.ndim == 1 and curve.size and np.isfinite(curve).all():
            evaluation.cmc[name] = curve
        else:
            missing.append(
                f"{path} should hold finite rates [R] as {name}, but they have shape {curve.shape}."
            )
    wrong = _wrong_pairs(evaluation.scores, evaluation.same)
    if wrong:
        missing.append(f"{path} {wrong}")
        evaluation.scores = evaluation.same = None


def _wrong_pairs(scores: NDArray[np.float64] | None, same: NDArray[np.bool_] | None) -> str:
    """Why no curve can be drawn from these pairs, or nothing."""
    if scores is None or same is None:
        return ""
    # -inf is the score of a pair without an embedding: never accepted, and counted.
    odd = np.isnan(scores) | (scores == np.inf)
    if scores.ndim != 1 or scores.shape != same.shape or odd.any():
        return (
            f"should hold finite scores [P] and same [P], but they have the shapes {scores.shape} and "
            f"{same.shape}, and {int(odd.sum())} scores are not finite."
        )
    there = np.isfinite(scores)
    if not (there & same).any() or not (there & ~same).any():
        return "holds only one kind of pair, so no curve can be drawn from it."
    return ""


def read_evaluation(path: Path, name: str, missing: list[str]) -> ReportedEvaluation | None:
    """The evaluation whose metrics.json is `path`; None, and a sentence, when it has not the form."""
    raw = _json_object(path, missing)
    if raw is None:
        return None
    metrics = raw.get("metrics")
    if not isinstance(metrics, dict):
        missing.append(f'{path} should hold an object "metrics" of names and numbers, but holds none.')
        return None
    numbers = {
        str(key): float(value)
        for key, value in metrics.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    if len(numbers) < len(metrics):
        others = ", ".join(sorted(str(key) for key in metrics if str(key) not in numbers))
        missing.append(f"These metrics of {path} are not numbers and are not shown: {others}.")
    counts = raw.get("counts")
    evaluation = ReportedEvaluation(
        name=name,
        folder=path.parent,
        protocol=str(raw.get("protocol", "unnamed protocol")),
        model=str(raw.get("model", "")),
        score=str(raw.get("score", "")),
        metrics=numbers,
        counts=counts if isinstance(counts, dict) else {},
        raw=raw,
    )
    scores_path = path.with_name("scores.npz")
    if scores_path.exists():
        read_scores(scores_path, evaluation, missing)
    return evaluation


def _short_names(folder: Path, paths: list[Path], root_name: str) -> list[str]:
    """The last folder's name of each metrics.json, or its way from `folder` where two are alike."""
    ways = [os.path.relpath(path.parent, folder) for path in paths]
    lasts = [root_name if way == "." else Path(way).name for way in ways]
    return [
        last if lasts.count(last) == 1 else (root_name if way == "." else way)
        for last, way in zip(lasts, ways, strict=True)
    ]


def read_sources(folders: Sequence[str], *, run: bool) -> list[ReportSource]:
    """`read_source` of each folder, named by its last component, or as it was given where two are alike."""
    lasts = [Path(folder).resolve().name for folder in folders]
    return [
        read_source(folder, run=run, name=last if lasts.count(last) == 1 else folder)
        for folder, last in zip(folders, lasts, strict=True)
    ]


def read_source(folder: str | os.PathLike[str], *, run: bool, name: str | None = None) -> ReportSource:
    """Reads everything a report uses below `folder`.

    run: the folder is a run, so a missing config.yaml, run.json or log.csv is worth a sentence.
    name: of the source in the report; the folder's by default.

    Raises:
        UrfrError: `folder` is no folder, or holds none of the files above.
    """
    root = Path(folder)
    if not root.is_dir():
        raise UrfrError(f"expected the folder of a {'run' if run else 'evaluation'}, but {root} is none")
    source = ReportSource(name=name or root.resolve().name, folder=root)
    if run or (root / "log.csv").exists():
        source.config = _text(root / "config.yaml", source.missing) or ""
        source.facts = _json_object(root / "run.json", source.missing) or {}
        source.log = read_log(root / "log.csv", source.missing)
    paths = sorted(root.rglob("metrics.json"), key=lambda path: (len(path.parts), str(path)))
    names = _short_names(root, paths, source.name)
    for path, short in zip(paths, names, strict=True):
        evaluation = read_evaluation(path, short, source.missing)
        if evaluation is not None:
            source.evaluations.append(evaluation)
    if not paths:
        source.missing.append(f"There is no metrics.json below {root}: nothing was evaluated yet.")
    if not (source.config or source.facts or source.log or source.evaluations):
        raise UrfrError(
            f"expected config.yaml, run.json, log.csv or a metrics.json in {root}, but nothing there can be "
            f"shown: {' '.join(source.missing)}"
        )
    return source
