"""`urfr bench head`: time and memory of a training step's head against the number C of identities.

Every point runs in a separate process (`head_point.py`), one after the other. A point whose memory, by
the line through the two before of its kind, is more than what is available is left out and named.
"""

import argparse
import json
import statistics
import sys
from typing import TypedDict

from urfr_tf.bench.peers import run_program
from urfr_tf.bench.spread import BenchResult, summarize
from urfr_tf.errors import UrfrError
from urfr_tf.runs.origin import collect_versions
from urfr_tf.system import memory
from urfr_tf.system.processor import describe_machine


class HeadSettings(TypedDict, total=False):
    """Keys of the configuration's `head`; empty for the dense layer."""

    sharded: bool
    sample_rate: float
    sample_count: int


BATCH, GROUPS, DIM = 64, 16, 32
CLASSES = (10_000, 100_000, 1_000_000, 4_000_000)
KINDS: dict[str, tuple[int, HeadSettings]] = {
    "dense": (1, {}),
    "sampled_rate": (1, {"sample_rate": 0.1}),
    "sampled": (1, {"sample_count": 8192}),
    "sharded_2": (2, {"sharded": True}),
    "sharded_4": (4, {"sharded": True}),
    "sharded_2_sampled": (2, {"sharded": True, "sample_count": 8192}),
    "sharded_4_sampled": (4, {"sharded": True, "sample_count": 8192}),
}
# Left to the rest of the machine, as a share of what is available.
_SPARE = 0.1


class HeadPoint(TypedDict):
    """What `head_point` prints."""

    seconds: list[float]
    peak_bytes: int
    head_bytes: list[int]


def run(args: argparse.Namespace) -> BenchResult:
    """Measures; docs/lab/scale.md has what was measured."""
    limit = None if args.memory is None else int(args.memory * 2**30)
    return measure_points(CLASSES, list(KINDS), args.repeat, limit)


def measure_points(
    classes: tuple[int, ...], kinds: list[str], rounds: int, limit: int | None = None
) -> BenchResult:
    """Measures all points, C rising within each kind.

    Args:
        classes: numbers of identities, rising.
        kinds: names from `KINDS`.
        rounds: steps that are timed at each point.
        limit: bytes that a point may take; None for what is available when it starts.
    """
    points: dict[str, HeadPoint] = {}
    skipped: dict[str, str] = {}
    for kind in kinds:
        replicas, head = KINDS[kind]
        before: list[tuple[int, int]] = []
        for count in classes:
            name = f"{kind}_{format_count(count)}"
            if reason := explain_too_large(count, before, limit):
                skipped[name] = reason
                continue
            job = {
                "classes": count,
                "batch": BATCH,
                "groups": GROUPS,
                "dim": DIM,
                "replicas": replicas,
                "rounds": rounds,
                "head": head,
            }
            command = [sys.executable, "-m", "urfr_tf.bench.head_point", json.dumps(job)]
            try:
                output = run_program(command, f"the point {name} failed")
            except UrfrError as error:
                skipped[name] = str(error)
                larger = (f"{kind}_{format_count(more)}" for more in classes if more > count)
                skipped.update(dict.fromkeys(larger, f"not tried, because {name} failed"))
                break  # the other kinds can still be measured
            points[name] = json.loads(output.splitlines()[-1])
            before.append((count, points[name]["peak_bytes"]))
    return {
        "machine": describe_machine(),
        "versions": collect_versions(),
        "batch": BATCH,
        "seconds": {name: summarize(point["seconds"]) for name, point in points.items()},
        "ratios": compute_ratios(points, kinds, classes),
        "peak_bytes": {name: point["peak_bytes"] for name, point in points.items()},
        "head_bytes": {name: point["head_bytes"] for name, point in points.items()},
        "skipped": skipped,
    }


def explain_too_large(count: int, before: list[tuple[int, int]], limit: int | None) -> str | None:
    """Says why a point is left out, or None.

    Args:
        count: its C.
        before: C and bytes of the points of its kind so far; one alone counts in proportion, none as kernel
            and momentum.
        limit: bytes that it may take; None for what is available.
    """
    room = limit
    if room is None and (free := memory.available()) is not None:
        room = int(free * (1 - _SPARE))
    wanted = float(count * GROUPS * DIM * 4 * 2)
    if len(before) == 1:
        wanted = before[0][1] * count / before[0][0]
    elif before:
        (few, low), (many, high) = before[-2:]
        wanted = high + (high - low) * (count - many) / (many - few)
    if room is None or wanted <= room:
        return None
    return f"needs about {memory.spell(wanted)}, and {memory.spell(room)} are there for it"


def compute_ratios(
    points: dict[str, HeadPoint], kinds: list[str], classes: tuple[int, ...]
) -> dict[str, float]:
    """Divides, for each kind, the median seconds at the largest measured C by those at the smallest."""
    ratios = {}
    for kind in kinds:
        measured = [count for count in classes if f"{kind}_{format_count(count)}" in points]
        if len(measured) > 1:
            few, many = format_count(measured[0]), format_count(measured[-1])
            seconds = [statistics.median(points[f"{kind}_{c}"]["seconds"]) for c in (few, many)]
            ratios[f"{kind}_{many}_over_{few}"] = seconds[1] / seconds[0]
    return ratios


def format_count(count: int) -> str:
    """Spells 10_000 as 1e4 and 4_000_000 as 4e6, as in the keys of the ratios; other numbers as digits."""
    zeros = len(str(count)) - len(str(count).rstrip("0"))
    return f"{count // 10**zeros}e{zeros}" if zeros else str(count)
