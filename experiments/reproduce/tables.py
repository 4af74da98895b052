"""The tables of the results page, as lines of Markdown."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.stats import t as student

from experiments.reproduce import paper
from experiments.reproduce.collect import NOT_RUN, Evaluations, Verdict, judge
from experiments.reproduce.figures import degraded
from experiments.reproduce.plan import BY_NORM, IJBS_LOST, IMPORTED, NORM_ROWS, PLAIN, ROWS, VIDEOS, WEIGHTED

TABLE2, TABLE1 = ROWS[:4], ROWS[4:]
PAPER = "*paper*"
SEARCHES = {
    f"{protocol}: {name}": f"{protocol.lower()}/{metric}"
    for protocol in ("S2S", "S2B")
    for name, metric in (
        ("rank 1", "rank1"),
        ("TPIR, FPIR 1 %", "tpir@fpir=0.01"),
        ("TPIR, FPIR 10 %", "tpir@fpir=0.1"),
    )
}
"""Heading -> figure of a search with videos."""


def table(heading: list[str], rows: list[list[str]]) -> list[str]:
    """A table of Markdown."""
    lines = [heading, ["---"] * len(heading), *rows]
    return [f"| {' | '.join(cells)} |" for cells in lines]


def _given(name: str, figures: Sequence[float]) -> list[str]:
    return [name, *(f"*{value:.2f}*" for value in figures)]


def surveillance(evaluations: Evaluations, protocol: str) -> list[str]:
    """The paper's Table 2: each row, and below it the paper's figures on IJB-S."""
    side = ("s2s", "s2b").index(protocol)
    rows = []
    for row in with_start(evaluations, TABLE2):
        cells = [evaluations.cell(row, "ijbs", f"{protocol}/{metric}") for metric in paper.TABLE2_COLUMNS]
        rows.append([paper.NAMES[row], *cells])
        if row in paper.TABLE2:
            rows.append(_given(PAPER, paper.TABLE2[row][side]))
    rows += [_given(f"*paper: {name}*", paper.TABLE2[name][side]) for name in paper.OTHERS]
    return table(["", "rank 1", "rank 5", "rank 10", "TPIR, FPIR 1 %", "TPIR, FPIR 10 %"], rows)


def aggregation(evaluations: Evaluations) -> list[str]:
    """Videos with and without lost frames: templates by the row's own score, and weighted by confidences and
    by the norm."""
    rows = []
    for row in with_start(evaluations, [*TABLE2[:2], "table1_0_0", *TABLE2[2:]]):
        for test, (frames_set, way) in VIDEOS.items():
            if (way == WEIGHTED and row in PLAIN) or (way == BY_NORM and row not in NORM_ROWS):
                continue  # without confidences `weighted` is the mean
            frames = "half lost" if frames_set == IJBS_LOST else ""
            cells = [evaluations.cell(row, test, metric) for metric in SEARCHES.values()]
            rows.append([paper.NAMES[row], frames, way, *cells])
    return table(["", "frames", "templates", *SEARCHES], rows)


def variations(evaluations: Evaluations, tiny: list[str]) -> list[str]:
    """The paper's Table 1: TinyFace and IJB-S (booking) against the number of variations."""
    tests = [*tiny, "ijbs"]
    prefix = {"ijbs": "s2b/"}
    rows = []
    for row in with_start(evaluations, TABLE1):
        cells = [evaluations.cell(row, t, f"{prefix.get(t, '')}rank{rank}") for t in tests for rank in (1, 5)]
        rows.append([paper.NAMES[row], *cells])
        if row in paper.TABLE1:
            figures = paper.TABLE1[row]
            rows.append(_given(PAPER, [*figures[:2] * len(tiny), *figures[2:]]))
    names = [t.replace("tinyface", "TinyFace").replace("_", ", ") + (" px" if "_" in t else "") for t in tiny]
    return table(["", *(f"{n}: rank {r}" for n in [*names, "S2B"] for r in (1, 5))], rows)


