"""The page of results, from the answers of the galleries."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from experiments.gallery.split import Split
from urfr_tf.metrics.rates import LEAST, threshold_at
from urfr_tf.runs.origin import collect_versions

FPIRS = (0.01, 0.001)
REPLICATES = 1000
Floats = NDArray[np.float64]
CONDITIONS = {
    "clean": "clean",
    "resolution": "24 px",
    "blur": "blur, kernel 11",
    "occlusion": "covered, 3/7 of each side",
}
HEAD = """# LFW as a gallery: what was measured

Written by `python -m experiments.gallery`. No figure here is typed.
[Galleries](../guides/galleries.md) explains the commands.

    python -m experiments.gallery --lfw lfw.tar --model NAME=MODEL
"""
SET = """
The gallery has one photograph of each of the {enrolled} people with two or more. Their other {probes}
photographs are the probes. The {unknown} people with one photograph are the strangers. Faces are found and
aligned by MTCNN, and of several faces the central one counts. The aligned crops of the probes are degraded;
the gallery is not. There are {degraded} degraded probes of each kind.

- **rank 1**: the share of probes whose best candidate is the person.
- **TPIR** at an FPIR: the share of probes whose best candidate is the person and reaches the threshold that
  this share of the strangers reaches. A photograph without a face that is found counts as not recognized.
- Brackets hold 95 % intervals from {replicates} resamples of the people: those in the gallery and, for the
  threshold, the strangers. FPIR 0.001 of {unknown} strangers is {thin} strangers{marked}.
  Some people of LFW are known to be in it under two names, and these few decide that threshold.
- Imported weights have one group with a fixed confidence, so cosine and likelihood order candidates alike
  (method, section 6). They differ for models with learned confidences.
