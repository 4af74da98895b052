"""The line that says how far a long work is: rate and time left, by a clock of the test's own."""

import io

import pytest

from urfr_tf.data import progress as module
from urfr_tf.data.progress import Progress


class Screen(io.StringIO):
    def __init__(self, terminal):
        super().__init__()
        self.terminal = terminal

    def isatty(self):
        return self.terminal


@pytest.fixture
def clock(monkeypatch):
    """now[0] is the time in seconds."""
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def test_a_terminal_has_one_line_with_rate_and_time_left(clock):
    screen = Screen(terminal=True)
    bar = Progress(1000, stream=screen)
    clock[0] += 0.1
    bar.add(5)
    assert screen.getvalue() == "", "not more than five times a second"
    clock[0] += 9.9
    bar.add(95)
    # 100 images in 10 s; the other 900 take 90 s.
    assert screen.getvalue() == "\r\x1b[K100 of 1000 images, 10 a second, 1:30 left"
    clock[0] += 90
    bar.add(900)
    bar.close()
    assert screen.getvalue().endswith("\r\x1b[K1000 of 1000 images, 10 a second, took 1:40\n")


def test_what_an_earlier_run_did_is_not_in_the_rate(clock):
    screen = Screen(terminal=False)
    bar = Progress(10_000, done=6_000, stream=screen)
    clock[0] += 9
    bar.add(100)
    assert screen.getvalue() == "", "a file gets a line every ten seconds"
    clock[0] += 1
    bar.add(300)
    # 400 images in 10 s; 3,600 are left: 90 s.
    assert screen.getvalue() == "6400 of 10000 images, 40 a second, 1:30 left\n"
    clock[0] += 3600
    bar.close()
    # 400 images in 3,610 s; 3,600 left at that rate are 32,490 s = 9:01:30.
    assert screen.getvalue().splitlines()[-1] == "6400 of 10000 images, 0 a second, 9:01:30 left"