def faces(evaluations: Evaluations) -> list[str]:
    """Accuracy on LFW and CFP, clean and degraded, of all rows."""
    columns = {f"LFW {name}": ("lfw", metric) for name, metric in degraded(evaluations).items()}
    columns["LFW TAR at FAR 1e-3"] = ("lfw", "tar@far=1e-3")
    for protocol in ("ff", "fp"):
        columns[f"CFP {protocol.upper()}"] = ("cfp", f"{protocol}/accuracy")
        for change in degraded_cfp(evaluations):
            columns[f"CFP {protocol.upper()} {change}"] = ("cfp", f"{protocol}/accuracy@{change}")
    shown = with_start(evaluations, ROWS)
    rows = [[paper.NAMES[r], *(evaluations.cell(r, *where) for where in columns.values())] for r in shown]
    return table(["", *columns], rows)


def with_start(evaluations: Evaluations, rows: Sequence[str]) -> list[str]:
    """The rows, and before them the imported network that they go on from, where it was tested."""
    tested = any(row == IMPORTED for _, row, _ in evaluations.files)
    return [*([IMPORTED] if tested else []), *rows]


def degraded_cfp(evaluations: Evaluations) -> list[str]:
    """The degradations that CFP was measured under."""
    names = [name for (_, _, test), c in evaluations.files.items() if test == "cfp" for name in c["metrics"]]
    marked = [name.partition("@")[2] for name in names if name.startswith("ff/accuracy@")]
    return list(dict.fromkeys(marked))


def statements(evaluations: Evaluations) -> list[str]:
    """Each statement: the paper's figures, ours, and whether it holds."""
    rows = []
    for statement in paper.STATEMENTS:
        verdict = judge(evaluations, statement)
        reported = "a picture" if statement.paper is None else "{:.2f} -> {:.2f}".format(*statement.paper)
        seeds = len(verdict.differences)
        answer = f"**{verdict.answer}**" + (
            f" ({seeds} {'seed' if seeds == 1 else 'seeds'})" if seeds else ""
        )
        rows.append(
            [statement.text, reported, ours(verdict), differences(verdict), interval(verdict), answer]
        )
    return table(["statement", "paper", "here", "difference by seed", "mean, 95 %", ""], rows)


def ours(verdict: Verdict) -> str:
    """`61.2 ± 0.4 (3) -> 63.0 ± 0.2 (3)`."""
    spreads = [NOT_RUN if spread is None else spread.per_cent() for spread in (verdict.worse, verdict.better)]
    return " -> ".join(spreads)


def differences(verdict: Verdict) -> str:
    """Percentage points, in the sense of the statement."""
    values = verdict.differences.items()
    return ", ".join(f"{points(value)} (seed {seed})" for seed, value in values) or NOT_RUN


def interval(verdict: Verdict) -> str:
    """Mean difference and half of its 95 % interval, in points: Student's t with n - 1 degrees of freedom
    over n seeds; empty below two."""
    values = np.array(list(verdict.differences.values()))
    if len(values) < 2:
        return ""
    half = student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return f"{points(values.mean())} ± {100 * half:.1f}"


def points(difference: float) -> str:
    """`+1.5`, in percentage points; no minus before a nought."""
    return f"{round(100 * difference, 1) + 0.0:+.1f}"


def full_scale(costs: dict[str, dict[str, Any]], alias: dict[str, str]) -> list[str]:
    """Memory and hours of each row at full scale as `urfr plan` has them, and the paper's figures."""
    rows = []
    for row in ROWS:
        cost = costs.get(alias.get(row, row))
        figures = "; ".join(f"{v:.2f}" for v in paper.TABLE1.get(row, ()))
        if row in paper.TABLE2:
            single, booking = paper.TABLE2[row]
            figures = f"S2S {single[0]:.2f}, {single[3]:.2f}; S2B {booking[0]:.2f}, {booking[3]:.2f}"
        cells = [NOT_RUN] * 3
        if cost:
            images, memory = f"{cost['images_seen'] / 1e6:.1f}", f"{cost['needed'] / 2**30:.1f}"
            cells = [images, memory, f"{cost['hours']:.1f}"]
        rows.append([f"`{row}`", *cells, figures])
    return table(["configuration", "million images seen", "GiB a GPU", "hours", "paper"], rows)
