"""metrics.json files -> numbers: every figure of the results page comes from here."""

import csv
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from experiments.reproduce.paper import Statement
from experiments.reproduce.plan import IJBS, IMPORTED, ROWS
from urfr_tf.errors import UrfrError
from urfr_tf.files import read_json, write_text

METRICS, SCORES = "metrics.json", "scores.npz"
"""As `urfr_tf.evaluate` calls them, which brings TensorFlow; a page is written without it."""
KEPT = ("score", "metrics", "counts", "thin", "versions", "cmc")
"""Of a metrics file, what `keep` writes; and the curve, which lies in SCORES."""
CURVE, RANKS = "s2s/cmc", 20
"""The array of the usual videos that is drawn, and to which rank."""
FIGURES = "results/figures"
"""Below docs: what `keep` wrote for each page."""
NOT_RUN = "not run"
HOLDS, FAILS, MIXED = "holds", "does not hold", "undecided"


@dataclass(frozen=True)
class Spread:
    """Mean, standard deviation (n - 1; None of one value) and the values by seed."""

    values: dict[int, float]

    @property
    def mean(self) -> float:
        return float(np.mean(list(self.values.values())))

    @property
    def deviation(self) -> float | None:
        return float(np.std(list(self.values.values()), ddof=1)) if len(self.values) > 1 else None

    def per_cent(self, digits: int = 1) -> str:
        """`61.2 ± 0.4 (3)`: mean, standard deviation, seeds, in per cent."""
        spread = "" if self.deviation is None else f" ± {100 * self.deviation:.{digits}f}"
        return f"{100 * self.mean:.{digits}f}{spread} ({len(self.values)})"


class Evaluations:
    """The metrics files of a scale: `evaluation/seedN/ROW/TEST/metrics.json`.

    Args:
        runs: the folder that holds `evaluation`. alias: rows that are another row's runs under a second name.
        rows: those that count. kept: a file that `keep` wrote, for what `runs` has not.
    """

    def __init__(
        self,
        runs: Path,
        alias: dict[str, str],
        rows: Sequence[str] = (IMPORTED, *ROWS),
        earlier_figures: Path | None = None,
    ) -> None:
        self.runs, self.alias = runs, alias
        self.files: dict[tuple[int, str, str], dict[str, Any]] = {}
        for name, content in _kept(earlier_figures)["figures"].items():
            seed, row, test = name.split("/")
            if row in rows:
                self.files[int(seed[4:]), row, test] = content
        for path in sorted((runs / "evaluation").glob(f"seed*/*/*/{METRICS}")):
            seed, row, test = path.parts[-4:-1]
            if row in rows and seed[4:].isdigit():
                self.files[int(seed[4:]), row, test] = {**read_json(path), **_curve(path.parent, test)}

    def are_none(self, page: Path) -> bool:
        """Whether there is no figure at all; says so, as `page` is left as it was then and not filled with
        `not run`."""
        if not self.files:
            print(
                f"nothing below {self.runs / 'evaluation'} has been evaluated yet: {page} is left as it was"
            )
        return not self.files

    @property
    def seeds(self) -> list[int]:
        """Seeds that have any figure."""
        return sorted({seed for seed, _, _ in self.files})

    def file(self, seed: int, row: str, test: str) -> dict[str, Any] | None:
        """The content of one metrics file, or None."""
        return self.files.get((seed, self.alias.get(row, row), test))

    def folder(self, seed: int, row: str, test: str) -> Path:
        """Where its scores.npz lies."""
        return self.runs / "evaluation" / f"seed{seed}" / self.alias.get(row, row) / test

    def curve(self, seed: int, row: str) -> list[float]:
        """Shares identified within rank 1, 2, ... on the usual videos; empty where it is not known."""
        content = self.file(seed, row, IJBS)
        return content.get("cmc", []) if content else []

    def spread(self, row: str, test: str, metric: str) -> Spread | None:
        """A figure over the seeds that have it, or None where no seed has."""
        values = {}
        for seed in self.seeds:
            content = self.file(seed, row, test)
            if content is not None and content["metrics"].get(metric) is not None:
                values[seed] = float(content["metrics"][metric])
        return Spread(values) if values else None

    def cell(self, row: str, test: str, metric: str) -> str:
        """A figure for a table; `not run` without one, and `thin` where it rests on fewer than ten
        impostors."""
        spread = self.spread(row, test, metric)
        if spread is None:
            return NOT_RUN
        files = [self.file(seed, row, test) for seed in spread.values]
        thin = any(content and metric in content.get("thin", []) for content in files)
        return spread.per_cent() + (" thin" if thin else "")

    def counts(self, test: str) -> dict[str, Any]:
        """How much a test rests on, from the first file that is there."""
        return next((content["counts"] for (_, _, name), content in self.files.items() if name == test), {})

    def origins(self) -> dict[str, list[str]]:
        """Machines and versions that the files name."""
        versions: dict[str, set[str]] = {}
        for content in self.files.values():
            for name, version in content.get("versions", {}).items():
                versions.setdefault(name, set()).add(str(version))
        return {name: sorted(values) for name, values in versions.items()}


