"""The line that says how far a long work is: rate and time left, by a clock of the test's own."""

import io

import pytest
import tqdm.std

from urfr_tf.data.progress import Progress


class Screen(io.StringIO):
    encoding = "utf-8"

    def __init__(self, terminal):
        super().__init__()
        self.terminal = terminal

    def isatty(self):
        return self.terminal


@pytest.fixture
def clock(monkeypatch):
    """now[0] is the time in seconds."""
    now = [100.0]
    monkeypatch.setattr(tqdm.std, "time", lambda: now[0])
    return now


def test_a_terminal_has_one_line_with_rate_and_time_left(clock):
    screen = Screen(terminal=True)
    bar = Progress(1000, stream=screen)
    begun = screen.getvalue()
    clock[0] += 0.1
    bar.add(5)
    assert screen.getvalue() == begun, "not more than five times a second"
    clock[0] += 9.9
    bar.add(95)
    # 100 images in 10 s; the other 900 take 90 s.
    assert "100/1000 [00:10<01:30, 10.00 images/s]" in screen.getvalue().split("\r")[-1]
    clock[0] += 90
    bar.add(900)
    bar.close()
    assert "1000/1000 [01:40<00:00, 10.00 images/s]" in screen.getvalue().split("\r")[-1]
    assert screen.getvalue().count("\n") == 1


def test_what_an_earlier_run_did_is_not_in_the_rate(clock):
    screen = Screen(terminal=False)
    bar = Progress(10_000, done=6_000, stream=screen)
    clock[0] += 9
    bar.add(100)
    assert len(screen.getvalue().splitlines()) == 1, "a file gets a line every ten seconds"
    clock[0] += 1
    bar.add(300)
    # 400 images in 10 s; 3,600 are left: 90 s.
    assert "6400/10000 [00:10<01:30, 40.00 images/s]" in screen.getvalue().splitlines()[1]
    clock[0] += 3600
    bar.close()
    # 400 images in 3,610 s; 3,600 left at that rate are 32,490 s = 9:01:30.
    assert "6400/10000 [1:00:10<9:01:30," in screen.getvalue().splitlines()[2]
    assert "\r" not in screen.getvalue() and screen.getvalue().count("\n") == 3


def test_short_work_has_its_last_line_too(clock):
    screen = Screen(terminal=False)
    bar = Progress(3, stream=screen)
    bar.add(3)
    bar.close()
    assert "3/3" in screen.getvalue().splitlines()[-1]