"""


class Answers(NamedTuple):
    """What a search found for some photographs: whose they are, whether rank 1 is right, the best score."""

    people: list[str]
    right: NDArray[np.bool_]
    best: Floats


def read_answers(path: Path, keep: set[str] | None = None) -> Answers:
    """Reads the answers to photographs, or only to those of some names `PERSON/FILE` without the suffix."""
    people, right, best = [], [], []
    for photograph in json.loads(path.read_text(encoding="utf-8")):
        file = Path(photograph["path"])
        if keep is not None and key_of(photograph["path"]) not in keep:
            continue
        candidates = photograph["faces"][0]["candidates"] if photograph["faces"] else []
        people.append(file.parent.name)
        right.append(bool(candidates) and candidates[0]["person"] == file.parent.name)
        best.append(candidates[0]["score"] if candidates else -np.inf)
    return Answers(people, np.array(right, bool), np.array(best))


def key_of(path: str) -> str:
    """PERSON/FILE without the suffix: the same for a photograph and its degraded crop."""
    return f"{Path(path).parent.name}/{Path(path).stem}"


def measure(probes: Answers, unknown: Answers, fpir: float | None) -> float:
    """Rank 1, or TPIR at an FPIR."""
    if fpir is None:
        return float(np.mean(probes.right))
    threshold = threshold_at(unknown.best, round(len(unknown.best) * fpir))
    return float(np.mean(probes.right & (probes.best >= threshold)))


def interval(probes: Answers, unknown: Answers, fpir: float | None, seed: int = 0) -> tuple[float, float]:
    """The 95 % interval of `measure` by resampling people and strangers."""
    owner = np.unique(probes.people, return_inverse=True)[1]
    stranger = np.unique(unknown.people, return_inverse=True)[1]
    order = np.argsort(-unknown.best, kind="stable")
    rng = np.random.default_rng(seed)
    values = np.empty(REPLICATES)
    for replicate in range(REPLICATES):
        weight = draw(rng, owner)
        hits = probes.right
        if fpir is not None:
            behind = np.cumsum(draw(rng, stranger)[order])
            wanted = max(1, round(behind[-1] * fpir))
            hits = hits & (probes.best >= unknown.best[order[np.searchsorted(behind, wanted)]])
        values[replicate] = weight[hits].sum() / weight.sum()
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def draw(rng: np.random.Generator, owner: NDArray[np.int64]) -> NDArray[np.int64]:
    """How often each image counts where its owner is drawn with replacement."""
    count = int(owner.max()) + 1
    drawn = np.bincount(rng.integers(0, count, count), minlength=count)[owner]
    return drawn if drawn.sum() else np.ones_like(drawn)


def row(title: Sequence[str], probes: Answers, unknown: Answers) -> str:
    """A line of a table: what it is of, rank 1, and TPIR at each FPIR."""
    cells = []
    for fpir in (None, *FPIRS):
        low, high = interval(probes, unknown, fpir)
        cells.append(f"{measure(probes, unknown, fpir):.3f} [{low:.3f}, {high:.3f}]")
    return f"| {' | '.join([*title, *cells])} |"


def head_of(columns: Sequence[str], strangers: int) -> list[str]:
    """The head of a table; an FPIR with too few strangers behind it is marked as thin."""
    rates = [f"TPIR at FPIR {f:g}{' (thin)' if round(strangers * f) < LEAST else ''}" for f in FPIRS]
    names = [*columns, "rank 1", *rates]
    return [f"| {' | '.join(names)} |", f"| {' | '.join(['---'] * len(names))} |"]


def compare_commands(folder: Path, model: str) -> str:
    """A sentence on what `urfr gallery search` says to some photographs that were searched here, too."""
    if not (folder / "by-command.json").exists():
        return f"{model}: `urfr gallery search` itself was not run."
    by_command = json.loads((folder / "by-command.json").read_text(encoding="utf-8"))["photographs"]
    all_here = json.loads((folder / "one-likelihood-clean.json").read_text(encoding="utf-8"))
    here = {key_of(photograph["path"]): photograph["faces"] for photograph in all_here}
    same = 0
    for photograph in by_command:
        pairs = [
            (one["candidates"][0], other["candidates"][0])
            for one, other in zip(photograph["faces"], here[key_of(photograph["path"])], strict=True)
        ]
        same += all(
            one["person"] == other["person"]
            and abs(one["score"] - other["score"]) <= 1e-3 * abs(one["score"])
            for one, other in pairs
        )
    return (
        f"{model}: `urfr gallery search` was given {len(by_command)} of the photographs. It gives {same} of "
        "them the same best candidate, with the same score to 0.1 %."
    )


def degraded_probes(work: Path, model: str) -> int:
    """How many probes were degraded."""
    path = work / model / "one-likelihood-resolution.json"
    return len(json.loads(path.read_text(encoding="utf-8")))


def write_page(out: Path, work: Path, models: Sequence[str], split: Split) -> None:
    """Writes the page from the answers in the work folder."""
    strangers = len(split.unknown)
    thin = round(strangers * FPIRS[-1])
    facts = {
        "enrolled": len(split.one),
        "probes": len(split.probes),
        "unknown": strangers,
        "replicates": REPLICATES,
        "thin": thin,
        "degraded": degraded_probes(work, models[0]),
        "marked": ", which is few: its columns are marked as thin" if thin < LEAST else "",
    }
    lines = [HEAD, SET.format(**facts), "## One photograph each", ""]
    lines += head_of(["model", "probes", "score"], strangers)
    for model in models:
        for condition, title in CONDITIONS.items():
            for score in ("cosine", "likelihood"):
                answers = work / model / f"one-{score}-{condition}.json"
                if not answers.exists():
                    lines.append(f"| {model} | {title} | {score} | not run | | |")
                    continue
                probes = read_answers(answers)
                unknown = read_answers(work / model / f"one-{score}-unknown.json")
                lines.append(row([model, title, score], probes, unknown))
    later = set(map(key_of, split.later))
    people = len({key.partition("/")[0] for key in later})
    lines += [
        "",
        "## What fusion brings: three photographs instead of one",
        "",
        f"{people} people have four photographs or more. Three of each are enrolled, and one of everybody",
        f"else. The probes are the {len(later)} photographs from the fourth on, for both galleries.",
        "",
        *head_of(["model", "enrolled", "score"], strangers),
    ]
    for model in models:
        for enrolled in ("one", "three"):
            for score in ("cosine", "likelihood"):
                probes = read_answers(work / model / f"{enrolled}-{score}-clean.json", later)
                unknown = read_answers(work / model / f"{enrolled}-{score}-unknown.json")
                lines.append(row([model, enrolled, score], probes, unknown))
    lines += ["", "## Thresholds, as `urfr gallery calibrate` chooses them", ""]
    lines += [
        "| model | enrolled | score | threshold | 95 % interval | strangers that reach it |",
        "| --- " * 6 + "|",
    ]
    for model in models:
        for enrolled in ("one", "three"):
            for score in ("cosine", "likelihood"):
                made = json.loads((work / model / f"{enrolled}-{score}-calibrated.json").read_text("utf-8"))
                ends = f"{made['threshold_low']:.4f} to {made['threshold_high']:.4f}"
                reached = f"{made['fpir_reached']:.4f} [{made['fpir_low']:.4f}, {made['fpir_high']:.4f}]"
                lines.append(
                    f"| {model} | {enrolled} | {score} | {made['threshold']:.4f} | {ends} | {reached} |"
                )
    lines += ["", *(compare_commands(work / model, model) for model in models)]
    versions = ", ".join(f"{name} {version}" for name, version in collect_versions().items())
    lines += ["", f"Measured with {versions}."]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("\n".join(lines) + "\n", encoding="utf-8")