@dataclass(frozen=True)
class Verdict:
    """What became of a statement: differences (better minus worse, in its sense) by seed."""

    statement: Statement
    worse: Spread | None
    better: Spread | None
    differences: dict[int, float]

    @property
    def answer(self) -> str:
        """Holds (does not hold) where the difference is positive (negative) for every seed; undecided
        otherwise."""
        if not self.differences:
            return NOT_RUN
        signs = {(value > 0) - (value < 0) for value in self.differences.values()}
        return HOLDS if signs == {1} else FAILS if signs == {-1} else MIXED


def judge(evaluations: Evaluations, statement: Statement) -> Verdict:
    """Compares the two rows seed by seed, over the seeds that have both."""
    worse, better = (
        evaluations.spread(row, statement.test, statement.metric)
        for row in (statement.worse, statement.better)
    )
    differences = {}
    if worse is not None and better is not None:
        sign = -1 if statement.lower else 1
        common = worse.values.keys() & better.values.keys()
        differences = {seed: sign * (better.values[seed] - worse.values[seed]) for seed in sorted(common)}
    return Verdict(statement, worse, better, differences)


def times(runs: Path, earlier_figures: Path | None = None) -> dict[str, float]:
    """Seconds that each job took, all attempts together, from time.tsv; from `kept` what is not there."""
    path = runs / "time.tsv"
    seconds: dict[str, float] = {}
    if path.is_file():
        with open(path, encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file, delimiter="\t"):
                seconds[row["job"]] = seconds.get(row["job"], 0.0) + float(row["seconds"])
    return _kept(earlier_figures)["seconds"] | seconds


def captions(earlier_figures: Path) -> dict[str, str]:
    """Name -> caption of the pictures of the page that `keep` wrote `kept` with."""
    return dict(_kept(earlier_figures).get("pictures", {}))


def write_figures(
    path: Path, evaluations: Evaluations, seconds: dict[str, float], pictures: dict[str, str] | None = None
) -> None:
    """Writes every figure behind a page into one file, for a machine that goes on where this one's runs are
    not.

    `pictures`: name -> caption of those on the page, which stay where they cannot be drawn again.
    """
    content: dict[str, Any] = {"figures": _figures(evaluations), "seconds": seconds}
    if pictures is not None:
        content["pictures"] = pictures
    write_text(path, json.dumps(content, indent=1) + "\n")


def digest(evaluations: Evaluations) -> str:
    """Eight hexadecimal digits that name these figures, whatever machine or folder they are read in."""
    return hashlib.sha256(json.dumps(_figures(evaluations), sort_keys=True).encode()).hexdigest()[:8]


def _figures(evaluations: Evaluations) -> dict[str, dict[str, Any]]:
    return {
        f"seed{seed}/{row}/{test}": {name: content[name] for name in KEPT if name in content}
        for (seed, row, test), content in sorted(evaluations.files.items())
    }


def arrays(folder: Path) -> dict[str, np.ndarray]:
    """The arrays that a test left in `folder`; none where it left none."""
    path = folder / SCORES
    if not path.is_file():
        return {}
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def _curve(folder: Path, test: str) -> dict[str, list[float]]:
    """The CMC of the usual videos as `cmc`, to be kept with the figures, as a run's arrays go with its
    machine."""
    curve = arrays(folder).get(CURVE) if test == IJBS else None
    return {} if curve is None else {"cmc": [round(float(share), 6) for share in curve[:RANKS]]}


def _kept(path: Path | None) -> dict[str, Any]:
    """What `keep` wrote; nothing without a path.

    Raises:
        UrfrError: no such file, or another kind of file.
    """
    if path is None:
        return {"figures": {}, "seconds": {}}
    content = read_json(path)
    if not isinstance(content, dict) or not {"figures", "seconds"} <= content.keys():
        raise UrfrError(f"expected `figures` and `seconds` in {path}, which these pages write next to them")
    return content
