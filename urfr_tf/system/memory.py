"""How much memory this process has and had, and how much the machine can still give; in bytes."""

import resource
from pathlib import Path

_PROC = Path("/proc")
# Version 2 and version 1 of control groups: what a container may use, and what it uses.
_GROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


def peak() -> int:
    """The most that this process ever had resident (VmHWM)."""
    return _status("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def resident() -> int:
    """What this process has resident now (VmRSS); its peak where the system does not tell."""
    return _status("VmRSS") or peak()


def available() -> int | None:
    """What a new process can take without swapping; None where the system does not tell."""
    limits = []
    if (free := _field(_PROC / "meminfo", "MemAvailable")) is not None:
        limits.append(free)
    for limit, used in _GROUPS:
        try:
            bound = Path(limit).read_text(encoding="ascii").strip()
            now = int(Path(used).read_text(encoding="ascii"))
        except (OSError, ValueError):
            continue
        if bound.isdigit():
            limits.append(max(0, int(bound) - now))
    return min(limits) if limits else None


def spell(count: float) -> str:
    """Bytes for people: 512 B, 1.5 KiB, 23.4 GiB."""
    unit = "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if abs(count) < 1024:
            break
        count, unit = count / 1024, larger
    return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"


def _status(name: str) -> int | None:
    return _field(_PROC / "self" / "status", name)


def _field(path: Path, name: str) -> int | None:
    """A line `NAME:   123 kB` of a file in /proc."""
    try:
        for line in path.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return None
