"""What a benchmark says of several measurements of one thing."""

import statistics
from collections.abc import Sequence
from typing import TypeAlias, TypedDict

BenchResult: TypeAlias = dict[str, object]
"""What `urfr bench --json` prints: `machine`, `versions`, `seconds`, `ratios` and what else a benchmark
has.
"""


class Spread(TypedDict):
    """Least, median and greatest of several measurements."""

    min: float
    median: float
    max: float


def summarize(values: Sequence[float]) -> Spread:
    """Gives the least, the median and the greatest value."""
    return {"min": min(values), "median": statistics.median(values), "max": max(values)}
