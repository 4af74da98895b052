"""How many processor cores this process may use."""

import os
from pathlib import Path

_CGROUP_V2 = Path("/sys/fs/cgroup/cpu.max")
_CGROUP_V1 = Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"), Path("/sys/fs/cgroup/cpu/cpu.cfs_period_us")


def count_cores() -> int:
    """Returns the number of cores that this process may use, at least 1.

    This is the number of cores that the process is allowed to run on, or the container's CPU quota where that
    is smaller. A quota of 1.5 cores counts as 2. `os.cpu_count()` knows neither: in a container that may use
    2 cores of a machine with 64 it says 64.
    """
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS and Windows have no such call
        cores = os.cpu_count() or 1
    quota = _quota()
    return cores if quota is None else max(1, min(cores, quota))


def _quota() -> int | None:
    """The CPU quota of the control group in cores, rounded up; None where there is none."""
    words = _read_words(_CGROUP_V2) or [word for path in _CGROUP_V1 for word in _read_words(path)]
    try:
        time, period = map(int, words)
    except ValueError:  # no such file, or "max" (version 2), which means no limit
        return None
    if time <= 0 or period <= 0:  # -1 in version 1 means no limit
        return None
    return -(-time // period)


def _read_words(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return []
