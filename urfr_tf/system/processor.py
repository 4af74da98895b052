"""What the processor is called, and which instruction sets it has."""

import platform
from pathlib import Path

from urfr_tf.system.cores import count_cores

BFLOAT16 = ("amx_bf16", "avx512_bf16")
"""Instructions for products of bfloat16, the faster first."""
DECISIVE = (
    "avx2",
    "fma",
    "avx512f",
    "avx_vnni",
    "avx512_vnni",
    *reversed(BFLOAT16),
    "amx_int8",
    "asimddp",
    "bf16",
)
"""The instruction sets that decide how fast the networks and the compiled kernel are."""
_CPUINFO = Path("/proc/cpuinfo")


def processor_flags() -> frozenset[str]:
    """Returns the instruction sets of the processor's first core (ARM calls them features).

    Empty where the system does not tell.
    """
    return frozenset((_first_line("flags") or _first_line("features") or "").split())


def describe_machine() -> str:
    """Names the processor model and the number of cores, as far as the system knows them."""
    return f"{processor_name()}, {count_cores()} cores"


def processor_name() -> str:
    """Names the processor model, or its architecture where the system does not tell."""
    return _first_line("model name") or platform.processor() or platform.machine()


def _first_line(key: str) -> str | None:
    """The value of the first line `key : value` of /proc/cpuinfo, whatever its case."""
    try:
        lines = _CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip().lower() == key:
            return value.strip()
    return None
