import platform
import subprocess
import sys

import pytest

# A block of 20 MB is taken and freed five times; a page is 4,096 bytes, so that each time has 4,883 faults
# where the block went back to the kernel, and none where it was kept.
SCRIPT = """
import ctypes, resource, sys
from urfr_tf.system.allocator import keep_freed_memory
kept = keep_freed_memory() if sys.argv[1] == "keep" else False
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
def use():
    block = libc.malloc(20_000_000)
    ctypes.memset(block, 1, 20_000_000)
    libc.free(block)
use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    libc.mallopt(-1, 1) if sys.argv[1] == "give back" else None
    use()
print(kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def run(how, **environment):
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, how], capture_output=True, text=True, check=True, env=environment
    )
    kept, faults = result.stdout.split()
    return kept == "True", int(faults)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")
def test_a_freed_block_is_used_again_without_page_faults():
    kept, faults = run("keep")
    assert kept
    assert faults < 500
    _, given_back = run("give back")
    assert given_back > 5 * 4000


def test_settings_of_the_user_stay():
    kept, _ = run("keep", MALLOC_ARENA_MAX="2")
    assert not kept
