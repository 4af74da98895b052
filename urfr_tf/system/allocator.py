"""Tells glibc to keep freed memory, so that a batch does not pay for its pages again and again."""

import ctypes
import functools
import os
import sys

# From malloc.h; glibc takes no higher threshold for mapping blocks on their own than half of a 64 MB heap.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
_SETTINGS = ((_MMAP_THRESHOLD, 32 << 20), (_TRIM_THRESHOLD, (2 << 30) - 1), (_TOP_PAD, 64 << 20))


@functools.lru_cache(maxsize=1)
def keep_freed_memory() -> bool:
    """Lets this process keep up to 2 GB of freed memory instead of giving it back at once.

    A batch of 64 crops is several blocks of some megabytes that are freed and asked for again at every step;
    each time the kernel has to clear and map their pages. Without that the pipeline of `urfr bench data` with
    blur and occlusion needed 0.69 of the processor time (2 cores, batches of 64).

    Returns:
        Whether it was done: only on Linux with glibc, and not where the user has set MALLOC_... variables.
    """
    if not sys.platform.startswith("linux") or any(name.startswith("MALLOC_") for name in os.environ):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and all(mallopt(option, value) == 1 for option, value in _SETTINGS)
