"""Readings of memory, by what a process is known to do."""

import subprocess
import sys

import pytest

from urfr_tf.system import memory

# 64 MiB are written and given back: the peak keeps them, the present does not.
SCRIPT = """
from urfr_tf.system import memory
before = memory.resident()
block = bytearray(b"1" * (64 << 20))
during = memory.resident()
del block
print(before, during, memory.resident(), memory.peak())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_peak_stays_and_the_present_falls():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    before, during, after, peak = map(int, done.stdout.split())
    assert during - before >= 64 << 20
    assert during - after >= 60 << 20
    assert peak >= during


def test_a_container_has_no_more_than_its_limit(tmp_path, monkeypatch):
    (tmp_path / "meminfo").write_text("MemTotal: 100 kB\nMemAvailable:   50 kB\n")
    (tmp_path / "limit").write_text("40960\n")
    (tmp_path / "used").write_text("10240\n")
    monkeypatch.setattr(memory, "_PROC", tmp_path)
    monkeypatch.setattr(memory, "_GROUPS", ((str(tmp_path / "limit"), str(tmp_path / "used")),))
    assert memory.available() == 40960 - 10240
    (tmp_path / "limit").write_text("max\n")
    assert memory.available() == 50 * 1024


@pytest.mark.parametrize(
    ("count", "words"), [(512, "512 B"), (1536, "1.5 KiB"), (3 * 2**30, "3.0 GiB"), (2**41, "2.0 TiB")]
)
def test_spelling(count, words):
    assert memory.spell(count) == words
